"""A row for each value of a label, a column for each expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from labkit.plots.colours import strokes
from labkit.plots.names import clean
from labkit.plots.tiles.face import Face
from labkit.plots.tiles.sheet import SMALL_POINTS, short

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from labkit.plots.tiles.face import View

_MOST = 6
_NAME_SHARE = 0.30  # of the width
_MARGIN, _HEAD, _ROW = 14, 56, 30
_POINTS = 9.5


class TableFace(Face):
    """The numbers themselves, those beyond a threshold in its colour."""

    def still(self, frame: pd.DataFrame) -> Hashable:
        """Return the names of the rows and columns."""
        return (tuple(frame.index), tuple(frame.columns), frame.index.name)

    def build(self, frame: pd.DataFrame) -> None:
        """Write the names, and lines between the rows."""
        sheet, theme = self.sheet, self.theme
        sheet.heading(self.tile.title)
        head = sheet.height - _HEAD
        label = str(frame.index.name or "")
        sheet.text(_MARGIN + 16, head, clean(label, 20), theme.muted)
        places = self._places(len(frame.columns))
        for name, x in zip(frame.columns, places, strict=True):
            unit = self.tile.unit_of(str(name))
            words = f"{name} ({unit})" if unit else str(name)
            sheet.text(x, head, clean(words, 22), theme.muted, ha="right")
        rows = list(frame.index[:_MOST])
        colours = strokes([{label: str(row)} for row in frame.index], theme)
        self._cells = []
        for place, row in enumerate(rows):
            y = head - _ROW * (place + 1) + 2
            self._rule(y + 20)
            sheet.line((_MARGIN, _MARGIN + 10), (y + 4, y + 4), color=colours[place].colour, lw=3)
            sheet.text(_MARGIN + 16, y, clean(str(row), 20), theme.ink, _POINTS)
            cells = [sheet.text(x, y, "", theme.ink, _POINTS, ha="right") for x in places]
            self._cells.append(cells)
        if more := len(frame) - len(rows):
            sheet.text(_MARGIN + 16, 8, f"+{more} more", theme.muted, SMALL_POINTS)

    def move(self, frame: pd.DataFrame, view: View) -> None:  # noqa: ARG002 - as declared
        """Write the numbers."""
        values = frame.to_numpy(np.float64)
        for row, cells in zip(values, self._cells, strict=False):
            for name, value, cell in zip(frame.columns, row, cells, strict=True):
                colour = self.too_much(value, str(name))
                cell.set_text(short(float(value)))
                cell.set_color(colour or self.theme.ink)
                cell.set_fontweight("bold" if colour else "normal")
        self.moving = [cell for cells in self._cells for cell in cells]

    def _places(self, columns: int) -> list[float]:
        """Return the right edge of each column of numbers."""
        begin = self.sheet.width * _NAME_SHARE
        wide = (self.sheet.width - begin - _MARGIN) / columns
        return [begin + wide * (column + 1) for column in range(columns)]

    def _rule(self, y: float) -> None:
        ends = (float(_MARGIN), self.sheet.width - _MARGIN)
        self.sheet.line(ends, (y, y), color=self.theme.grid, linewidth=0.8)
