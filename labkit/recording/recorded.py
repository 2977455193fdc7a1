"""A recording as a past: what a lab's Prometheus held, chunk by chunk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.history.past import SAMPLE_NAN_BITS
from labkit.recording.archive import Reader
from labkit.recording.contents import Inconsistent, family_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from labkit.marks import Mark
    from labkit.recording.contents import Family, Window

SAMPLE_NAN = np.array(SAMPLE_NAN_BITS, np.uint64).view(np.float64)


class Series(NamedTuple):
    """A series over the times of its chunk, each of which has a sample."""

    family: str
    name: str
    labels: Mapping[str, str]
    values: NDArray[np.float64]


class Chunk(NamedTuple):
    """The series of a window that were sampled at the same times."""

    times_ms: NDArray[np.int64]
    series: Sequence[Series]


class Recording:
    """What a file of `labkit.record` holds; a `labkit.history.past.Past`.

    All of it is read and checked once when it is opened, and again as it is told.

    Args:
        path: the file.

    Attributes:
        path: where it is.
        lab: the name of the lab that was recorded.
        start: when it begins, in unix seconds.
        end: when it ends.
        interval: seconds between two scrapes.
        families: the metrics.
        marks: what happened then.
        samples: how many there are.
        digest: the checksum of its content.

    Raises:
        LabError: it is not there, broken, foreign, from a newer version or too large.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        with Reader(self.path) as reader:
            self.digest = reader.digest()
            contents = reader.contents
            for _ in self._read(reader):
                pass
        self.lab = contents.lab
        self.start = contents.start_ms / 1000
        self.end = contents.end_ms / 1000
        self.interval = contents.interval
        self.families: Sequence[Family] = contents.families
        self.marks: Sequence[Mark] = contents.marks
        self.samples = contents.samples

    def chunks(self) -> Iterator[Chunk]:
        """Give consecutive chunks, the earliest first.

        Raises:
            LabError: the file is not what it was when it was opened.
        """
        with Reader(self.path) as reader, reader.reporting():
            if reader.digest() != self.digest:
                raise Inconsistent("it was changed since it was opened")
            yield from self._read(reader)

    def _read(self, reader: Reader) -> Iterator[Chunk]:
        contents = reader.contents
        known = {family.name: family for family in contents.families}
        names = [labels["__name__"] for labels in contents.series]
        families = [family_name(name, known) for name in names]
        labels = [
            {name: text for name, text in each.items() if name != "__name__"}
            for each in contents.series
        ]
        with reader.reporting(), reader.samples() as file:
            for window in contents.windows:
                for clock in window.clocks:
                    times = np.frombuffer(file.read(8 * clock.times), "<i8").astype(np.int64)
                    _require_in(times, window)
                    size = 8 * clock.times * len(clock.series)
                    values = np.frombuffer(file.read(size), "<f8").astype(np.float64)
                    rows = values.reshape(len(clock.series), clock.times)
                    yield Chunk(
                        times,
                        [
                            Series(families[number], names[number], labels[number], row)
                            for number, row in zip(clock.series, rows, strict=True)
                        ],
                    )

    def __repr__(self) -> str:
        return f"<Recording of {self.lab!r}, {self.end - self.start:.0f} s, {self.path}>"


def _require_in(times: NDArray[np.int64], window: Window) -> None:
    edges = np.concatenate([[window.start_ms - 1], times, [window.end_ms]])
    if not (np.diff(edges) > 0).all():
        raise Inconsistent("its times are not in order")
