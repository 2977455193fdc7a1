"""The four charts: rates as lines, counts as bars, latency quantiles, and ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labkit.plots.drawing import Drawing, bar_data
from labkit.plots.furniture import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def line(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    unit: str | None = None,
    threshold: float | None = None,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw each column over the local time.

    The twelve highest series have colours and names, the others are grey and counted in the
    legend. NaN is a gap. Drawing on the same axes again replaces what was there.

    Args:
        frame: one column a series on a tz-aware time index, as ``query_range`` returns it.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        unit: what the vertical axis measures, for example ``requests/s``.
        threshold: where to draw a line that matters, in the unit.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the index is not one of times with a zone.
    """
    chart = Drawing(ax, theme, title)
    words = _named(threshold, "threshold", unit)
    return chart.over_time(frame, unit or "", hint, threshold, words)


def ratio(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    unit: str | None = "%",
    threshold: float | None = 20.0,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw ratios over the local time, with what is above the threshold filled in.

    Args:
        frame: as for :func:`line`, in percent (or in the unit given).
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        unit: what the vertical axis measures.
        threshold: the ratio that is too high, in the unit.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the index is not one of times with a zone.
    """
    chart = Drawing(ax, theme, title)
    words = _named(threshold, "threshold", unit)
    drawn = chart.over_time(frame, _measured("ratio", unit), hint, threshold, words)
    if threshold is not None and not frame.dropna(how="all").empty:
        chart.fill_above(frame, threshold)
    return drawn


def quantiles(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    unit: str | None = "s",
    threshold: float | None = 0.3,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw latency quantiles over the local time, with the objective they are held against.

    Args:
        frame: as for :func:`line`, in seconds; columns such as ``p50``, ``p95``, ``p99``.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        unit: what the vertical axis measures.
        threshold: the objective, in the unit; None leaves it out.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the index is not one of times with a zone.
    """
    chart = Drawing(ax, theme, title)
    words = _named(threshold, "objective", unit)
    return chart.over_time(frame, _measured("latency", unit), hint, threshold, words)


def bars(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    unit: str | None = None,
    threshold: float | None = None,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw each series' value as a bar, the longest on top; beyond fifteen they are counted.

    The buckets of a histogram stand in the order of their boundaries.

    Args:
        frame: labels and ``value``, as ``query`` returns it; of a frame over time, its last
            values.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        unit: what the bars measure, for example ``errors``.
        threshold: where to draw a line that matters, in the unit.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the frame is of neither kind.
    """
    chart = Drawing(ax, theme, title)
    labels, values = bar_data(frame)
    if not len(values) or np.isnan(values).all():
        return chart.no_bars(unit or "", empty=not len(values), hint=hint)
    return chart.bars(labels, values, unit or "", threshold)


def _named(value: float | None, name: str, unit: str | None) -> str:
    return "" if value is None else f"{name} {number(value)} {unit or ''}".strip()


def _measured(what: str, unit: str | None) -> str:
    return f"{what} ({unit})" if unit else what
