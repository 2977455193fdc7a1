"""Chance that repeats itself: the same draws on any machine and with any numpy.

Everything comes from the raw output of Philox, a counter-based generator whose stream numpy
promises to keep, by additions, multiplications, divisions and square roots alone, which IEEE 754
defines to the last bit. What numpy's own distributions return may change with its version, and
``exp`` and ``log`` differ between machines.
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Every use of chance has a number, so that no two of them share a stream.
COUNTS, LATENCIES, IN_PROGRESS, NOISE, RESTARTS, GAPS, UNSCRAPED = range(7)
FLEET = 0  # stands where an instance's number (from 1) would

_LARGE = 32.0  # from here on a Poisson count is drawn from its normal approximation
_MOST = 200  # no count below that limit reaches this, at 53 bits of chance
_HALVINGS = 10


def stream(seed: int, instance: int, use: int, block: int = 0, lane: int = 0) -> np.random.Philox:
    """Return a generator of its own for one use of chance.

    Args:
        seed: the history's.
        instance: the instance's number from 1, or ``FLEET``.
        use: ``COUNTS``, ``LATENCIES``, ….
        block: which stretch of time, so that each can be drawn without those before it.
        lane: which of the things that are drawn there.
    """
    key = np.array([seed, instance], np.uint64)
    return np.random.Philox(counter=np.array([0, lane, use, block], np.uint64), key=key)


def uniform(generator: np.random.Philox, count: int) -> NDArray[np.float64]:
    """Return numbers from 0 to just below 1, with 53 bits each."""
    return _fractions(_raw(generator, count))


def words(generator: np.random.Philox, count: int) -> NDArray[np.uint16]:
    """Return whole numbers from 0 to 65535, in the same order on any machine."""
    return _raw(generator, -(-count // 4)).astype("<u8", copy=False).view("<u2")[:count]


def poisson(generator: np.random.Philox, expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a Poisson count for each expectation; each takes exactly one raw draw.

    By inversion below 32; above, by the normal approximation with the first term of its
    Cornish-Fisher expansion, ``lambda + sqrt(lambda) z + (z^2 - 1) / 6``, rounded (Johnson, Kemp
    and Kotz, Univariate Discrete Distributions, section 4.6).

    Args:
        generator: where the draws come from.
        expected: how many are expected, each at least 0.
    """
    raw = _raw(generator, len(expected))
    counts = np.zeros(len(expected), np.int64)
    few = (expected > 0) & (expected < _LARGE)
    counts[few] = _inverted(_fractions(raw[few]), expected[few])
    many = expected >= _LARGE
    mean = expected[many]
    z = _normal_quantiles()[raw[many] >> np.uint64(48)]
    counts[many] = np.floor(mean + np.sqrt(mean) * z + (z * z - 1.0) / 6.0 + 0.5)
    return counts


def _raw(generator: np.random.Philox, count: int) -> NDArray[np.uint64]:
    return np.asarray(generator.random_raw(count), np.uint64)


def _fractions(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _inverted(chance: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the smallest counts whose cumulative probability exceeds the chance."""
    counts = np.zeros(len(mean), np.int64)
    probability = _exp_minus(mean)
    cumulative = probability.copy()
    for count in range(1, _MOST):
        above = chance >= cumulative
        if not above.any():
            break
        counts += above
        probability = probability * (mean / count)
        cumulative = cumulative + probability
    return counts


def _exp_minus(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return e to the power of -x for 0 <= x < 32, without a library's ``exp``."""
    small = x / 2.0**_HALVINGS
    result = np.ones_like(x)
    for term in range(7, 0, -1):  # Horner's scheme for the Taylor series
        result = 1.0 - small / term * result
    for _ in range(_HALVINGS):
        result = result * result
    return result


@cache
def _normal_quantiles() -> NDArray[np.float64]:
    """Return the standard normal quantiles in the middle of 65536 equal steps.

    Rounded to a millionth, so that a machine's own last bit is lost.
    """
    quantile = NormalDist().inv_cdf
    exact = np.array([quantile((step + 0.5) / 2**16) for step in range(2**16)])
    return np.asarray(np.round(exact * 2**20) / 2**20)
