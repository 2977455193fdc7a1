"""Latencies of the simulated app: a fine grid of values, and how the endpoints spread over it.

A simulated request takes one of 512 latencies from 1 ms to 9.9 s, each 1.8 % above the one
before. That makes quantiles exact, lets "six times slower" be a shift along the grid, and leaves
the sum of latencies a whole number of microseconds.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from app.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

VALUES = 512
_PER_DECADE = 128
# Not a round number: no value lies on the boundary of a bucket.
_SMALLEST_US = 1010
_LEVELS = 2**16  # a shape is a table with this many equally likely entries

VALUES_US: NDArray[np.int64] = np.array(
    [round(_SMALLEST_US * 10 ** (step / _PER_DECADE)) for step in range(VALUES)], np.int64
)
VALUES_SECONDS: NDArray[np.float64] = VALUES_US / 1e6

_HEALTHY = Faults("healthy").to_dict()


@cache
def shape(endpoint: str, status: str) -> NDArray[np.uint16]:
    """Return what latencies an answer may have: indices of values, all equally likely.

    ``/slow`` keeps the times of the healthy faults: evenly from its fastest to its slowest, and
    at its time-out (just above, as in the live app) when it gives up. The others are log-normal;
    three in a thousand answers of ``/`` come from a slower path.

    Args:
        endpoint: a route of the app.
        status: what it answers.
    """
    if endpoint == "/slow" and status != "200":
        above = np.searchsorted(VALUES_SECONDS, _HEALTHY["slow_timeout_seconds"], "right")
        return np.full(_LEVELS, above, np.uint16)
    if endpoint == "/slow":
        low, high = _HEALTHY["slow_min_seconds"], _HEALTHY["slow_max_seconds"]
        return _table(lambda seconds: (seconds - low) / (high - low))
    if endpoint == "/":
        usual, slower = _log_normal(0.012, 0.5), _log_normal(0.25, 0.6)
        return _table(lambda seconds: 0.997 * usual(seconds) + 0.003 * slower(seconds))
    return _table(_log_normal(0.004 if endpoint == "/health" else 0.006, 0.4))


def steps_slower(factor: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many places along the grid make latencies so many times longer.

    Args:
        factor: at least 1.
    """
    return np.searchsorted(_halfway(), factor, "right").astype(np.int64)


@cache
def _halfway() -> NDArray[np.float64]:
    """Return the factors from which one more place is nearer."""
    return np.array([10 ** ((step - 0.5) / _PER_DECADE) for step in range(1, VALUES)])


def _log_normal(median: float, sigma: float) -> Callable[[float], float]:
    normal = NormalDist(math.log(median), sigma)
    return lambda seconds: normal.cdf(math.log(seconds))


def _table(share_within: Callable[[float], float]) -> NDArray[np.uint16]:
    """Return the table of a distribution; a latency between two values takes the upper one."""
    shares = [min(max(share_within(seconds), 0.0), 1.0) for seconds in VALUES_SECONDS.tolist()]
    within = np.round(np.array(shares) * _LEVELS).astype(np.int64)
    within[-1] = _LEVELS
    return np.repeat(np.arange(VALUES, dtype=np.uint16), np.diff(within, prepend=0))
