"""A latency distribution on a logarithmic axis, with the boundaries of a histogram's buckets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from labkit.plots.colours import SKY
from labkit.plots.drawing import Drawing
from labkit.plots.furniture import label, number, value_axis, width_inches, writing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from labkit.plots.colours import Theme

_CHARACTER_INCHES = 0.073
_LEAST_TICK_INCHES = 0.34  # between the names of two boundaries
_ROW_SHARE = 0.085  # of the chart's height, for a row of names above the bars
_BESIDE_INCHES = 0.08  # between a name and the next one
_LEAST_SHARE = 0.3  # of the width that is left of the last line, however long its name is
_AIR = 1.1  # beside the outermost bar or boundary, as a factor
_WORDS = "latency (s); ticks: bucket boundaries"
BOUNDARIES = "boundaries"
"""The label of the lines that are boundaries."""


def latency(
    edges: Sequence[float],
    counts: Sequence[int],
    bounds: Sequence[float],
    *,
    quantiles: Mapping[str, float],
    answers: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    theme: str = "light",
) -> Axes:
    """Draw how many answers took how long, over the buckets that a histogram puts them in.

    Args:
        edges: the edges of the bars in seconds, ascending and above 0; one more than counts.
        counts: the answers in each bar.
        bounds: the upper boundaries of the buckets in seconds; each in view is a line and a tick.
        quantiles: the true ones by name, such as ``p95``, in seconds.
        answers: what PromQL gives by name, in seconds; the bucket of each is shaded.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.

    Raises:
        ValueError: when there is not one edge more than counts.
    """
    if len(edges) != len(counts) + 1:
        raise ValueError(f"{len(counts)} bars have {len(counts) + 1} edges, not {len(edges)}")
    chart = Drawing(ax, theme, title)
    drawn = np.asarray(counts, np.float64)
    label(chart.ax, chart.theme, x=_WORDS, y="answers")
    if not drawn.sum():
        chart.ax.set_xticks([])
        return chart.nothing(empty=True, hint="Nothing was answered.")
    at = np.asarray(edges, np.float64)
    finite = np.array([bound for bound in bounds if math.isfinite(bound)], np.float64)
    marks = sorted([*_true(chart.theme, quantiles), *_asked(chart.theme, answers or {})])
    _seconds_axis(chart.ax, finite, *_reach(at, drawn, marks), marks)
    rows = _rows(chart.ax, marks)
    named = _ROW_SHARE * (max(rows, default=-1) + 1)
    _boundaries(chart.ax, chart.theme, finite, 1 - named)
    for mark in marks:
        if not mark.true:
            _shade(chart.ax, chart.theme, finite, mark.seconds, 1 - named)
    chart.ax.stairs(drawn, at, fill=True, color=SKY, linewidth=0, zorder=2)
    value_axis(chart.ax, chart.theme, 0.0, float(drawn.max()))
    bottom, top = chart.ax.get_ylim()
    chart.ax.set_yticks([tick for tick in chart.ax.get_yticks() if tick <= top])
    chart.ax.set_ylim(bottom, top / (1 - named))
    for mark, row in zip(marks, rows, strict=True):
        _draw(chart.ax, chart.theme, mark, 1 - _ROW_SHARE * (row + 1))
    return chart.ax


class _Mark(NamedTuple):
    """A quantile: where it is, its name in the chart, its colour, and whether it is a true one."""

    seconds: float
    name: str
    colour: str
    true: bool

    @property
    def inches(self) -> float:
        """About how long its name is."""
        return len(self.name) * _CHARACTER_INCHES + _BESIDE_INCHES


def _true(theme: Theme, quantiles: Mapping[str, float]) -> list[_Mark]:
    return [
        _Mark(value, f"{name} {number(value)} s", theme.quantiles.get(name, theme.ink), true=True)
        for name, value in quantiles.items()
        if math.isfinite(value)
    ]


def _asked(theme: Theme, answers: Mapping[str, float]) -> list[_Mark]:
    return [
        _Mark(value, f"PromQL's {name} {number(value)} s", theme.ink, true=False)
        for name, value in answers.items()
        if math.isfinite(value)
    ]


def _reach(
    edges: NDArray[np.float64], counts: NDArray[np.float64], marks: Sequence[_Mark]
) -> tuple[float, float]:
    """Return the lowest and highest latency that there is to see."""
    full = np.flatnonzero(counts)
    seen = [mark.seconds for mark in marks]
    return min(edges[full[0]], *seen), max(edges[full[-1] + 1], *seen)


def _seconds_axis(
    ax: Axes, bounds: NDArray[np.float64], low: float, high: float, marks: Sequence[_Mark]
) -> None:
    """Make the horizontal axis logarithmic, with room for the outermost buckets and all names."""
    low = max([bound for bound in bounds if bound <= low], default=low) / _AIR
    high = min([bound for bound in bounds if bound >= high], default=high) * _AIR
    ax.set_xscale("log")
    room = width_inches(ax)
    decades = math.log10(high / low)
    for mark in marks:  # each begins at its line, and must end before the axes do
        share = max(_LEAST_SHARE, 1 - mark.inches / room)
        decades = max(decades, math.log10(mark.seconds / low) / share)
    ax.set_xlim(low, low * 10**decades)
    ax.xaxis.set_major_locator(FixedLocator(_apart(ax, _in_view(ax, bounds))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _in_view(ax: Axes, bounds: NDArray[np.float64]) -> list[float]:
    low, high = ax.get_xlim()
    return [float(bound) for bound in bounds if low <= bound <= high]


def _boundaries(ax: Axes, theme: Theme, bounds: NDArray[np.float64], top: float) -> None:
    """Draw a line for each boundary in view, up to a share of the chart's height."""
    lines = ax.vlines(_in_view(ax, bounds), 0, top, transform=ax.get_xaxis_transform(), zorder=1.7)
    lines.set(color=theme.muted, linewidth=0.8, alpha=0.55, label=BOUNDARIES)


def _apart(ax: Axes, bounds: Sequence[float]) -> list[float]:
    """Return the boundaries whose names have room beside each other."""
    kept: list[float] = []
    for bound in bounds:
        if not kept or _inches(ax, bound) - _inches(ax, kept[-1]) >= _LEAST_TICK_INCHES:
            kept.append(bound)
    return kept


def _inches(ax: Axes, seconds: float) -> float:
    """Return about how far from the left edge a latency is."""
    low, high = (math.log10(limit) for limit in ax.get_xlim())
    return (math.log10(seconds) - low) / (high - low) * width_inches(ax)


def _shade(ax: Axes, theme: Theme, bounds: NDArray[np.float64], value: float, top: float) -> None:
    """Shade the bucket that a latency falls into, to the edge of the view where it is open."""
    index = int(np.searchsorted(bounds, value, side="left"))
    left, right = ax.get_xlim()
    lower = max(left, bounds[index - 1]) if index else left
    upper = min(right, bounds[index]) if index < len(bounds) else right
    ax.axvspan(lower, upper, 0, top, facecolor=theme.ink, alpha=0.09, linewidth=0, zorder=1.5)


def _rows(ax: Axes, marks: Sequence[_Mark]) -> list[int]:
    """Return the row of each name, the first from the top where no line and no name is crossed.

    A line ends under its own name, so it crosses the rows below: those must be free there.
    """
    ends: list[float] = []
    rows = []
    for mark in marks:
        begin = _inches(ax, mark.seconds) - _BESIDE_INCHES
        row = len(ends)
        while row and ends[row - 1] <= begin:
            row -= 1
        ends[row : row + 1] = [begin + mark.inches + _BESIDE_INCHES]
        rows.append(row)
    return rows


def _draw(ax: Axes, theme: Theme, mark: _Mark, height: float) -> None:
    """Draw a quantile's line up to a share of the chart's height, and its name above the end."""
    dashes: Any = (None, None) if mark.true else (3, 2)
    ax.axvline(mark.seconds, 0, height, color=mark.colour, linewidth=1.8, dashes=dashes, zorder=2.5)
    ax.annotate(
        mark.name,
        (mark.seconds, height),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-1, 1.5),
        textcoords="offset points",
        ha="left",
        va="bottom",
        zorder=3,
        **writing(theme.ink),
    )
