"""What an objective asks of a lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from labkit.promql.steps import Instant


class Asked(Protocol):
    """What an objective asks: a lab or a `labkit.promql.client.Client`, for example.

    Attributes:
        scrape_interval: seconds between two samples.
    """

    scrape_interval: float

    def query(self, promql: str, time: Instant | None = None) -> pd.DataFrame:
        """Ask at one time, now by default."""

    def query_range(
        self,
        promql: str,
        minutes: float = 5,
        step: float | str | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> pd.DataFrame:
        """Ask over a range of time."""


def quiet(lab: Asked) -> Asked:
    """Return what answers without notes on empty answers: a lab's client, or what was given.

    Most conditions of an alert are empty most of the time, which is nothing to tell anybody.

    Args:
        lab: a lab, or anything else that answers.
    """
    client: Asked = getattr(lab, "client", lab)
    return client
