"""What is around the data: title, units, local time, thresholds, legends, and words for nothing."""

from __future__ import annotations

import math
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dateutil.tz import tzlocal  # type: ignore[import-untyped] # ships no types
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from labkit.plots.names import FAMILY, clean, wrapped
from labkit.plots.picture import figure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.plots.colours import Theme

_TICKS_PER_INCH = 1.6  # "13:59:00" and some air
_TITLE, _SMALL = 10.5, 8.5  # points
_CHARACTER_INCHES = 0.073  # about what a character of the small size takes
_TITLE_CHARACTER_INCHES = 0.086
_HANDLE_INCHES = 0.55  # the stroke beside a name in a legend, and the room between two names
LEGEND_ROW_INCHES = 0.17
_BESIDE_INCHES = 0.6  # what the ticks and the unit take at the left
_UNDER_INCHES = 0.46  # what the ticks and the time's name take below
_MS_PER_DAY = 86_400_000
# Ticks within one minute show the minute, too: "12:51:30" rather than "30".
_TICKS = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
_ZEROS = ["", "%Y", "%b", "%d %b", "%H:%M", "%H:%M:%S"]
_DATES = ["", "%Y", "%b %Y", "%d %b %Y", "%d %b %Y", "%d %b %Y"]


def writing(colour: str, points: float = _SMALL) -> dict[str, Any]:
    """Return how text is set; a ``$`` in it is a dollar sign, never mathematics."""
    return {"color": colour, "fontsize": points, "fontfamily": FAMILY, "parse_math": False}


def furnish(ax: Axes, theme: Theme, title: str | None) -> None:
    """Clear axes and set them up: ground, grid, title, the writing's size and colours."""
    ax.clear()
    ax.set_facecolor(theme.paper)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.grid)
    ax.tick_params(
        colors=theme.muted, labelsize=_SMALL, labelfontfamily=FAMILY, length=3, color=theme.grid
    )
    if title:
        room = max(20, int(width_inches(ax) / _TITLE_CHARACTER_INCHES))
        ax.set_title(wrapped(title, room), loc="left", **writing(theme.ink, _TITLE))


def label(ax: Axes, theme: Theme, *, x: str = "", y: str = "") -> None:
    """Write what the axes measure."""
    ax.set_xlabel(clean(x), **writing(theme.muted))
    ax.set_ylabel(clean(y), **writing(theme.muted))


def days(index: pd.DatetimeIndex) -> Any:
    """Return times as matplotlib counts them: days of unix time, as an array of floats."""
    return index.as_unit("ms").asi8 / _MS_PER_DAY


def time_axis(ax: Axes, theme: Theme, index: pd.DatetimeIndex) -> None:
    """Make the horizontal axis the local time over the whole of an index."""
    zone = tzlocal()
    ax.xaxis_date(zone)
    width = figure_of(ax).get_figwidth() * ax.get_position().width
    locator = AutoDateLocator(  # type: ignore[no-untyped-call] # matplotlib is typed in part
        zone, minticks=2, maxticks=max(5, round(width * _TICKS_PER_INCH))
    )
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call] # as above
        locator, zone, formats=_TICKS, zero_formats=_ZEROS, offset_formats=_DATES
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    offset = ax.xaxis.get_offset_text()
    offset.set(color=theme.muted, fontsize=_SMALL, fontfamily=FAMILY)
    when = datetime.now(UTC)
    if len(index):
        first, last = days(index[[0, -1]])
        margin = 0 if last > first else 30_000 / _MS_PER_DAY  # one point stands in a minute
        ax.set_xlim(first - margin, last + margin)
        when = index[-1].floor("us").to_pydatetime()  # which has no nanoseconds
    label(ax, theme, x=f"local time ({when.astimezone(zone).tzname()})", y=ax.get_ylabel())
    ax.xaxis.get_label().set(x=0.0, horizontalalignment="left")  # the date is at the right


def value_axis(ax: Axes, theme: Theme, low: float, high: float) -> None:
    """Make the vertical axis hold values from low to high; it starts at zero if it can."""
    bottom = 0.0 if low >= 0 else low - (high - low) * 0.06
    top = max(high, 0.0)
    ax.set_ylim(bottom, top + (top - bottom) * 0.08 if top > bottom else bottom + 1.0)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.grid(axis="y", color=theme.grid, linewidth=0.8)


def number(value: float) -> str:
    """Write a value for people: ``1,250``, ``0.31``, ``+Inf``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value and not 1e-4 <= abs(value) < 1e9:  # noqa: PLR2004 - beyond, zeros are hard to count
        return f"{value:.3g}"
    digits = max(0, 3 - math.ceil(math.log10(abs(value)))) if 0 < abs(value) < 1e3 else 0  # noqa: PLR2004 - three digits
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def threshold_line(ax: Axes, theme: Theme, value: float, words: str) -> None:
    """Draw a line that matters across the chart, with what it is beside it."""
    ax.axhline(value, color=theme.threshold, linewidth=1.1, dashes=(5, 3), zorder=1.8)
    ax.annotate(
        clean(words),
        (0.0, value),
        xycoords=ax.get_yaxis_transform(),
        xytext=(3, 2),  # at the left, as what is new comes from the right
        textcoords="offset points",
        ha="left",
        va="bottom",
        zorder=4,
        **writing(theme.threshold),
        bbox={"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.7, "pad": 1.0},
    )


def width_inches(ax: Axes) -> float:
    """Return about how wide axes will be once they are laid out."""
    figure = figure_of(ax)
    spec = ax.get_subplotspec()
    if spec is None:
        return float(ax.get_position().width * figure.get_figwidth())
    columns = spec.get_geometry()[1]
    return float(figure.get_figwidth() * len(spec.colspan) / columns - _BESIDE_INCHES)


def legend_columns(ax: Axes, names: Sequence[str]) -> int:
    """Return how many names fit beside each other under axes."""
    inches = width_inches(ax)
    widest = max(len(name) for name in names) * _CHARACTER_INCHES + _HANDLE_INCHES
    return max(1, min(len(names), int(inches / widest)))


def legend(
    ax: Axes, theme: Theme, lines: Sequence[Line2D], names: Sequence[str], title: str
) -> None:
    """List names with their strokes under the axes, in as many columns as fit."""
    below = ScaledTranslation(0, -_UNDER_INCHES, figure_of(ax).dpi_scale_trans)
    made = ax.legend(
        [_sample(line) for line in lines],
        list(names),
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=ax.transAxes + below,
        borderaxespad=0.0,
        ncols=legend_columns(ax, names),
        frameon=False,
        handlelength=2.4,
        columnspacing=1.4,
        labelspacing=0.35,
        prop={"family": FAMILY, "size": _SMALL},
        title=title or None,
        alignment="left",
    )
    made.get_title().set(color=theme.muted, fontsize=_SMALL, fontfamily=FAMILY, parse_math=False)
    for text in made.get_texts():
        text.set(color=theme.ink, parse_math=False)


def _sample(line: Line2D) -> Line2D:
    """Return a stroke like a line's for the legend, without the dots of lonely points."""
    sample = Line2D([], [], linewidth=line.get_linewidth(), alpha=line.get_alpha())
    sample.update_from(line)
    sample.set_marker("")
    return sample


def words_instead(ax: Axes, theme: Theme, heading: str, hint: str) -> None:
    """Write why there is nothing to see where the data would be."""
    ax.set_yticks([])
    middle: dict[str, Any] = {"transform": ax.transAxes, "ha": "center"}
    ax.text(0.5, 0.56, heading, va="bottom", **middle, **writing(theme.ink, _TITLE))
    room = max(24, int(width_inches(ax) * 0.85 / _CHARACTER_INCHES))
    text = textwrap.fill(clean(hint, 300), room)
    ax.text(0.5, 0.5, text, va="top", linespacing=1.35, **middle, **writing(theme.muted))
