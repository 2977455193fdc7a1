"""One tile as a picture that is drawn again and again, for a fraction of what a new one costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

from labkit.plots.colours import theme_named
from labkit.plots.picture import CSS_PIXELS_PER_INCH, DENSITY, Picture, encoded, inches
from labkit.plots.tiles.faces import face
from labkit.plots.tiles.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

    from labkit.plots.tiles.face import Declared, Failure, View

WIDTH, HEIGHT = 460, 260  # CSS pixels


class LiveTile:
    """A tile on a canvas of its own. What stands still is drawn once and copied from then on.

    Args:
        tile: what it shows.
        theme: light or dark.
        density: pixels of the picture for each CSS pixel.
    """

    def __init__(self, tile: Declared, theme: str = "light", density: float = DENSITY) -> None:
        colours = theme_named(theme)
        self._figure = Picture(
            figsize=(inches(WIDTH), inches(HEIGHT)),
            dpi=CSS_PIXELS_PER_INCH * density,
            facecolor=colours.paper,
        )
        self._canvas: Any = FigureCanvasAgg(self._figure)
        self._face = face(Sheet(self._figure, colours, width=WIDTH, height=HEIGHT), tile)
        self._still: Any = None

    def png(self, content: pd.DataFrame | Failure, view: View) -> bytes:
        """Draw a frame and return it as a PNG."""
        changed = self._face.show(content, view)
        if changed or self._still is None:
            self._draw_still()
        else:
            np.copyto(np.asarray(self._canvas.buffer_rgba()), self._still)
        for artist in self._face.moving:
            artist.draw(self._canvas.renderer)
        return encoded(self._canvas)

    def _draw_still(self) -> None:
        """Draw everything but what moves, and keep a copy of it."""
        for artist in self._face.moving:
            artist.set_animated(True)
        self._canvas.draw()
        # Not copy_from_bbox: it leaves the last column of pixels out.
        self._still = np.array(self._canvas.buffer_rgba())
