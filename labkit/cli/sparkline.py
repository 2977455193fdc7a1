"""A line of numbers as a line of blocks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 40


def sparkline(values: Sequence[float], width: int = _WIDTH) -> str:
    """Return numbers as blocks from the lowest to the highest; gaps stay blank.

    Args:
        values: the points, evenly spaced; NaN where there is none.
        width: the most characters; more points than that are averaged in groups.
    """
    points = _grouped(values, width)
    known = [value for value in points if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(_block(value, low, high) for value in points)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    if high <= low:
        return BLOCKS[0]
    return BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1))]


def _grouped(values: Sequence[float], width: int) -> list[float]:
    """Return at most ``width`` means of neighbours; NaN only where all of them are."""
    if len(values) <= width:
        return list(values)
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    return [_mean(values[low:high]) for low, high in pairwise(edges)]


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan
