"""Series on top of each other, where their sum means something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from labkit.plots.colours import DASHES, strokes
from labkit.plots.drawing import Drawing, times
from labkit.plots.furniture import number
from labkit.plots.names import column_labels, is_unnamed, names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NAMED = 12  # layers with a colour and a name of their own; the rest are one grey layer
_SWATCH_POINTS = 5.0  # how thick a layer's colour is in the legend
_OPACITIES = (0.9, 0.6, 0.4, 0.25)  # of layers of one colour, which as lines differ in their dashes


def stacked(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    title: str | None = None,
    unit: str | None = None,
    threshold: float | None = None,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw each column as a layer on those below it, over the local time.

    The upper edge is the sum. The twelve largest series have colours and names, the others are one
    grey layer on top. A missing value adds nothing; where all are missing there is a gap.

    Args:
        frame: one column a series on a tz-aware time index, as ``query_range`` returns it.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        unit: what the vertical axis measures, for example ``requests/s``.
        threshold: where to draw a line that matters to the sum, in the unit.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the index is not one of times with a zone, or a value is below zero.
    """
    chart = _Stack(ax, theme, title)
    values = frame.to_numpy(np.float64)
    finite = np.where(np.isfinite(values), values, np.nan)
    if (finite < 0).any():
        raise ValueError("layers add up, and some values are below zero: draw them as lines")
    words = "" if threshold is None else f"threshold {number(threshold)} {unit or ''}".strip()
    index = times(frame)
    edges = np.nancumsum(finite, axis=1)
    edges[np.isnan(finite).all(axis=1)] = np.nan
    chart.layers = finite
    sums = pd.DataFrame(edges, index=index, columns=frame.columns)
    sums.attrs |= frame.attrs
    return chart.over_time(sums, unit or "", hint, threshold, words)


class _Stack(Drawing):
    """Axes that layers are drawn on; what each adds is known beside the edges."""

    layers: Any

    def _lines(self, frame: pd.DataFrame, x: Any, values: Any) -> None:
        del values  # the edges give the height of the axis; the layers are drawn in their order
        labels = column_labels(frame)
        order = np.argsort(-np.nansum(self.layers, axis=0), kind="stable").tolist()
        chosen, rest = order[:_MOST_NAMED], order[_MOST_NAMED:]
        gap = np.isnan(self.layers).all(axis=1)
        low = np.where(gap, np.nan, 0.0)
        swatches = []
        series = [labels[column] for column in chosen]
        for column, stroke in zip(chosen, strokes(series, self.theme), strict=True):
            look: dict[str, Any] = {
                "color": stroke.colour,
                "alpha": _OPACITIES[DASHES.index(stroke.dashes)],
            }
            low = self._layer(x, low, self.layers[:, [column]], look)
            swatches.append(Line2D([], [], linewidth=_SWATCH_POINTS, **look))
        written = [names(labels)[column] for column in chosen]
        if rest:
            look = {"color": self.theme.muted, "alpha": _OPACITIES[1]}
            self._layer(x, low, self.layers[:, rest], look)
            swatches.append(Line2D([], [], linewidth=_SWATCH_POINTS, **look))
            written.append(f"+{len(rest)} more")
        if not is_unnamed(labels):
            self._legend(swatches, written, 0, labels)

    def _layer(self, x: Any, low: Any, parts: Any, look: dict[str, Any]) -> Any:
        """Draw what some series add on top of a height; return the new height."""
        high = low + np.nansum(parts, axis=1)
        self.ax.fill_between(x, low, high, linewidth=0, zorder=1.6, **look)
        self.ax.plot(x, high, color=self.theme.paper, linewidth=0.6, zorder=1.7)
        return high
