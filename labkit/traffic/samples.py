"""One row for each request that ended: exact to a million, histograms of 1 % beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import LabError
from labkit.traffic.protocol import FIRST_STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

EXACT_LIMIT = 1_000_000
"""Requests up to which every latency is kept; beyond, quantiles are good to 1 %."""

Of = Literal["send", "intended"]

_KINDS: tuple[Of, Of] = ("send", "intended")
_BLOCK_ROWS = 65_536
_CODE_BITS = 16
_FIELDS = [  # as the worker's rows have them; times in microseconds but for the start
    ("start", "f8"),
    ("endpoint", "u2"),
    ("code", "u2"),
    ("late", "u4"),
    ("latency", "u4"),
]
_LONGEST_MICROSECONDS = 3_600_000_000
_SIGNIFICANT_FIGURES = 2
_SUB_BUCKET_BITS = 8  # what two significant figures come to in HdrHistogram


@dataclass(frozen=True, eq=False)
class Exact:
    """All rows of a run up to one moment. Later rows do not change it."""

    blocks: tuple[NDArray[Any], ...]
    length: int

    @property
    def rows(self) -> NDArray[Any]:
        """The rows as one structured array."""
        import numpy as np

        if not self.blocks:
            return np.empty(0, dtype=_FIELDS)
        return np.concatenate(self.blocks)[: self.length]

    def latencies(self, endpoint: int | None, of: Of) -> NDArray[np.float64]:
        """Return the latencies of the responses, in seconds, in the order in which they came."""
        rows = self.rows
        rows = rows[rows["code"] >= FIRST_STATUS]
        if endpoint is not None:
            rows = rows[rows["endpoint"] == endpoint]
        return _seconds(rows, of)

    def lateness(self) -> NDArray[np.float64]:
        """Return how late each request was sent, in seconds."""
        seconds: NDArray[np.float64] = self.rows["late"] / 1e6
        return seconds

    def quantiles(
        self, quantiles: Sequence[float], endpoint: int | None, code: int | None, of: Of
    ) -> list[float]:
        """Return quantiles of latency in seconds; NaN where nothing answered."""
        import numpy as np

        rows = self.rows
        keep = rows["code"] >= FIRST_STATUS if code is None else rows["code"] == code
        if endpoint is not None:
            keep &= rows["endpoint"] == endpoint
        seconds = _seconds(rows[keep], of)
        if not len(seconds):
            return [float("nan")] * len(quantiles)
        return [float(value) for value in np.quantile(seconds, quantiles)]


@dataclass(frozen=True, eq=False)
class Approximate:
    """Histograms of the latencies up to one moment, one an endpoint, code and kind of latency."""

    histograms: dict[tuple[int, int, Of], Any]

    def latencies(self, endpoint: int | None, of: Of) -> NDArray[np.float64]:  # noqa: ARG002 - as Exact
        """Raise LabError: single latencies are gone."""
        raise LabError(
            f"Single latencies are kept for the first {EXACT_LIMIT:,} requests of a run, "
            "and this one had more.",
            next_step="ask for quantile(q), which is good to 1 %.",
        )

    def lateness(self) -> NDArray[np.float64]:
        """Raise LabError: single values are gone."""
        return self.latencies(None, "send")

    def quantiles(
        self, quantiles: Sequence[float], endpoint: int | None, code: int | None, of: Of
    ) -> list[float]:
        """Return quantiles of latency in seconds, within 1 %; NaN where nothing answered."""
        total = _histogram()
        for (its_endpoint, its_code, its_of), histogram in self.histograms.items():
            wanted = its_of == of and endpoint in (None, its_endpoint) and code in (None, its_code)
            if wanted and its_code >= FIRST_STATUS:
                total.add(histogram)
        if not total.get_total_count():
            return [float("nan")] * len(quantiles)
        return [total.get_value_at_percentile(100 * q) / 1e6 for q in quantiles]


class Samples:
    """The growing rows of a run. Threads that share it take turns (see ``Recorder``).

    Args:
        limit: how many rows are kept exactly.
    """

    def __init__(self, limit: int = EXACT_LIMIT) -> None:
        self._limit = limit
        self._blocks: list[NDArray[Any]] = []
        self._length = 0
        self._histograms: dict[tuple[int, int, Of], Any] | None = None

    def add(self, rows: Iterable[Sequence[float]]) -> None:
        """Take rows in: start, endpoint, code, late, latency."""
        import numpy as np

        new = np.array([tuple(row) for row in rows], dtype=_FIELDS)
        if self._histograms is None and self._length + len(new) > self._limit:
            self._histograms = {}
            self._summarise(Exact(tuple(self._blocks), self._length).rows)
            self._blocks = []
        if self._histograms is None:
            self._append(new)
        else:
            self._summarise(new)

    def view(self) -> Exact | Approximate:
        """Return what there is now, unchanged by what comes later."""
        if self._histograms is None:
            return Exact(tuple(self._blocks), self._length)
        return Approximate({key: _copy(value) for key, value in self._histograms.items()})

    def _append(self, new: NDArray[Any]) -> None:
        """Fill the blocks; what was filled before is never written again, so views can share."""
        import numpy as np

        while len(new):
            used = self._length % _BLOCK_ROWS
            if used == 0:
                self._blocks.append(np.empty(_BLOCK_ROWS, dtype=_FIELDS))
            part, new = new[: _BLOCK_ROWS - used], new[_BLOCK_ROWS - used :]
            self._blocks[-1][used : used + len(part)] = part
            self._length += len(part)

    def _summarise(self, rows: NDArray[Any]) -> None:
        import numpy as np

        assert self._histograms is not None  # noqa: S101 - add made it
        keys = rows["endpoint"].astype(np.int64) << _CODE_BITS | rows["code"]
        for key in np.unique(keys).tolist():
            endpoint, code = key >> _CODE_BITS, key & ((1 << _CODE_BITS) - 1)
            for of in _KINDS:
                histogram = self._histograms.setdefault((endpoint, code, of), _histogram())
                seconds = _seconds(rows[keys == key], of)
                _record(histogram, np.rint(seconds * 1e6).astype(np.int64))


def _seconds(rows: NDArray[Any], of: Of) -> NDArray[np.float64]:
    microseconds = rows["latency"].astype("f8")
    if of == "intended":
        microseconds += rows["late"]
    return microseconds / 1e6


def _histogram() -> Any:
    from hdrh.histogram import HdrHistogram

    return HdrHistogram(1, _LONGEST_MICROSECONDS, _SIGNIFICANT_FIGURES)


def _copy(histogram: Any) -> Any:
    copy = _histogram()
    copy.add(histogram)
    return copy


def _record(histogram: Any, microseconds: NDArray[np.int64]) -> None:
    """Record many values at once: first to the histogram's own resolution, then by count."""
    import numpy as np

    bits = np.frexp(microseconds)[1]
    shift = np.maximum(bits - _SUB_BUCKET_BITS, 0)
    values, counts = np.unique((microseconds >> shift) << shift, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(min(value, _LONGEST_MICROSECONDS), count)
