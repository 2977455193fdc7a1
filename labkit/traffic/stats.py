"""What happened in a run of traffic: counts, achieved rate, latencies."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any

from labkit.traffic.protocol import FIRST_STATUS, Outcome
from labkit.traffic.samples import Approximate, Exact, Of, Samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_PERCENTILES = (0.5, 0.95, 0.99)
_COLUMNS = ["endpoint", "status", "count", "p50_seconds", "p95_seconds", "p99_seconds"]


@dataclass(frozen=True, eq=False)
class Stats:
    """What happened in a run up to one moment; it does not change afterwards.

    Every request that was sent is in exactly one place: ``sent == responses + timed_out +
    cancelled + failed + in_flight``. A request is a response only once all of it was received.
    Latencies are those of responses; a request that timed out has none.

    Attributes:
        state: "running", "finished", "stopped", "died" (the worker's process) or "failed".
        seconds: how long the run had gone on.
        sent: requests sent.
        in_flight: those still unanswered.
        late: those sent more than 10 ms after their intended start.
        dropped: requests that were due but not sent, as too many were in flight.
        rate: the achieved rate: responses per second while the shape lasted. Answers that came
            after its end, to requests that were sent before, are responses but not part of it.
        errors_by_type: answers by the ``error_type`` in their JSON.
        failed_by_reason: requests without an answer by why: "connection refused", ….
    """

    state: str
    seconds: float
    sent: int
    in_flight: int
    late: int
    dropped: int
    rate: float
    errors_by_type: Mapping[str, int]
    failed_by_reason: Mapping[str, int]
    paths: Sequence[str] = field(repr=False)
    _counts: Mapping[tuple[int, int], int] = field(repr=False)  # by endpoint and code
    _samples: Exact | Approximate = field(repr=False)

    @property
    def responses(self) -> int:
        """Whole responses received, of any status."""
        return sum(self.by_status.values())

    @property
    def timed_out(self) -> int:
        """Requests that got no whole response within the timeout."""
        return self._outcome(Outcome.TIMED_OUT)

    @property
    def failed(self) -> int:
        """Requests whose connection failed or broke."""
        return self._outcome(Outcome.FAILED)

    @property
    def cancelled(self) -> int:
        """Requests that were in flight when the run was stopped."""
        return self._outcome(Outcome.CANCELLED)

    @property
    def by_status(self) -> dict[int, int]:
        """Responses by HTTP status."""
        return self._sum(lambda _, code: code)

    @property
    def by_endpoint(self) -> dict[str, int]:
        """Responses by path, with 0 for the paths that had none."""
        return dict.fromkeys(self.paths, 0) | self._sum(lambda end, _: self.paths[end])

    @property
    def exact(self) -> bool:
        """Whether quantiles are exact; beyond a million requests they are good to 1 %."""
        return isinstance(self._samples, Exact)

    def quantile(self, q: float, of: Of = "send", endpoint: str | None = None) -> float:
        """Return a quantile of the responses' latency.

        Args:
            q: from 0 to 1; 0.95 is the 95th percentile.
            of: "send" counts from when the request was sent, "intended" from when it should
                have been, which includes what a late sender hides.
            endpoint: one path; all by default.

        Returns:
            Seconds, interpolated linearly between samples as numpy does; NaN without responses.

        Raises:
            ValueError: when an argument is out of range.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be from 0 to 1, not {q!r}")
        index = self._index(endpoint)
        return self._samples.quantiles([q], index, None, _check_of(of))[0]

    def latencies(self, endpoint: str | None = None, of: Of = "send") -> NDArray[np.float64]:
        """Return the latency of each response, in seconds, in the order in which they came.

        Args:
            endpoint: one path; all by default.
            of: as for ``quantile``.

        Raises:
            LabError: beyond a million requests, where they are no longer kept.
            ValueError: when an argument is out of range.
        """
        return self._samples.latencies(self._index(endpoint), _check_of(of))

    def lateness(self) -> NDArray[np.float64]:
        """Return for each request that ended how late it was sent, in seconds.

        Raises:
            LabError: beyond a million requests, where it is no longer kept.
        """
        return self._samples.lateness()

    def to_frame(self) -> pd.DataFrame:
        """Return one row an endpoint and status (or "timed_out", "failed", "cancelled").

        Returns:
            Columns ``endpoint``, ``status`` (text), ``count`` and, for responses,
            ``p50_seconds``, ``p95_seconds``, ``p99_seconds`` of the latency from the send.
        """
        import pandas as pd

        rows = [
            (self.paths[endpoint], _words(code), count, *self._quantiles(endpoint, code))
            for (endpoint, code), count in sorted(self._counts.items())
        ]
        return pd.DataFrame(rows, columns=_COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON; what is not a number becomes None."""
        p50, p95, p99 = self._samples.quantiles(_PERCENTILES, None, None, "send")
        quantiles = {"p50_seconds": p50, "p95_seconds": p95, "p99_seconds": p99}
        names = ("state", "seconds", "sent", "responses", "in_flight", "timed_out", "cancelled")
        figures = {name: getattr(self, name) for name in (*names, "failed", "late", "dropped")}
        return {
            **figures,
            "rate": self.rate,
            "by_status": {str(status): count for status, count in self.by_status.items()},
            "by_endpoint": self.by_endpoint,
            "errors_by_type": dict(self.errors_by_type),
            "failed_by_reason": dict(self.failed_by_reason),
            **{name: None if math.isnan(value) else value for name, value in quantiles.items()},
        }

    @property
    def problem(self) -> str:
        """One sentence on what a reader of the figures must know; empty where all is well."""
        if self.state == "died":
            return "The worker's process ended by itself: this is its last report."
        why = ", ".join(f"{count} {reason}" for reason, count in self.failed_by_reason.items())
        if self.sent and not self.responses and not self.in_flight:
            timed_out = f"{self.timed_out} timed out" if self.timed_out else ""
            what = ", ".join(filter(None, [why, timed_out])) or "all were cancelled"
            return f"None of {self.sent} requests was answered ({what})."
        if self.failed:
            return f"{self.failed} of {self.sent} requests got no answer ({why})."
        if self.dropped:
            return f"{self.dropped} requests were not sent: too many were still unanswered."
        return ""

    def __repr__(self) -> str:
        statuses = ", ".join(f"{status} × {n}" for status, n in sorted(self.by_status.items()))
        others = ("timed_out", "failed", "cancelled", "in_flight", "late", "dropped")
        counts = [f"{getattr(self, name)} {_spaced(name)}" for name in others]
        parts = [
            f"{self.sent} sent in {self.seconds:.1f} s",
            f"{self.responses} responses ({self.rate:.2f}/s)" + (f": {statuses}" * bool(statuses)),
            *(text for text in counts if not text.startswith("0 ")),
            *([f"p95 {self.quantile(0.95):.3g} s"] if self.responses else []),
            *([self.problem] if self.problem else []),
        ]
        return f"<Stats {self.state}: {'; '.join(parts)}>"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name.replace('_seconds', ' (s)')}</th>" for name in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>"
            for row in self.to_frame().itertuples(index=False)
        )
        summary = escape(repr(self)[1:-1])
        return f"<p>{summary}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _quantiles(self, endpoint: int, code: int) -> list[float]:
        if code < FIRST_STATUS:  # no response, no latency
            return [math.nan] * len(_PERCENTILES)
        return self._samples.quantiles(_PERCENTILES, endpoint, code, "send")

    def _outcome(self, outcome: Outcome) -> int:
        return sum(count for (_, code), count in self._counts.items() if code == outcome)

    def _sum(self, key: Any) -> dict[Any, int]:
        """Sum the responses by what ``key(endpoint, code)`` says."""
        sums: Counter[Any] = Counter()
        for (endpoint, code), count in sorted(self._counts.items()):
            if code >= FIRST_STATUS:
                sums[key(endpoint, code)] += count
        return dict(sums)

    def _index(self, endpoint: str | None) -> int | None:
        if endpoint is None:
            return None
        if endpoint not in self.paths:
            known = ", ".join(map(repr, self.paths))
            raise ValueError(f"endpoint must be one of {known}, not {endpoint!r}")
        return list(self.paths).index(endpoint)


class Recorder:
    """Puts the worker's reports together; gives out ``Stats``. Threads may share it.

    Args:
        paths: the paths of the mix, in the order of their indices.
        duration: how long the shape lasts, in seconds; None for a run without an end.
    """

    def __init__(self, paths: Sequence[str], duration: float | None = None) -> None:
        self._lock = Lock()
        self._duration = math.inf if duration is None else duration
        self._paths = tuple(paths)
        self._samples = Samples()
        self._counts: Counter[tuple[int, int]] = Counter()
        self._totals: dict[str, Any] = {}
        self._seconds = 0.0
        self._state = "running"
        self._snapshot: Stats | None = None

    def add(self, totals: dict[str, Any], seconds: float) -> None:
        """Take in one report of the worker.

        Args:
            totals: the totals so far, and the rows that are new.
            seconds: how long the run has gone on.
        """
        with self._lock:
            rows = totals.pop("rows")
            self._samples.add(rows)
            self._counts.update((row[1], row[2]) for row in rows)
            self._totals, self._seconds, self._snapshot = totals, seconds, None

    def end(self, state: str) -> None:
        """Set the state in which the run ended."""
        with self._lock:
            self._state, self._snapshot = state, None

    def stats(self) -> Stats:
        """Return what happened up to the last report."""
        with self._lock:
            if self._snapshot is None:  # at most one is made a report, however often it is asked
                self._snapshot = self._take()
            return self._snapshot

    def _take(self) -> Stats:
        totals = self._totals
        lasted = min(self._seconds, self._duration)
        return Stats(
            state=self._state,
            seconds=self._seconds,
            sent=totals.get("sent", 0),
            in_flight=totals.get("in_flight", 0),
            late=totals.get("late", 0),
            dropped=totals.get("dropped", 0),
            rate=totals.get("in_time", 0) / lasted if lasted else 0.0,
            errors_by_type=dict(sorted(totals.get("errors", {}).items())),
            failed_by_reason=dict(sorted(totals.get("failed", {}).items())),
            paths=self._paths,
            _counts=dict(self._counts),
            _samples=self._samples.view(),
        )


def _check_of(of: Of) -> Of:
    if of not in ("send", "intended"):
        raise ValueError(f'of must be "send" or "intended", not {of!r}')
    return of


def _words(code: int) -> str:
    return str(code) if code >= FIRST_STATUS else Outcome(code).words


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return escape(str(value))
