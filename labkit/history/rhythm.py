"""The rhythm of traffic: how busy it is at an hour of the week, and what chance adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labkit.history import chance

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR_MS = 3_600_000
_DAY_HOURS = 24
_WEEK_DAYS = 7
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
_NOISE = 0.08  # an hour has up to so much more or less than its like

# By the hour in UTC: quiet nights, a peak before noon and another in the afternoon.
_NIGHT = [28, 22, 18, 16, 17, 24]
_MORNING = [40, 66, 98, 124, 138, 142]
_AFTERNOON = [130, 132, 144, 148, 140, 126]
_EVENING = [112, 100, 88, 72, 54, 38]
_HOURS = np.array([*_NIGHT, *_MORNING, *_AFTERNOON, *_EVENING], np.float64)
_DAYS = np.array([1.0, 1.05, 1.04, 1.02, 0.95, 0.6, 0.55])  # Monday to Sunday
_MEAN = float(_HOURS.mean() * _DAYS.mean())
PEAK = float(_HOURS.max() * _DAYS.max() / _MEAN)


def relative_traffic(seed: int, times_ms: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how busy it is at some times, where 1 is the mean of a week.

    Each hour has its weight, its day's, and up to 8 % of noise that is the hour's own; in between
    it runs straight from one hour to the next.

    Args:
        seed: where the noise comes from.
        times_ms: ascending, in milliseconds of unix time.
    """
    hours = times_ms // HOUR_MS
    first = int(hours[0])
    knots = _by_hour(seed, first, int(hours[-1]) + 2)
    into = (times_ms - hours * HOUR_MS) / HOUR_MS
    before, after = knots[hours - first], knots[hours - first + 1]
    return before + (after - before) * into


def weekday(day: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
    """Return the day of the week, 0 for Monday, of days since 1970."""
    return (day + _EPOCH_WEEKDAY) % _WEEK_DAYS


def _by_hour(seed: int, first: int, last: int) -> NDArray[np.float64]:
    """Return the weight of each hour since 1970 from the first up to before the last."""
    hours = np.arange(first, last, dtype=np.int64)
    days = hours // _DAY_HOURS
    noise = np.concatenate(
        [
            chance.uniform(chance.stream(seed, chance.FLEET, chance.NOISE, day), _DAY_HOURS)
            for day in range(int(days[0]), int(days[-1]) + 1)
        ]
    )[first - int(days[0]) * _DAY_HOURS :][: len(hours)]
    weights = _HOURS[hours % _DAY_HOURS] * _DAYS[weekday(days)] / _MEAN
    return np.asarray(weights * (1.0 + _NOISE * (2.0 * noise - 1.0)), np.float64)
