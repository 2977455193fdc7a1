"""A client of a Prometheus that serves a past: now is its end, and it knows what metrics mean."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labkit.errors import QueryError
from labkit.promql.client import Client
from labkit.promql.connection import Answer, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from labkit.history.past import Past

_TIMEOUT_SECONDS = 30.0  # of one query: a month of many series takes longer than a live minute


class HistoryClient(Client):
    """A client of the Prometheus that serves a past.

    Questions without a time are about its end, ``$__rate_interval`` follows its interval, and the
    types and help texts of metrics come from the past itself: Prometheus keeps those of the
    targets that it scrapes, not in its storage.

    Args:
        url: the server's address.
        past: what it serves.
    """

    def __init__(self, url: str, past: Past) -> None:
        super().__init__(url, timeout=_TIMEOUT_SECONDS, scrape_interval=past.interval, at=past.end)
        self._connection.close()
        self._connection = _Connection(url, timeout=_TIMEOUT_SECONDS, past=past)

    def wait_for(
        self, promql: str, timeout: float = 30.0, alive: Callable[[], None] | None = None
    ) -> pd.DataFrame:
        """Return an expression's answer if it is there at the end of the past; it never will be.

        Args:
            promql: the expression.
            timeout: of no meaning: nothing changes here.
            alive: called before the question; what it raises ends the wait.

        Returns:
            The frame of `query`.

        Raises:
            QueryError: the answer is empty, all NaN or, for a comparison, false; or as `query`.
        """
        del timeout
        self.query(promql)  # what is wrong with the expression itself is said in its own words
        try:
            return super().wait_for(promql, 0.0, alive)
        except QueryError as error:
            reason = error.message.rpartition(": ")[2].rstrip(".")
            end = datetime.fromtimestamp(self.now(), UTC)
            raise QueryError(
                f"Waiting is in vain: {reason}, and this past ended at {end:%Y-%m-%d %H:%M} UTC.",
                evidence=error.evidence,
                next_step="ask about another time with lab.query(…, time=…), or look where it was "
                "true with lab.plot(…, minutes=…).",
            ) from None


class _Connection(Connection):
    """A connection that answers for the server where that knows nothing of metrics' meaning."""

    def __init__(self, url: str, *, timeout: float, past: Past) -> None:
        super().__init__(url, headers=None, verify=True, timeout=timeout)
        self._metadata = {
            family.name: [{"type": family.type, "help": family.help, "unit": ""}]
            for family in past.families
        }

    def ask(
        self, path: str, parameters: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Answer:
        """Return what the server says; of the metrics' metadata, what the past does.

        Raises:
            QueryError: as any question does; and at one for rules, of which there are none.
        """
        if path == "rules":
            raise QueryError(
                "Rules are not evaluated over a past, so no alert stands now.",
                next_step="ask for a rule's expression over the time instead: "
                "lab.query_range(expression, minutes=…), lab.plot(expression, minutes=…); a "
                "recording has its session's alerts as ALERTS.",
            )
        if path != "metadata":
            return super().ask(path, parameters, timeout)
        wanted = (parameters or {}).get("metric")
        known = self._metadata
        return Answer({name: known[name] for name in known if wanted in {None, name}})
