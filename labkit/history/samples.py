"""What scrapes find: the series of one instance, from what it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.history import definitions, latency
from labkit.history.definitions import BOUNDS_SECONDS, ENDPOINTS, outcomes
from labkit.history.timeline import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from labkit.history.definitions import Labelled
    from labkit.history.simulation import Instance
    from labkit.history.timeline import Timeline

_RATE_WINDOW_MS = 60_000  # flask_error_rate is about the last 60 s
_MICROSECONDS = 1e6
# Where each bucket begins on the grid of latencies; the last is +Inf.
_BUCKET_STARTS = np.array([0, *np.searchsorted(latency.VALUES_SECONDS, BOUNDS_SECONDS, "right")])
_BUCKETS = len(_BUCKET_STARTS)


class Series(NamedTuple):
    """One series over the times of its chunk, or of the whole history.

    Attributes:
        family: the name of its metric family.
        name: the name of its samples.
        labels: with ``job`` and ``instance``.
        values: one for each time; NaN where the scrape has no sample of it.
    """

    family: str
    name: str
    labels: dict[str, str]
    values: NDArray[np.float64]


class Exposition:
    """The series of one instance, block after block; blocks must be asked for in order.

    Args:
        instance: whose.
        timeline: the scrapes.
        with_bug: whether there may be series that appear when a view raises an exception.
    """

    def __init__(self, instance: Instance, timeline: Timeline, *, with_bug: bool) -> None:
        self._instance = instance
        self._timeline = timeline
        self._layout = definitions.series(with_bug=with_bug)
        self._errors = _error_matrix()
        self._carried: NDArray[np.int64] | None = None
        self._life = 0

    def block(self, block: int) -> list[Series]:
        """Return the series over a block of scrapes."""
        slots = slice(block * BLOCK, (block + 1) * BLOCK)
        latencies = self._instance.latencies(block)
        # Whole numbers of microseconds, far below 2**53: floats hold them exactly.
        micros = (latencies.astype(np.float64) @ latency.VALUES_US).astype(np.int64)
        buckets = np.add.reduceat(latencies, _BUCKET_STARTS, axis=2, dtype=np.int64)
        columns = self._counters(slots, buckets.cumsum(axis=2), micros)
        columns |= self._gauges(block, slots, micros.sum(axis=1) / _MICROSECONDS)
        scraped = self._instance.presence.scraped[slots]
        found = []
        for labelled in self._layout:
            values = columns[_key(labelled)]
            if labelled.name != "up":
                values = np.where(scraped, values, np.nan)
            found.append(self._series(labelled, values))
        return found

    def _series(self, labelled: Labelled, values: NDArray[np.float64]) -> Series:
        labels = {**labelled.labels, "job": definitions.JOB, "instance": self._instance.name}
        return Series(labelled.family, labelled.name, labels, values)

    def _counters(
        self, slots: slice, buckets: NDArray[np.int64], micros: NDArray[np.int64]
    ) -> dict[object, NDArray[np.float64]]:
        by_outcome = self._instance.counts[:, slots].T.astype(np.int64)
        new = [by_outcome, by_outcome @ self._errors, buckets.reshape(BLOCK, -1), micros]
        values = self._since_restart(np.concatenate(new, axis=1), slots).astype(np.float64)
        requests, errors, cumulative, sums = np.split(
            values, np.cumsum([part.shape[1] for part in new])[:-1], axis=1
        )
        return {
            **_request_columns(requests),
            **_error_columns(errors),
            **_histogram_columns(cumulative.reshape(BLOCK, len(ENDPOINTS), -1), sums),
        }

    def _since_restart(self, new: NDArray[np.int64], slots: slice) -> NDArray[np.int64]:
        """Add up what is new in each slot, from 0 again at each restart."""
        life = self._instance.presence.life[slots]
        total = np.cumsum(new, axis=0)
        starts = np.flatnonzero(np.diff(life, prepend=life[0] - 1))
        before = np.concatenate([np.zeros((1, new.shape[1]), np.int64), total])[starts]
        if self._carried is not None and life[0] == self._life:
            before[0] = -self._carried
        values = total - np.repeat(before, np.diff(starts, append=len(life)), axis=0)
        self._carried, self._life = values[-1], int(life[-1])
        return np.asarray(values)

    def _gauges(
        self, block: int, slots: slice, seconds: NDArray[np.float64]
    ) -> dict[object, NDArray[np.float64]]:
        presence = self._instance.presence
        return {
            "flask_error_rate": self._error_percent(slots),
            "flask_uptime_seconds": (
                (self._timeline.times_ms[slots] - presence.created_ms[slots]) / 1000
            ),
            "flask_requests_in_progress": (
                self._instance.in_progress(block, seconds).astype(np.float64)
            ),
            "up": presence.up[slots],
        }

    def _error_percent(self, slots: slice) -> NDArray[np.float64]:
        """Return the percent of requests in the last 60 s, of this life, that recorded an error."""
        window = _RATE_WINDOW_MS // self._timeline.interval_ms
        first = max(slots.start - window + 1, 0)
        counts = self._instance.counts[:, first : slots.stop].astype(np.int64)
        life = self._instance.presence.life[first : slots.stop]
        failed = counts[[outcome.error_type is not None for outcome in outcomes()]].sum(axis=0)
        answered = counts.sum(axis=0)
        errors, requests = failed.copy(), answered.copy()
        for back in range(1, window):
            same = life[back:] == life[:-back]
            errors[back:] += failed[:-back] * same
            requests[back:] += answered[:-back] * same
        percent = np.divide(100.0 * errors, requests, where=requests > 0, out=np.zeros(len(life)))
        return np.asarray(percent[slots.start - first :])


def _key(labelled: Labelled) -> object:
    """Return what a series is found by: its name, and its labels but for the method."""
    labels = {name: value for name, value in labelled.labels.items() if name != "method"}
    return (labelled.name, *labels.values()) if labels else labelled.name


def _error_matrix() -> NDArray[np.int64]:
    """Return which outcome records which error type, 1 or 0."""
    types = _all_error_types()
    return np.array(
        [[int(outcome.error_type == name) for name in types] for outcome in outcomes()], np.int64
    )


def _all_error_types() -> Sequence[str]:
    return [*definitions.error_types(), str(definitions.BUG.error_type)]


def _request_columns(values: NDArray[np.float64]) -> dict[object, NDArray[np.float64]]:
    return {
        ("flask_requests_total", outcome.endpoint, outcome.status): (
            _born(column) if outcome.newborn else column
        )
        for outcome, column in zip(outcomes(), values.T, strict=True)
    }


def _error_columns(values: NDArray[np.float64]) -> dict[object, NDArray[np.float64]]:
    return {
        ("flask_errors_total", name): (
            _born(column) if name == definitions.BUG.error_type else column
        )
        for name, column in zip(_all_error_types(), values.T, strict=True)
    }


def _histogram_columns(
    cumulative: NDArray[np.float64], micros: NDArray[np.float64]
) -> dict[object, NDArray[np.float64]]:
    name = "flask_request_duration_seconds"
    bounds = [*(str(float(bound)) for bound in BOUNDS_SECONDS), "+Inf"]
    columns: dict[object, NDArray[np.float64]] = {}
    for index, endpoint in enumerate(ENDPOINTS):
        for place, bound in enumerate(bounds):
            columns[f"{name}_bucket", endpoint, bound] = cumulative[:, index, place]
        columns[f"{name}_count", endpoint] = cumulative[:, index, _BUCKETS - 1]
        columns[f"{name}_sum", endpoint] = micros[:, index] / _MICROSECONDS
    return columns


def _born(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a series that is not there before its first request."""
    return np.where(column > 0, column, np.nan)
