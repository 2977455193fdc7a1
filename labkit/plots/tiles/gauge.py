"""One number on a half circle, with its thresholds coloured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Wedge

from labkit.plots.colours import GREEN, ORANGE
from labkit.plots.furniture import number, writing
from labkit.plots.tiles.face import Face

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.plots.tiles.face import View

_INNER = 0.76  # radius of the dial's inner edge; the outer one is 1
_RIM, _RIM_WIDTH = 1.11, 0.06
_LEFT_END = 180.0  # degrees


class GaugeFace(Face):
    """A dial from 0 to the end of its scale; its rim shows where too much begins."""

    _axes: Axes

    def still(self, frame: pd.DataFrame) -> Hashable:  # noqa: ARG002 - as declared
        """Return nothing that changes."""
        return "dial"

    def build(self, frame: pd.DataFrame) -> None:  # noqa: ARG002 - as declared
        """Draw the dial, its rim and its numbers."""
        self.sheet.heading(self.tile.title, self.tile.unit_of())
        self._axes = axes = self.sheet.axes(left=20, right=20, top=40, bottom=14)
        axes.set(xlim=(-1.5, 1.5), ylim=(-0.36, 1.3), aspect="equal", frame_on=False)
        axes.add_patch(Wedge((0, 0), 1.0, 0, 180, width=1 - _INNER, color=self.theme.grid))
        limits = self.tile.thresholds_of()
        ends = [0.0, *limits, self.tile.scale_end]
        for low, high, colour in zip(ends, ends[1:], self._rim(len(limits)), strict=False):
            turn = (self._degrees(high), self._degrees(low))
            axes.add_patch(Wedge((0, 0), _RIM, *turn, width=_RIM_WIDTH, color=colour))
        for value in ends:
            self._mark(value)
        self._hand = Wedge((0, 0), 1.0, 180, 180, width=1 - _INNER)
        axes.add_patch(self._hand)
        middle = {"ha": "center", "fontweight": "bold", **writing(self.theme.ink, 26)}
        self._number = axes.text(0, 0.1, "", **middle)
        self._words = axes.text(0, -0.28, "", ha="center", **writing(self.theme.muted, 9))

    def move(self, frame: pd.DataFrame, view: View) -> None:  # noqa: ARG002 - as declared
        """Turn the hand and write the number."""
        value = float(frame["value"].iloc[0])
        colour = self.verdict(value)
        self._hand.set_theta1(self._degrees(value))
        self._hand.set_color(colour)
        unit = self.tile.unit_of()
        self._number.set_text(f"{_short(value)} {unit}".strip())
        self._words.set_text(self._judgement(value))
        self._words.set_color(self.too_much(value) or self.theme.muted)
        self.moving = [self._hand, self._number, self._words]

    def _rim(self, limits: int) -> list[str]:
        """Return a colour for each stretch of the scale."""
        bad = self.theme.threshold
        return [self.theme.grid] if not limits else [GREEN, *[ORANGE] * (limits - 1), bad]

    def _mark(self, value: float) -> None:
        angle = math.radians(self._degrees(value))
        x, y = 1.2 * math.cos(angle), 1.2 * math.sin(angle)
        side = "right" if x < -0.3 else "left" if x > 0.3 else "center"  # noqa: PLR2004 - about the top
        words = number(value)
        self._axes.text(x, y, words, ha=side, va="center", **writing(self.theme.muted))

    def _degrees(self, value: float) -> float:
        return _LEFT_END * (1 - float(np.clip(value / self.tile.scale_end, 0.0, 1.0)))

    def _judgement(self, value: float) -> str:
        limits = self.tile.thresholds_of()
        if not limits:
            return ""
        passed = [limit for limit in limits if value >= limit]
        limit = passed[-1] if passed else limits[0]
        side = "at or above" if passed else "below"
        return f"{side} the threshold of {number(limit)} {self.tile.unit_of()}".strip()


def _short(value: float) -> str:
    """Write a value with one digit after the point at most, so that its place stays."""
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"  # noqa: PLR2004 - three digits
