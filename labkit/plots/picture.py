"""Figures that a notebook shows without pyplot, which keeps every figure it ever made."""

from __future__ import annotations

import html
import io
from base64 import b64encode
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from labkit.plots.colours import Theme, theme_named

CSS_PIXELS_PER_INCH = 100
DENSITY = 2  # pixels for each CSS pixel: sharp on screens of high density
_PAD_INCHES = 0.08
WIDTH_INCHES, HEIGHT_INCHES = 8.0, 3.2
_HALF = 0.5
_FAST = 1  # PNG compression level: a fifth of the time of the default for some more bytes

LIGHT_CLASS = "labkit-chart"
"""The class of a picture on white paper, which :data:`DARK_PAGE` is about."""

# The kernel cannot know the page's theme, and it can change: the page itself turns a picture's
# light and dark round, and its hues back.
DARK_PAGE = (
    f'<style>[data-jp-theme-light="false"] .{LIGHT_CLASS} '
    "{ filter: invert(0.93) hue-rotate(180deg); }</style>"
)

_LONGEST_ALT = 300


class Picture(Figure):
    """A matplotlib Figure that a notebook shows as a picture."""

    theme: Theme

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        return bundle(self)


class PictureAxes(Axes):
    """Matplotlib Axes that a notebook shows as the picture they are part of."""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        return bundle(figure_of(self))


def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = WIDTH_INCHES,
    height: float | None = None,
    theme: str = "light",
    density: float = DENSITY,
) -> Figure:
    """Make a figure that pyplot knows nothing of; its empty axes are in ``figure.axes``.

    Args:
        rows: how many axes are below each other.
        columns: how many are beside each other.
        width: in inches; a hundred CSS pixels each.
        height: in inches; 3.2 a row by default.
        theme: ``light`` or ``dark``.
        density: pixels of the picture for each CSS pixel.

    Raises:
        ValueError: for a theme that there is not.
    """
    colours = theme_named(theme)
    made = Picture(
        figsize=(width, height or HEIGHT_INCHES * rows),
        dpi=CSS_PIXELS_PER_INCH * density,
        facecolor=colours.paper,
        layout=ConstrainedLayoutEngine(h_pad=_PAD_INCHES, w_pad=_PAD_INCHES),
    )
    made.theme = colours
    FigureCanvasAgg(made)
    made.subplots(rows, columns, subplot_kw={"axes_class": PictureAxes, "facecolor": colours.paper})
    return made


def png(figure: Figure, *, dpi: float | None = None) -> bytes:
    """Draw a figure and return it as a PNG, opaque.

    Args:
        figure: any matplotlib figure.
        dpi: pixels an inch; the figure's own by default, which for :func:`figure` is two pixels
            for each CSS pixel.
    """
    own = figure.dpi
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    try:
        if dpi is not None:
            figure.dpi = dpi
        canvas.draw()  # type: ignore[no-untyped-call] # matplotlib is typed in part
        return encoded(canvas)
    finally:
        if dpi is not None:
            figure.dpi = own


def encoded(canvas: FigureCanvasAgg) -> bytes:
    """Return what was last drawn on a canvas as a PNG, opaque."""
    from PIL import Image

    pixels = canvas.buffer_rgba()  # type: ignore[no-untyped-call] # matplotlib is typed in part
    image = Image.frombuffer("RGBA", canvas.get_width_height(), pixels, "raw", "RGBA", 0, 1)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG", compress_level=_FAST)
    return buffer.getvalue()


def inches(pixels: float) -> float:
    """Return how many inches of a figure are so many CSS pixels, and a hair more.

    Matplotlib 3.10 cuts the 919.9999 pixels of 4.6 inches down to 919; later ones round.
    """
    return (pixels + 1e-6) / CSS_PIXELS_PER_INCH


def size(figure: Figure) -> dict[str, int]:
    """Return the ``width`` and ``height`` in CSS pixels at which a figure is meant to be seen."""
    width, height = figure.get_size_inches() * CSS_PIXELS_PER_INCH
    return {"width": round(width), "height": round(height)}


def bundle(figure: Figure) -> tuple[dict[str, object], dict[str, object]]:
    """Return a figure as each kind of place shows it, by media type, and what is said of it."""
    data, alt = png(figure), described(figure)
    shown: dict[str, object] = {"text/html": tag(data, figure, alt), "text/plain": alt}
    return {**shown, "image/png": data}, {"image/png": {**size(figure), "alt": alt}}


def as_html(figure: Figure, alt: str) -> str:
    """Draw a figure and return it as an image of a page, which suits light and dark themes.

    Args:
        figure: any matplotlib figure.
        alt: what it shows, in words for those who don't see it.
    """
    return tag(png(figure), figure, alt)


def tag(data: bytes, figure: Figure, alt: str) -> str:
    """Return the image of a page that holds a figure's PNG."""
    shape = " ".join(f'{name}="{pixels}"' for name, pixels in size(figure).items())
    light = luminance(figure) > _HALF
    head = f'{DARK_PAGE}<img class="{LIGHT_CLASS}"' if light else "<img"
    return (
        f"{head} {shape} "
        f'style="max-width:100%;height:auto" alt="{html.escape(alt, quote=True)}" '
        f'src="data:image/png;base64,{b64encode(data).decode()}">'
    )


def luminance(figure: Figure) -> float:
    """Return how light a figure's paper is, from 0 for black to 1 for white."""
    red, green, blue = to_rgb(figure.get_facecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue  # ITU-R BT.709


def described(figure: Figure) -> str:
    """Return what a figure shows, in words for those who don't see it: the titles of its charts.

    A figure that is one sheet, such as a dashboard's, has texts of its own instead.
    """
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    named = [title for title in titles if title] or [text.get_text() for text in figure.texts]
    return ": ".join(filter(None, ["Chart", "; ".join(filter(None, named))]))[:_LONGEST_ALT]


def show(axes: Axes) -> None:
    """Show a picture in the notebook now; one that is a cell's last value shows by itself.

    Args:
        axes: what a chart function returned, or axes of your own.
    """
    from IPython.display import display

    display(figure_of(axes))  # type: ignore[no-untyped-call] # IPython is untyped


def figure_of(axes: Axes) -> Figure:
    """Return the whole figure that axes are in."""
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101 - only removed axes are in no figure
    return figure


def theme_of(axes: Axes) -> Theme:
    """Return the theme of the figure that axes are in; light for figures made elsewhere."""
    theme: Any = getattr(figure_of(axes), "theme", None)
    return theme if isinstance(theme, Theme) else theme_named("light")
