"""What a check of an expression has to know of the server that it is for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from labkit.errors import QueryError
from labkit.promql.emptiness.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.promql.client import Client
    from labkit.promql.syntax.node import Node

_SLACK = 1e-6  # of a second: durations are whole milliseconds
_PARTS = ("_bucket", "_count", "_sum")  # of a histogram; a summary lacks the first
_COUNTING = ("_total", "_bucket")
_LONG = 300.0  # seconds that a window has in an example, where scrapes are frequent enough


class Facts:
    """A server at one moment, asked only for what a check needs.

    Args:
        client: where to ask.
        when: the moment in unix seconds.
    """

    def __init__(self, client: Client, when: float) -> None:
        self._client = client
        self._when = when
        self.scrape_interval = client.scrape_interval

    @cached_property
    def probe(self) -> Probe:
        """Small questions about the moment, not more than a few dozen of them."""
        return Probe.of(self._client, end=self._when, budgets=2)

    @cached_property
    def types(self) -> Mapping[str, str]:
        """The type of each metric that has samples, such as ``counter``, by its name.

        Empty where the server does not tell, so that nothing is judged by its type then.
        """
        try:
            metrics = self._client.metrics()
        except QueryError:
            return {}
        return dict(zip(metrics["name"], metrics["type"], strict=True))

    def is_gauge(self, node: Node) -> bool:
        """Whether a selector picks a gauge."""
        return self.types.get(node.name) == "gauge"

    def is_counter(self, node: Node) -> bool:
        """Whether a selector picks a counter, or the buckets, sum or count of a histogram."""
        known = self.types.get(node.name)
        if known in {"histogram", "summary"}:
            return node.name.endswith(_PARTS)
        # Where the server keeps no types: counters are named so, and hardly anything else is
        # (https://prometheus.io/docs/practices/naming/).
        return known == "counter" or (known == "unknown" and node.name.endswith(_COUNTING))

    @property
    def least_window(self) -> float:
        """Four scrape intervals in seconds: a missed scrape still leaves samples enough."""
        return 4 * self.scrape_interval

    @property
    def usual_window(self) -> float:
        """The window in seconds that an example has: five minutes, more where scrapes are rare."""
        return max(_LONG, self.least_window)

    def shorter(self, window: float, scrapes: int, step: float | None = None) -> bool:
        """Whether a window is shorter than so many scrapes.

        Args:
            window: its length in seconds.
            scrapes: how many.
            step: seconds between two samples, where they come from a subquery.
        """
        return window < scrapes * (step or self.scrape_interval) - _SLACK
