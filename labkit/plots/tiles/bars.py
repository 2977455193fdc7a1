"""A bar for each series at the end of the window; each keeps its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle

from labkit.plots.colours import STATUS_CLASSES, strokes
from labkit.plots.drawing import bar_data
from labkit.plots.furniture import number, writing
from labkit.plots.names import clean, names
from labkit.plots.tiles.face import Face
from labkit.plots.tiles.over_time import steady_top
from labkit.plots.tiles.sheet import SMALL_POINTS, width_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.plots.tiles.face import View

_MOST = 9
_THICK = 0.56  # of a row
_VALUE_PIXELS = 60
_CLASSES = {"5xx": "5xx: the server's", "4xx": "4xx: the client's"}


class BarsFace(Face):
    """Bars by name, so that none changes places while one looks; the highest, if there are many."""

    _axes: Axes
    _top = 0.0

    def still(self, frame: pd.DataFrame) -> Hashable:
        """Return the series in order, and the scale."""
        labels, values = bar_data(frame)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        order = np.argsort(-values, kind="stable")[:_MOST]
        written = names(labels)
        self._order = sorted(order.tolist(), key=lambda i: written[i])
        self._more = len(labels) - len(order)
        self._top = steady_top(max(0.0, *values), self._top)
        return (tuple(written[i] for i in self._order), self._more, self._top)

    def build(self, frame: pd.DataFrame) -> None:
        """Draw the names, and the room that each bar has."""
        labels, _ = bar_data(frame)
        written = names(labels)
        shown = [clean(written[i], 24) or "all" for i in self._order]
        self.sheet.heading(self.tile.title, self.tile.unit_of())
        left = 24 + max(width_of(name) for name in shown)
        self._axes = axes = self.sheet.axes(left=left, right=_VALUE_PIXELS, top=44, bottom=26)
        axes.set(xlim=(0, self._top), ylim=(max(len(shown), 4) - 0.5, -0.5))
        colours = strokes(labels, self.theme)
        self._bars, self._values = [], []
        for row, (name, series) in enumerate(zip(shown, self._order, strict=True)):
            axes.add_patch(self._bar(row, self.theme.grid, self._top, alpha=0.55))
            self._bars.append(self._bar(row, colours[series].colour, 0.0))
            axes.add_patch(self._bars[-1])
            self._beside(row, -8, name, self.theme.ink, "right")
            self._values.append(self._beside(row, 6, "", self.theme.ink, "left"))
        for limit in self.tile.thresholds_of():
            axes.axvline(limit, color=self.too_much(limit), linewidth=1.1, dashes=(5, 3))
        if any("error_type" in each for each in labels):
            self._classes()
        if self._more:
            self.sheet.text(14, 8, f"+{self._more} more", self.theme.muted)

    def _classes(self) -> None:
        """Say at the bottom which colour is which class of status."""
        x = self.sheet.width - 14.0
        for name, words in reversed(_CLASSES.items()):
            x -= width_of(words)
            self.sheet.text(x, 8, words, self.theme.muted)
            self.sheet.line((x - 14, x - 6), (12, 12), color=STATUS_CLASSES[name], linewidth=5)
            x -= 26

    def move(self, frame: pd.DataFrame, view: View) -> None:  # noqa: ARG002 - as declared
        """Give each bar its length and its number."""
        _, values = bar_data(frame)
        for bar, text, series in zip(self._bars, self._values, self._order, strict=True):
            value = float(values[series])
            bar.set_width(max(0.0, float(np.nan_to_num(value))))
            text.set_text(number(value))
            text.set_color(self.too_much(value) or self.theme.ink)
        self.moving = [*self._bars, *self._values]

    def _bar(self, row: int, colour: str, width: float, **how: Any) -> Rectangle:
        return Rectangle((0, row - _THICK / 2), width, _THICK, color=colour, linewidth=0, **how)

    def _beside(self, row: int, aside: float, words: str, colour: str, ha: Any) -> Any:
        """Write beside a bar's room: so many pixels from its left or right end."""
        return self._axes.annotate(
            words,
            (0.0 if ha == "right" else 1.0, row),
            xycoords=self._axes.get_yaxis_transform(),
            xytext=(aside * 0.72, 0),
            textcoords="offset points",
            ha=ha,
            va="center",
            annotation_clip=False,
            **writing(colour, SMALL_POINTS),
        )
