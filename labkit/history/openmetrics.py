"""Samples as OpenMetrics text, the form in which promtool takes a past."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from labkit.history.past import SAMPLE_NAN_BITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    import numpy as np
    from numpy.typing import NDArray

    from labkit.history.past import Chunk, Family, Series

    Parts: TypeAlias = "list[tuple[list[str], NDArray[np.float64]]]"

_EXACT = 2.0**53  # up to here a float holds every whole number
_SECOND_MS = 1000


@dataclass(frozen=True)
class Piece:
    """A chunk, or the part of one that lies in a span.

    Attributes:
        times_ms: when its scrapes were, in unix milliseconds.
        series: what they found.
        first: where in each series' values these times begin.
    """

    times_ms: NDArray[np.int64]
    series: Sequence[Series]
    first: int

    def values(self, series: Series) -> NDArray[np.float64]:
        """Return the values of one of its series at its times."""
        return series.values[self.first : self.first + len(self.times_ms)]


def spans(chunks: Iterable[Chunk], span_ms: int) -> Iterator[list[Piece]]:
    """Give the chunks anew, by spans that begin at multiples of their length in unix time.

    Storage blocks are cut there: a file that holds one span makes one block, and is read for one.

    Args:
        chunks: consecutive ones, the earliest first.
        span_ms: the length of a span in milliseconds.
    """
    now: int | None = None
    pieces: list[Piece] = []
    for chunk in chunks:
        for number, piece in _cut(chunk, span_ms):
            if number != now and pieces:
                yield pieces
                pieces = []
            now = number
            pieces.append(piece)
    if pieces:
        yield pieces


def _cut(chunk: Chunk, span_ms: int) -> Iterator[tuple[int, Piece]]:
    """Give the parts of a chunk, each with the number of its span."""
    import numpy as np

    numbers = chunk.times_ms // span_ms
    starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
    for first, end in zip(starts, [*starts[1:], len(numbers)], strict=True):
        yield int(numbers[first]), Piece(chunk.times_ms[first:end], chunk.series, first)


def write(file: TextIO, pieces: Iterable[Piece], families: Iterable[Family]) -> int:
    """Write the samples of a span; return how many there were.

    Every series stands in one run of lines, as promtool reads it fastest, and the series of a
    family together. A histogram's buckets so are not interleaved in time, which a strict reader
    of OpenMetrics would ask for and promtool does not.

    Args:
        file: takes the text.
        pieces: consecutive ones.
        families: the metrics, for their types and help texts.
    """
    known = {family.name: family for family in families}
    written = 0
    for name, series in _by_family(pieces).items():
        if name in known:
            file.writelines(_header(known[name]))
        for start, parts in series.items():
            for stamps, values in parts:
                lines = _lines(start, values, stamps)
                written += len(lines)
                file.write("".join(lines))
    file.write("# EOF\n")
    return written


def _by_family(pieces: Iterable[Piece]) -> Mapping[str, Mapping[str, Parts]]:
    """Return for each family how a line of each series begins, and the times and values."""
    found: defaultdict[str, defaultdict[str, Parts]] = defaultdict(lambda: defaultdict(list))
    for piece in pieces:
        stamps = _stamps(piece.times_ms)
        for series in piece.series:
            start = f"{series.name}{_labels(series.labels)} "
            found[series.family][start].append((stamps, piece.values(series)))
    return found


def _header(family: Family) -> Iterator[str]:
    # In OpenMetrics `_total` belongs to a counter's samples, not to the counter's name.
    name = family.name.removesuffix("_total") if family.type == "counter" else family.name
    yield f"# HELP {name} {_escape(family.help)}\n"
    yield f"# TYPE {name} {family.type}\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(text)}"' for name, text in labels.items()) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _stamps(times_ms: NDArray[np.int64]) -> list[str]:
    """Return the ends of lines: the times in seconds.

    Prometheus reads them as floats, times 1000, and cuts off what is behind the point. In this
    century's times that gives every millisecond back.
    """
    return [
        f" {ms // _SECOND_MS}\n"
        if ms % _SECOND_MS == 0
        else f" {ms // _SECOND_MS}.{ms % _SECOND_MS:03d}\n"
        for ms in times_ms.tolist()
    ]


def _lines(start: str, values: NDArray[np.float64], stamps: Sequence[str]) -> list[str]:
    """Return the lines of one series, without the scrapes that had no sample of it."""
    import numpy as np

    missing = np.isnan(values) & (values.view(np.uint64) != SAMPLE_NAN_BITS)
    if missing.any():
        there = np.flatnonzero(~missing)
        values, stamps = values[there], [stamps[place] for place in there.tolist()]
    numbers = values.tolist()
    if (np.abs(values) < _EXACT).all() and (np.floor(values) == values).all():
        numbers = values.astype(np.int64).tolist()  # shorter, and faster to write and to read
    return [f"{start}{number}{stamp}" for number, stamp in zip(numbers, stamps, strict=True)]
