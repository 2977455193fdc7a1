"""The ground of one tile: a rectangle of a figure, measured in CSS pixels."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from matplotlib.font_manager import findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Affine2D

from labkit.plots.furniture import number, writing
from labkit.plots.names import FAMILY, clean, wrapped
from labkit.plots.picture import CSS_PIXELS_PER_INCH, PictureAxes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

    from labkit.plots.colours import Theme

TITLE_POINTS, SMALL_POINTS = 10.0, 8.3
CHARACTER_PIXELS = 6.8  # about what a character of the small size takes


@lru_cache(maxsize=1024)
def width_of(words: str, points: float = SMALL_POINTS) -> float:
    """Return how wide words are when written, in CSS pixels."""
    font = get_font(findfont(FAMILY))
    font.set_size(points, CSS_PIXELS_PER_INCH)
    font.set_text(words)
    return float(font.get_width_height()[0] / 64)  # it counts in 64ths of a pixel


def short(value: float) -> str:
    """Write a value in little room: three digits, and no more than four after the point."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return number(float(text))


class Sheet:
    """A rectangle of a figure; what is drawn on it is placed from its lower left corner.

    Args:
        figure: the figure, of a hundred CSS pixels an inch.
        theme: its colours.
        width: in CSS pixels.
        height: in CSS pixels.
        x: of the left edge, in CSS pixels.
        y: of the lower edge.
    """

    def __init__(
        self,
        figure: Figure,
        theme: Theme,
        *,
        width: float,
        height: float,
        x: float = 0.0,
        y: float = 0.0,
    ) -> None:
        self.figure = figure
        self.theme = theme
        self.width = width
        self.height = height
        self._x, self._y = x, y
        self._artists: list[Artist] = []
        inches = Affine2D().translate(x, y).scale(1 / CSS_PIXELS_PER_INCH)
        self.pixels: Transform = inches + figure.dpi_scale_trans

    def axes(self, *, left: float, right: float, top: float, bottom: float) -> Axes:
        """Add axes with these margins, in CSS pixels; without ticks until they are given some."""
        whole_width, whole_height = self.figure.get_size_inches() * CSS_PIXELS_PER_INCH
        box = (
            (self._x + left) / whole_width,
            (self._y + bottom) / whole_height,
            (self.width - left - right) / whole_width,
            (self.height - top - bottom) / whole_height,
        )
        axes = PictureAxes(self.figure, box, facecolor=self.theme.paper)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
        self.figure.add_axes(axes)
        self._artists.append(axes)
        return axes

    def text(
        self, x: float, y: float, words: str, colour: str, points: float = SMALL_POINTS, **how: Any
    ) -> Text:
        """Write words at a place, from the left on its base line unless told otherwise."""
        style: dict[str, Any] = {**writing(colour, points), "transform": self.pixels, **how}
        text = Text(x, y, words, **style)
        self._add(text)
        return text

    def line(self, x: tuple[float, float], y: tuple[float, float], **how: Any) -> None:
        """Draw a straight line between two places."""
        self._add(Line2D(x, y, transform=self.pixels, **how))

    def _add(self, artist: Artist) -> None:
        self.figure.add_artist(artist)
        self._artists.append(artist)

    def clear(self) -> None:
        """Take everything off again."""
        for artist in self._artists:
            artist.remove()
        self._artists.clear()

    def heading(self, title: str, unit: str = "") -> None:
        """Write a title at the top left, and what is measured at the right."""
        y = self.height - 22
        room = int((self.width - 30 - CHARACTER_PIXELS * len(unit)) / (CHARACTER_PIXELS * 1.25))
        self.text(14, y, wrapped(title, room, 1), self.theme.ink, TITLE_POINTS, fontweight="bold")
        if unit:
            self.text(self.width - 14, y, clean(unit), self.theme.muted, ha="right")
