"""Two hours of a small app that someone instrumented: data for the exercises about one's own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

_END = 1_769_817_600.0  # 2026-01-31T00:00Z, as the other histories
_HOURS = 2
_INTERVAL = 15
_OFFSET_SECONDS = 2  # scrapes lie off the minute, as everywhere
_VERSION = 2
_ROUTES = ("/", "/orders", "/orders/<id>", "/login", "/search")
_STATUSES = ("200", "404", "500")
_INSTANCES = ("mine-1", "mine-2")


class OwnFamily(NamedTuple):
    """A metric of the app."""

    name: str
    type: str
    help: str


class OwnSeries(NamedTuple):
    """A series over the times of its chunk."""

    family: str
    name: str
    labels: dict[str, str]
    values: NDArray[np.float64]


class OwnChunk(NamedTuple):
    """All series over all scrapes."""

    times_ms: NDArray[np.int64]
    series: list[OwnSeries]


class OwnApp:
    """The past of a small app, in the form in which histories are stored.

    It has ``mine_requests_total`` by route and status, ``mine_info`` with the version of each
    instance, ``mine_queue_length`` by worker, and ``up``; the job is ``mine``.

    Args:
        seed: where chance starts.
        workers: how many each instance has.
        versions: which one each of the two instances runs.
    """

    def __init__(
        self, seed: int, *, workers: int = 9, versions: tuple[str, str] = ("1.4.0", "1.5.0")
    ) -> None:
        self.seed = seed
        self.workers = workers
        self.versions = versions
        self.start = _END - _HOURS * 3600
        self.end = _END
        self.interval = float(_INTERVAL)
        self.families: Sequence[OwnFamily] = (
            OwnFamily("mine_requests", "counter", "Requests answered, by route and status."),
            OwnFamily("mine_info", "gauge", "The version that runs, as a label; always 1."),
            OwnFamily("mine_queue_length", "gauge", "Jobs that wait, by worker."),
            OwnFamily("up", "gauge", "1 where the target was scraped, 0 where it was not."),
        )

    @property
    def digest(self) -> str:
        """What tells its samples from any other's."""
        import hashlib

        words = f"own app {_VERSION} {self.seed} {self.workers} {self.versions}"
        return hashlib.sha256(words.encode()).hexdigest()

    def chunks(self) -> Iterator[OwnChunk]:
        """Give everything in one chunk."""
        yield OwnChunk(self._times_ms, [*self._series()])

    @cached_property
    def _times_ms(self) -> NDArray[np.int64]:
        import numpy as np

        count = _HOURS * 3600 // _INTERVAL
        first = round(self.start) + _OFFSET_SECONDS
        return (first + _INTERVAL * np.arange(count, dtype=np.int64)) * 1000

    def _series(self) -> Iterator[OwnSeries]:
        import numpy as np

        from labkit.history import chance

        count = len(self._times_ms)
        running = zip(_INSTANCES, self.versions, strict=True)
        for number, (instance, version) in enumerate(running, 1):
            own = {"job": "mine", "instance": instance}
            generator = chance.stream(self.seed, number, chance.COUNTS)
            for place, route in enumerate(_ROUTES):
                for share, status in zip((6.0, 1.0, 0.2), _STATUSES, strict=True):
                    mean = share * number / (1 + place)
                    counts = chance.poisson(generator, np.full(count, mean))
                    labels = {"route": route, "status": status, **own}
                    total = counts.cumsum().astype(np.float64)
                    yield OwnSeries("mine_requests", "mine_requests_total", labels, total)
            for worker in range(self.workers):
                waiting = chance.poisson(generator, np.full(count, 1.0 + worker))
                labels = {"worker": f"w{worker + 1}", **own}
                values = waiting.astype(np.float64)
                yield OwnSeries("mine_queue_length", "mine_queue_length", labels, values)
            ones = np.ones(count)
            yield OwnSeries("mine_info", "mine_info", {"version": version, **own}, ones)
            yield OwnSeries("up", "up", own, ones)

    def __repr__(self) -> str:
        return f"<OwnApp {_HOURS} hours, seed {self.seed}>"
