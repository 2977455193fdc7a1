"""What the model knows exactly: totals of any interval, the incidents and the restarts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from labkit.history.timeline import iso
from labkit.history.totals import Totals, by_status, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from labkit.history.simulation import Instance, Placed
    from labkit.history.timeline import Moment, Timeline


class Truth(Totals):
    """What happened in a whole history, exactly, and in any part of it.

    Example:
        >>> truth = History(days=1, incidents=[Timeouts("6h", "30m")]).truth
        >>> truth.between("6h", "5h").error_ratio("/slow")

    Args:
        instances: the simulated instances.
        timeline: the scrapes.
        placed: the incidents.
    """

    def __init__(
        self, instances: Sequence[Instance], timeline: Timeline, placed: Sequence[Placed]
    ) -> None:
        super().__init__(instances, timeline, timeline.start_ms, timeline.end_ms)
        self._placed = placed

    def between(self, start: Moment, end: Moment | None = None) -> Totals:
        """Return what happened in a part of the history.

        Args:
            start: "2d3h" for so long before the history's end; ISO 8601 text or a datetime, with
                a time zone; or unix seconds.
            end: the same; the history's end by default.

        Returns:
            The totals from the last sample at or before the start to that at or before the end.

        Raises:
            ValueError: when there is no scrape in between, or either is no moment.
        """
        start_ms = self._timeline.moment_ms(start, "start")
        end_ms = self._timeline.end_ms if end is None else self._timeline.moment_ms(end, "end")
        if self._timeline.at_or_before(start_ms) >= self._timeline.at_or_before(end_ms):
            first, last = self._timeline.times_ms[[0, -1]]
            raise ValueError(
                f"there is no scrape between {iso(start_ms)} and {iso(end_ms)}: the start must "
                f"come before the end, and this history has scrapes from {iso(first)} to "
                f"{iso(last)}"
            )
        return Totals([*self._instances.values()], self._timeline, start_ms, end_ms)

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """What went wrong: one row an incident, the earliest first.

        Columns ``name``, ``start`` and ``end`` (UTC; the scrape just after which it began, and
        the one with which it ended), ``cause``, ``endpoint`` and ``instance`` (empty where it hit
        several).
        """
        import pandas as pd

        times = pd.to_datetime(self._timeline.times_ms, unit="ms", utc=True)
        rows = [
            {
                "name": incident.name,
                "start": times[first],
                "end": times[last],
                "cause": incident.cause,
                "endpoint": incident.where or "",
                "instance": incident.on or "",
            }
            for incident, first, last in sorted(self._placed, key=lambda each: each.first)
        ]
        columns = ["name", "start", "end", "cause", "endpoint", "instance"]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def restarts(self) -> pd.DataFrame:
        """When instances started anew: one row a restart, the earliest first.

        Columns ``time`` (UTC; when it was up again), ``instance`` and ``cause`` (deploy, crash, or
        end of an outage). Its counters start again from 0 there.
        """
        import pandas as pd

        rows = [
            (restart.created_ms, name, restart.cause)
            for name, found in self._instances.items()
            for restart in found.presence.restarts
        ]
        frame = pd.DataFrame(sorted(rows), columns=["time", "instance", "cause"])
        return frame.assign(time=pd.to_datetime(frame["time"], unit="ms", utc=True))

    def per_scrape(
        self,
        endpoint: str | None = None,
        instance: str | None = None,
        status: str | int | None = None,
    ) -> pd.Series[int]:
        """Return how many requests were answered since the scrape before, at each scrape.

        Args:
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.
            status: "503" or 503, or a class such as "5xx"; all by default.

        Returns:
            Whole numbers with the times of the scrapes (UTC) as index ``time``.

        Raises:
            ValueError: for an endpoint, instance or status that there is none of.
        """
        import pandas as pd

        wanted = by_status(status)
        rows = rows_of(lambda outcome: wanted(outcome.status), endpoint)
        counts = np.zeros(self._timeline.scrapes, np.int64)
        for found, _, _ in self._chosen(instance):
            counts += found.counts[rows].sum(axis=0, dtype=np.int64)
        times = pd.to_datetime(self._timeline.times_ms, unit="ms", utc=True)
        return pd.Series(counts, index=times.rename("time"), name="requests")
