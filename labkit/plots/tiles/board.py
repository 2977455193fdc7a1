"""The whole dashboard as one figure, for reports."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from labkit.plots.colours import GREEN, ORANGE, VERMILLION, theme_named
from labkit.plots.names import clean
from labkit.plots.picture import CSS_PIXELS_PER_INCH, DENSITY, Picture, inches
from labkit.plots.tiles.faces import face
from labkit.plots.tiles.happenings import SIGNS
from labkit.plots.tiles.live import HEIGHT, WIDTH
from labkit.plots.tiles.sheet import TITLE_POINTS, Sheet, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from labkit.plots.colours import Theme
    from labkit.plots.tiles.face import Declared, Failure, Happening, View

ALERT_COLOURS = {"firing": VERMILLION, "pending": ORANGE, "inactive": GREEN}
_GAP, _HEAD, _LINE = 10, 66, 17
_MOST_MARKS = 8


def board(
    tiles: Sequence[Declared],
    contents: Sequence[pd.DataFrame | Failure],
    view: View,
    *,
    title: str,
    theme: str = "light",
    alerts: Sequence[tuple[str, str]] = (),
    columns: int = 3,
) -> Figure:
    """Draw a frame of a dashboard as one figure.

    Args:
        tiles: what each tile is.
        contents: what each shows.
        view: the window, and what happened in it.
        title: what stands on top.
        theme: light or dark.
        alerts: the name and the state of each alert.
        columns: how many tiles stand in a row.
    """
    colours = theme_named(theme)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    listed = list(view.marks)[-_MOST_MARKS:]
    foot = _GAP + _LINE * len(listed) + (_GAP if listed else 0)
    width = columns * (WIDTH + _GAP) + _GAP
    height = _HEAD + rows * (HEIGHT + _GAP) + foot
    figure = Picture(
        figsize=(inches(width), inches(height)),
        dpi=CSS_PIXELS_PER_INCH * DENSITY,
        facecolor=colours.paper,
    )
    figure.theme = colours
    whole = Sheet(figure, colours, width=width, height=height)
    _head(whole, title, view, alerts)
    for place, (tile, content) in enumerate(zip(tiles, contents, strict=True)):
        row, column = divmod(place, columns)
        x = _GAP + column * (WIDTH + _GAP)
        y = height - _HEAD - HEIGHT - row * (HEIGHT + _GAP)
        sheet = Sheet(figure, colours, width=WIDTH, height=HEIGHT, x=x, y=y)
        face(sheet, tile).show(content, view)
    for place, mark in enumerate(listed):
        y = foot - _GAP - _LINE * (place + 1)
        whole.text(_GAP + 14, y, clean(mark_line(mark), 150), colours.muted)
    return figure


def mark_line(mark: Happening) -> str:
    """Return what happened as one line: when, a sign for its kind, and its words."""
    when = day_time if mark.kind == "incident" else clock_time
    until = ""
    if mark.until is None:
        until = ", goes on"
    elif mark.until != mark.time:
        until = f", until {when(mark.until)}"
    words = mark.text if mark.text.startswith(mark.label) else f"{mark.label}: {mark.text}"
    return f"{when(mark.time)}  {SIGNS.get(mark.kind, '◆')}  {words}{until}"


def clock_time(seconds: float) -> str:
    """Return the local time of day of unix seconds."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")  # noqa: DTZ006 - local time is what is meant


def day_time(seconds: float) -> str:
    """Return the local day and time of unix seconds."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%a %d %b %Y, %H:%M %Z}"


def _head(sheet: Sheet, title: str, view: View, alerts: Sequence[tuple[str, str]]) -> None:
    """Write the title, the window, and the alerts with their states."""
    theme: Theme = sheet.theme
    day = datetime.fromtimestamp(view.end).astimezone()
    when = f"{day:%d %b %Y}, {clock_time(view.start)} to {clock_time(view.end)} {day:%Z}"
    if datetime.fromtimestamp(view.start).astimezone().date() != day.date():
        when = f"{day_time(view.start)} to {day_time(view.end)}"
    y = sheet.height - 26
    sheet.text(_GAP + 14, y, clean(title, 60), theme.ink, TITLE_POINTS + 3, fontweight="bold")
    sheet.text(sheet.width - _GAP - 14, y, when, theme.muted, ha="right")
    x = _GAP + 14.0
    for name, state in alerts:
        words = f"{clean(name, 30)}: {state}"
        colour = ALERT_COLOURS.get(state, theme.muted)
        sheet.text(x, y - 25, "●", colour)
        sheet.text(x + 15, y - 25, words, colour if state == "firing" else theme.muted)
        x += 15 + width_of(words) + 26
