"""What a recording tells of itself: its manifest, written and read with every field checked."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from labkit.marks import Mark, MarkKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT = "labkit recording"
VERSION = 1
MOST_SAMPLES = 20_000_000  # two days of a lab at 1 s; 160 MB unpacked
MOST_SERIES = 20_000
SLOT_MS = 7_200_000  # no window goes over a multiple of this: storage blocks are cut there

_MOST_TEXT_BYTES = 5_000_000_000  # that promtool would have to read; 20 million usual lines
_LINE_BYTES = 40  # of a line of that text: a value and a time
_MOST_MARKS = 10_000
_WORD_BYTES = 8
_LATEST_MS = 4_102_444_800_000  # the year 2100
_LONGEST_SECONDS = 86_400.0  # between two scrapes
_NAME = "__name__"
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
_TYPES = {"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"}
_TYPES |= {"unknown"}

_Kind = TypeVar("_Kind")


class Inconsistent(ValueError):
    """A manifest contradicts itself, or has what no recording has."""


class Family(NamedTuple):
    """A metric: its name as Prometheus's metadata has it, its type and help text."""

    name: str
    type: str
    help: str


class Clock(NamedTuple):
    """Series that were sampled at the same times.

    Attributes:
        times: how many there were.
        series: the numbers of the series.
    """

    times: int
    series: tuple[int, ...]


class Window(NamedTuple):
    """A stretch of a recording.

    Attributes:
        start_ms: where it begins, in unix milliseconds.
        end_ms: where it ends; a sample at that time is in the next one.
        clocks: its series, each of them at most once.
    """

    start_ms: int
    end_ms: int
    clocks: tuple[Clock, ...]


@dataclass(frozen=True)
class Contents:
    """What is in a recording, but for the samples themselves.

    Attributes:
        lab: the name of the lab that was recorded.
        interval: seconds between two scrapes.
        start_ms: where it begins, in unix milliseconds.
        end_ms: where it ends, and when it was recorded.
        families: the metrics, as far as their targets told.
        series: the labels of each series, with ``__name__``.
        marks: what happened then.
        windows: where which samples are.
    """

    lab: str
    interval: float
    start_ms: int
    end_ms: int
    families: Sequence[Family]
    series: Sequence[Mapping[str, str]]
    marks: Sequence[Mark]
    windows: Sequence[Window]

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return sum(clock.times * len(clock.series) for clock in self._clocks())

    @property
    def data_bytes(self) -> int:
        """How many bytes the samples and their times take, unpacked."""
        return sum(_WORD_BYTES * clock.times * (1 + len(clock.series)) for clock in self._clocks())

    def _clocks(self) -> Iterator[Clock]:
        return (clock for window in self.windows for clock in window.clocks)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        marks = [asdict(mark) for mark in self.marks]
        return {"format": FORMAT, "version": VERSION, **told, "marks": marks}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Contents:
        """Return what a manifest tells, if all of it can be true.

        Args:
            told: what JSON gave; anything may be in it.

        Raises:
            Inconsistent: it cannot be; the message says what is wrong.
        """
        start_ms = _whole(told, "start_ms", 1, _LATEST_MS)
        end_ms = _whole(told, "end_ms", start_ms + 1, _LATEST_MS)
        series = [_labels(each) for each in _list(told, "series", MOST_SERIES)]
        known = {frozenset(labels.items()) for labels in series}
        _require(len(known) == len(series), "a series is there twice")
        found = cls(
            lab=_text(told.get("lab")),
            interval=_number(told, "interval", 0.001, _LONGEST_SECONDS),
            start_ms=start_ms,
            end_ms=end_ms,
            families=[_family(each) for each in _list(told, "families", MOST_SERIES)],
            series=series,
            marks=[_mark(each) for each in _list(told, "marks", _MOST_MARKS)],
            windows=[_window(each, len(series)) for each in _list(told, "windows", MOST_SAMPLES)],
        )
        edges = [edge for window in found.windows for edge in (window.start_ms, window.end_ms)]
        _require(edges == sorted(edges), "its windows are not in order")
        _require(
            not edges or (start_ms <= edges[0] and edges[-1] <= end_ms + 1),
            "it has samples from before its start or after its end",
        )
        return found

    @property
    def is_too_large(self) -> bool:
        """Whether serving it would take more than a recording may."""
        sizes = [sum(map(len, labels.values())) for labels in self.series]
        lines = sum(c.times * (_LINE_BYTES + sizes[n]) for c in self._clocks() for n in c.series)
        return self.samples > MOST_SAMPLES or lines > _MOST_TEXT_BYTES


def is_plain(labels: Mapping[str, str]) -> bool:
    """Whether every version of Prometheus can store these labels, which have a ``__name__``."""
    try:
        _labels(labels)
    except Inconsistent:
        return False
    return True


def family_name(name: str, known: Mapping[str, object]) -> str:
    """Return the metric that samples of a name belong to; the name itself, where none is known.

    Args:
        name: of the samples.
        known: the names of metrics.
    """
    stem, _, last = name.rpartition("_")
    parts = {"bucket", "sum", "count", "gsum", "gcount", "total", "info", "created"}
    return stem if name not in known and last in parts and stem in known else name


def _require(holds: object, words: str) -> None:
    if not holds:
        raise Inconsistent(words)


def _of(value: object, kind: type[_Kind], what: str) -> _Kind:
    # To Python a truth value is a number; to JSON it is not.
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise Inconsistent(f"{what} is {type(value).__name__}, not {kind.__name__}")


def _list(told: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = _of(told.get(name), list, name)
    _require(len(found) <= most, f"it has {len(found):,} {name}; the most are {most:,}")
    return found


def _whole(told: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = _of(told.get(name), int, name)
    _require(least <= value <= most, f"{name} is out of range")
    return value


def _number(told: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = told.get(name)
    number = value if isinstance(value, float) else _of(value, int, name)
    _require(least <= number <= most, f"{name} is out of range")  # and so is NaN
    return float(number)


def _text(value: object) -> str:
    text = _of(value, str, "a text")
    # Half a surrogate pair cannot be written, and promtool takes a NUL for the end of its input.
    _require(not _UNWRITABLE.search(text), "a text has letters that cannot be stored")
    return text


def _labels(told: object) -> dict[str, str]:
    labels = {name: _text(text) for name, text in _of(told, dict, "a series").items() if text != ""}
    _require(_METRIC.fullmatch(labels.get(_NAME, "")), "a series has no plain name")
    _require(all(map(_LABEL.fullmatch, labels)), "a label has no plain name")
    return labels


def _family(told: object) -> Family:
    parts = _of(told, list, "a metric")
    _require(len(parts) == len(Family._fields), "a metric has other fields")
    family = Family(*map(_text, parts))
    _require(_METRIC.fullmatch(family.name), "a metric has no plain name")
    _require(family.type in _TYPES, "a metric is of no known type")
    return family


def _mark(told: object) -> Mark:
    fields = _of(told, dict, "a mark")
    time = _number(fields, "time", 0, _LATEST_MS / 1000)
    until = fields.get("until")
    if until is not None:
        until = _number(fields, "until", time, _LATEST_MS / 1000)
    kind: Any = fields.get("kind")
    _require(kind in get_args(MarkKind), "a mark is of no known kind")
    return Mark(time, until, kind, _text(fields.get("label")), _text(fields.get("text")))


def _window(told: object, series: int) -> Window:
    parts = _of(told, list, "a window")
    _require(len(parts) == len(Window._fields), "a window has other fields")
    start, end = (_of(edge, int, "an edge of a window") for edge in parts[:2])
    _require(start < end and start // SLOT_MS == (end - 1) // SLOT_MS, "a window is too wide")
    clocks = tuple(_clock(each, series) for each in _of(parts[2], list, "clocks"))
    numbers = [number for clock in clocks for number in clock.series]
    _require(len(set(numbers)) == len(numbers), "a window has a series twice")
    return Window(start, end, clocks)


def _clock(told: object, series: int) -> Clock:
    parts = _of(told, list, "a clock")
    _require(len(parts) == len(Clock._fields), "a clock has other fields")
    count, numbers = _of(parts[0], int, "a count"), _of(parts[1], list, "numbers of series")
    _require(0 < count <= MOST_SAMPLES and numbers, "a clock has no samples, or too many")
    for number in numbers:
        _require(0 <= _of(number, int, "a series") < series, "it has samples of no series")
    return Clock(count, tuple(numbers))
