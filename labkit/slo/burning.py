"""Burning: from counts to when an alert would have fired; arrays only, asks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from labkit.slo.policy import Alert, Pair

    Floats = NDArray[np.float64]


class Episode(NamedTuple):
    """A stretch of time over which an alert fires: its first and its last evaluation, as indices.

    Attributes:
        first: where it fires first, which is once its condition has held for long enough.
        last: where it fires last.
    """

    first: int
    last: int


class Firing(NamedTuple):
    """An alert that fired.

    Attributes:
        alert: its name.
        severity: page or ticket.
        pair: the windows that fired it; the fastest where several did.
        start: when it fired, in the unit of the times.
        end: when it ended; the last time there is where it still fires.
        peak_ratio: the highest error ratio of the long window while it fired.
    """

    alert: str
    severity: str
    pair: Pair
    start: float
    end: float
    peak_ratio: float


def error_ratio(times: ArrayLike, good: ArrayLike, total: ArrayLike, seconds: float) -> Floats:
    """Return the share of requests that were not good in the window before each time.

    Args:
        times: in seconds, rising.
        good: the good requests since the time before.
        total: all requests since the time before.
        seconds: the length of the window, which holds (t - seconds, t].

    Returns:
        One number a time, 0 to 1; NaN where the window holds no request.
    """
    at = np.asarray(times, np.float64)
    before = np.searchsorted(at, at - seconds, side="right")
    sums = [_window_sums(counts, before) for counts in (good, total)]
    ratio = np.full(len(at), np.nan)
    np.divide(sums[1] - sums[0], sums[1], out=ratio, where=sums[1] > 0)
    return ratio


def failed(times: ArrayLike, good: ArrayLike, total: ArrayLike, seconds: float) -> Floats:
    """Return how many requests were not good in the window before each time; see above."""
    at = np.asarray(times, np.float64)
    before = np.searchsorted(at, at - seconds, side="right")
    return _window_sums(total, before) - _window_sums(good, before)


def _window_sums(counts: ArrayLike, before: NDArray[np.intp]) -> Floats:
    cumulated = np.concatenate([[0.0], np.cumsum(np.asarray(counts, np.float64))])
    return np.asarray(cumulated[1:] - cumulated[before], np.float64)


def firing(  # noqa: PLR0917 - in the order of the rule: both windows, the limit, `for`
    times: ArrayLike,
    long: ArrayLike,
    short: ArrayLike,
    factor: float,
    budget: float,
    for_seconds: float = 0.0,
) -> list[tuple[float, float]]:
    """Return when a pair of windows alone fires an alert.

    Args:
        times: of the evaluations, in seconds, rising.
        long: the error ratio over the long window at each of them; NaN where there is none.
        short: the same over the short window.
        factor: the burn rate that both have to exceed.
        budget: the error ratio that is allowed: 0.005 for 99.5 %.
        for_seconds: how long both have to exceed it before the alert fires.

    Returns:
        Start and end of each time it fired; it ends at the first evaluation that does not burn,
        or at the last one there is.
    """
    at = np.asarray(times, np.float64)
    found = episodes(at, burns(long, short, factor, budget), for_seconds)
    return [(float(at[one.first]), _end(at, one)) for one in found]


def burns(long: ArrayLike, short: ArrayLike, factor: float, budget: float) -> NDArray[np.bool_]:
    """Return where both windows of a pair exceed a burn rate; NaN does not, as in PromQL.

    Args:
        long: the error ratio over the long window.
        short: the same over the short window.
        factor: the burn rate.
        budget: the error ratio that is allowed.
    """
    limit = factor * budget
    return (np.asarray(long) > limit) & (np.asarray(short) > limit)


def episodes(times: Floats, condition: NDArray[np.bool_], for_seconds: float) -> list[Episode]:
    """Return where a condition that has to hold for a while fires, as Prometheus applies ``for``.

    It counts from the first evaluation at which the condition holds, and one at which it does not
    begins anew (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/).

    Args:
        times: of the evaluations, in seconds, rising.
        condition: whether it holds at each of them.
        for_seconds: how long it has to hold.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], condition, [False]]).astype(np.int8)))
    found = []
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        fires = first + int(np.searchsorted(times[first:after], times[first] + for_seconds))
        if fires < after:
            found.append(Episode(int(fires), int(after) - 1))
    return found


def fired(times: ArrayLike, alert: Alert, ratios: Sequence[ArrayLike]) -> list[Firing]:
    """Return when an alert of several pairs fired.

    Args:
        times: of the evaluations, in seconds, rising.
        alert: the alert.
        ratios: for each of its pairs the long window's error ratio where both its windows burn,
            and NaN where they do not, as the condition in PromQL has it.
    """
    at = np.asarray(times, np.float64)
    values = np.array([np.asarray(each, np.float64) for each in ratios]).reshape(-1, len(at))
    holds = ~np.isnan(values)
    found = []
    for one in episodes(at, holds.any(axis=0), alert.for_seconds):
        span = slice(one.first, one.last + 1)
        pair = alert.pairs[int(np.argmax(holds[:, one.first]))]
        peak = float(np.nanmax(values[:, span]))
        start, end = float(at[one.first]), _end(at, one)
        found.append(Firing(alert.name, alert.severity, pair, start, end, peak))
    return found


def simulate(
    times: ArrayLike, good: ArrayLike, total: ArrayLike, alerts: Iterable[Alert], budget: float
) -> list[Firing]:
    """Return which alerts fire on counts, the earliest first.

    Args:
        times: of the counts and of the evaluations, in seconds, rising.
        good: the good requests since the time before.
        total: all requests since the time before.
        alerts: the alerts, such as ``slo.alerting()``.
        budget: the error ratio that is allowed.
    """
    found = []
    for alert in alerts:
        ratios = []
        for pair in alert.pairs:
            windows = (pair.long_seconds, pair.short_seconds)
            long, short = (error_ratio(times, good, total, seconds) for seconds in windows)
            holds = burns(long, short, pair.factor, budget)
            holds &= failed(times, good, total, pair.long_seconds) >= pair.least_failed
            ratios.append(np.where(holds, long, np.nan))
        found += fired(times, alert, ratios)
    return sorted(found, key=lambda one: one.start)


def _end(times: Floats, one: Episode) -> float:
    return float(times[min(one.last + 1, len(times) - 1)])
