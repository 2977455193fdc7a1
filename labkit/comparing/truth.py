"""What is known exactly about an interval: the figures that PromQL's answers are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from labkit.errors import LabError
from labkit.traffic.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from labkit.traffic.handle import TrafficRun

SENDER = "the sender"
_BEYOND_SECONDS = 60.0  # what a run may take longer than its shape: its last requests time out
_QUANTILES = 401  # how finely latencies are read off a histogram, where single ones are gone


class Truth(Protocol):
    """What happened in an interval, known without Prometheus.

    Attributes:
        start: when it began, in unix seconds.
        end: when it ended, in unix seconds.
        source: who knows: "the sender" or "the model".
        endpoints: the endpoints that were asked.
    """

    @property
    def start(self) -> float:
        """When it began, in unix seconds."""

    @property
    def end(self) -> float:
        """When it ended, in unix seconds."""

    @property
    def source(self) -> str:
        """Who knows: "the sender" or "the model"."""

    @property
    def endpoints(self) -> Sequence[str]:
        """The endpoints that were asked."""

    def requests(self, endpoint: str | None = None) -> int:
        """Return how many requests were answered, of one endpoint or of all."""

    def server_errors(self, endpoint: str | None = None) -> int:
        """Return how many were answered with a 5xx."""

    def quantile(self, q: float, endpoint: str | None = None) -> float:
        """Return a quantile of the latency in seconds; NaN where nothing was answered."""

    def latency_counts(
        self, edges: Sequence[float], endpoint: str | None = None
    ) -> NDArray[np.int64]:
        """Return how many answers took longer than each edge and up to the next, in seconds."""


class RunTruth:
    """The sender's own figures of a run of traffic; waits until the run is over.

    Args:
        run: the run. One without an end has to be stopped first.
        timeout: seconds to wait for its end; what its shape has left and 60 s by default.

    Raises:
        LabError: the run goes on without an end or after ``timeout``, or it broke off.
    """

    source = SENDER

    def __init__(self, run: TrafficRun, timeout: float | None = None) -> None:
        left = run.seconds_left
        if left is None and timeout is None:
            raise LabError(
                f"The {run.name} run goes on without an end, so its figures are not final.",
                next_step="run.stop(), then compare.",
            )
        self._stats = run.wait((left or 0.0) + _BEYOND_SECONDS if timeout is None else timeout)
        self.start = run.started_at
        self.end = run.ended_at or run.started_at + run.seconds
        rows = self._stats.to_frame()[["endpoint", "status", "count"]]
        self._counts: list[tuple[str, str, int]] = list(rows.itertuples(index=False, name=None))

    @property
    def steady_rate(self) -> float:
        """Its rate while it sent, in responses a second, as ``run.stats.rate`` has it."""
        return self._stats.rate

    @property
    def endpoints(self) -> list[str]:
        """The paths of its mix, apart from those that were never drawn."""
        return [path for path in self._stats.paths if any(path == row[0] for row in self._counts)]

    def requests(self, endpoint: str | None = None) -> int:
        """Return how many requests were answered in full, of one path or of all."""
        return sum(self._by_status(endpoint).values())

    def server_errors(self, endpoint: str | None = None) -> int:
        """Return how many were answered with a 5xx."""
        counts = self._by_status(endpoint)
        return sum(count for status, count in counts.items() if status.startswith("5"))

    def unanswered(self, endpoint: str | None = None) -> dict[str, int]:
        """Return how many got no whole answer, by why; the app may have counted them all the same.

        Args:
            endpoint: one path; all by default.
        """
        return self._sum(endpoint, answered=False)

    def quantile(self, q: float, endpoint: str | None = None) -> float:
        """Return a quantile of the latency from the send, in seconds; NaN without answers."""
        return self._stats.quantile(q, endpoint=endpoint)

    def latency_counts(
        self, edges: Sequence[float], endpoint: str | None = None
    ) -> NDArray[np.int64]:
        """Return how many answers took longer than each edge and up to the next, in seconds.

        Beyond a million requests single latencies are gone; then it is good to about 1 %.
        """
        import numpy as np

        below: NDArray[np.int64]
        if self._stats.exact:
            taken = np.sort(self._stats.latencies(endpoint))
            below = np.searchsorted(taken, np.asarray(edges), side="right").astype(np.int64)
        else:
            shares = np.linspace(0.0, 1.0, _QUANTILES)
            taken = np.array([self._stats.quantile(share, endpoint=endpoint) for share in shares])
            at_edges = np.interp(np.asarray(edges), taken, shares, left=0.0, right=1.0)
            below = np.rint(at_edges * self.requests(endpoint)).astype(np.int64)
        return below[1:] - below[:-1]

    def _by_status(self, endpoint: str | None) -> dict[str, int]:
        return self._sum(endpoint, answered=True)

    def _sum(self, endpoint: str | None, *, answered: bool) -> dict[str, int]:
        sums: dict[str, int] = {}
        for path, status, count in self._counts:
            if endpoint in (None, path) and (status not in _NO_ANSWER) == answered:
                sums[status] = sums.get(status, 0) + count
        return sums

    def __repr__(self) -> str:
        return f"<RunTruth {self._stats!r}>"


_NO_ANSWER = {outcome.words for outcome in Outcome}


def unanswered(truth: Truth, endpoint: str | None = None) -> Mapping[str, int]:
    """Return a sender's requests without an answer, by why; a model has none."""
    return truth.unanswered(endpoint) if isinstance(truth, RunTruth) else {}
