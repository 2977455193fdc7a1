"""A part of a history: what exercises about its last hours are marked on."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from labkit.history import History
    from labkit.history.past import Family

_HOUR = 3600


class Part:
    """A part of a history: its last hours, fewer scrapes, or not all of its metrics.

    Args:
        whole: the history.
        hours: how many of its last hours.
        every: how many scrapes make one: only the last of so many is kept.
        without: families that are left out.
    """

    def __init__(
        self, whole: History, *, hours: float, every: int = 1, without: Sequence[str] = ()
    ) -> None:
        self.whole = whole
        self.hours = hours
        self.every = every
        self.without = tuple(without)

    @property
    def start(self) -> float:
        """When it begins, in unix seconds."""
        return max(self.whole.start, self.end - self.hours * _HOUR)

    @property
    def end(self) -> float:
        """When it ends, in unix seconds."""
        return self.whole.end

    @property
    def interval(self) -> float:
        """Seconds between two scrapes."""
        return self.whole.interval * self.every

    @property
    def families(self) -> Sequence[Family]:
        """The metrics that are left."""
        return [family for family in self.whole.families if family.name not in self.without]

    @property
    def truth(self) -> Any:
        """What happened, by the model itself; of the whole history."""
        return self.whole.truth

    @property
    def incidents(self) -> Any:
        """What went wrong in the whole history."""
        return self.whole.incidents

    @cached_property
    def digest(self) -> str:
        """What tells its samples from any other's."""
        words = f"{self.whole.digest} {self.hours} {self.every} {self.without}"
        return hashlib.sha256(words.encode()).hexdigest()

    def chunks(self) -> Iterator[_Chunk]:
        """Give consecutive chunks, the earliest first."""
        start_ms = round(self.start * 1000)
        seen = 0
        for chunk in self.whole.chunks():
            later = chunk.times_ms >= start_ms
            numbers = seen + later.cumsum() - 1
            seen += int(later.sum())
            kept = later & (numbers % self.every == self.every - 1)
            if kept.any():
                series = [
                    each._replace(values=each.values[kept])
                    for each in chunk.series
                    if each.family not in self.without
                ]
                yield _Chunk(chunk.times_ms[kept], series)

    def __repr__(self) -> str:
        return f"<Part of {self.whole!r}, a scrape every {self.interval:g} s>"


class _Chunk(NamedTuple):
    times_ms: NDArray[np.int64]
    series: Sequence[Any]
