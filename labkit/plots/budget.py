"""The budget chart: what is left of an error budget, with incidents and alerts along it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from dateutil.tz import tzlocal  # type: ignore[import-untyped] # ships no types
from matplotlib.ticker import FuncFormatter, MaxNLocator

from labkit.plots.colours import BLUE, ORANGE, PURPLE, VERMILLION
from labkit.plots.drawing import Drawing, times
from labkit.plots.furniture import days, label, number, time_axis, width_inches, writing
from labkit.plots.names import clean
from labkit.plots.picture import figure, figure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from labkit.plots.colours import Theme

_HEIGHT_INCHES, _LINE_INCHES = 3.7, 0.19
_AROUND_INCHES = 0.9  # what title, ticks and the time's name take of the height
_UNDER_INCHES = 0.56  # ticks and the time's name, above the list of alerts
_CHARACTER_INCHES = 0.078
_MOST_LISTED = 10
_COLUMNS_INCHES = (0.0, 0.25, 1.2)  # of the list: number, when, what
_NUMBER_POINTS, _NEAR_SHARE = 14, 0.022  # how wide a number is, in points and of the axes
_ROOM_SHARE = 0.4  # of the axes' height: what a stack of numbers may take
_MOST_ROWS = 6  # of names
_ROW_INCHES = 0.19
_AIR = 0.35  # of a row, under the names
_LONGEST_NAME = 34
_SEVERITIES = {"page": VERMILLION, "ticket": ORANGE}
_LEAST_SHARE = 0.0015  # of the width: what an incident of minutes is drawn as in a month


class Name(NamedTuple):
    """Where an incident's name stands: in which row of how many, and on which side of its start."""

    row: int
    at_left: bool
    rows: int = 1


class Lanes(NamedTuple):
    """The stretch of the vertical axis, below the curve, along which alerts are drawn."""

    top: float
    bottom: float

    def place(self, lane: int) -> float:
        """Return where a lane is, from the top."""
        return self.top - (self.top - self.bottom) * (0.28 + 0.44 * lane)


class Mark(NamedTuple):
    """Something over a stretch of the horizontal axis, in days of unix time."""

    name: str
    start: float
    end: float


def budget(
    frame: pd.DataFrame,
    *,
    incidents: pd.DataFrame | None = None,
    alerts: pd.DataFrame | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    theme: str = "light",
    hint: str | None = None,
) -> Axes:
    """Draw what is left of an error budget over time, with incidents and alerts marked.

    Incidents are shaded and named on top. Alerts are numbered on the curve where they fired, drawn
    for as long as they fired at the bottom, and listed below with what they had cost by then.

    Args:
        frame: one column, percent of the budget, on a tz-aware time index.
        incidents: a frame with ``name``, ``start`` and ``end`` (tz-aware).
        alerts: a frame with ``alert``, ``severity``, ``start`` and ``end`` (tz-aware), and, where
            known, ``incident``, ``cost_percent``, ``left_percent`` and ``window``.
        ax: where to draw; a figure of its own by default.
        title: what question the chart answers.
        theme: ``light`` or ``dark``; axes that are given keep their figure's.
        hint: what to say when there is nothing to draw.

    Raises:
        ValueError: when the index is not one of times with a zone, or a frame lacks a column.
    """
    own = ax is None
    spans = _marks(incidents, "incidents", "name")
    fired = _marks(alerts, "alerts", "alert")
    if ax is None:
        ax = figure(height=_HEIGHT_INCHES, theme=theme).axes[0]
    chart = Drawing(ax, theme, title)
    index = times(frame)
    label(ax, chart.theme, y="budget left (%)")
    time_axis(ax, chart.theme, index)
    if frame.empty or not np.isfinite(frame.to_numpy(np.float64)).any():
        return chart.nothing(empty=frame.empty, hint=hint)
    left = frame.iloc[:, 0].to_numpy(np.float64)
    x = days(index)
    names = _placed(ax, spans)
    rows = max((name.row + 1 for name in names), default=0)
    lanes = _scale(ax, chart.theme, left, rows, bool(fired))
    _curve(ax, x, left)
    for span, name in zip(spans, names, strict=True):
        _incident(ax, chart.theme, span, name._replace(rows=rows))
    if alerts is not None and fired:
        severities = [str(each) for each in alerts["severity"]]
        _fired(ax, chart.theme, fired, severities, lanes)
        heights = np.interp([mark.start for mark in fired], x, left)
        _numbered(ax, chart.theme, fired, severities, heights)
        if own:
            _listed(ax, chart.theme, alerts, severities)
    return ax


def _marks(frame: pd.DataFrame | None, what: str, name: str) -> list[Mark]:
    """Return a frame's rows as marks.

    Raises:
        ValueError: it lacks a column, or its times have no zone.
    """
    if frame is None or frame.empty:
        return []
    wanted = [name, "start", "end"] + (["severity"] if what == "alerts" else [])
    if missing := [column for column in wanted if column not in frame]:
        raise ValueError(f"{what} need the columns {', '.join(wanted)}; {missing[0]} is missing")
    starts, ends = (days(times(frame.set_index(column))) for column in ("start", "end"))
    names = [str(text) for text in frame[name]]
    return [Mark(*each) for each in zip(names, starts.tolist(), ends.tolist(), strict=True)]


def _scale(ax: Axes, theme: Theme, left: Any, rows: int, fired: bool) -> Lanes:
    """Set the vertical axis, with room for names on top and for alerts below."""
    lowest = min(0.0, float(np.nanmin(left)))
    low = lowest - (100 - lowest) * (0.13 if fired else 0.03)
    share = (rows + _AIR) * _ROW_INCHES / (_HEIGHT_INCHES - _AROUND_INCHES)
    ax.set_ylim(low, 100 + (100 - low) * max(0.02, share / (1 - share)))
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(lowest, 100)
    ax.set_yticks([tick for tick in ticks if lowest <= tick <= 100])  # noqa: PLR2004 - percent
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    ax.grid(axis="y", color=theme.grid, linewidth=0.8)
    if lowest < 0:
        ax.axhline(0, color=theme.threshold, linewidth=1.1, dashes=(5, 3), zorder=1.8)
    return Lanes(lowest, low)


def _curve(ax: Axes, x: Any, left: Any) -> None:
    ax.plot(x, left, color=BLUE, linewidth=1.8, zorder=2.4)
    ax.fill_between(x, 0, left, where=left >= 0, color=BLUE, alpha=0.10, linewidth=0)
    ax.fill_between(
        x, 0, left, where=left < 0, interpolate=True, color=VERMILLION, alpha=0.22, linewidth=0
    )


def _placed(ax: Axes, spans: Sequence[Mark]) -> list[Name]:
    """Return where each incident's name stands: in the lowest row that is free there."""
    first, last = ax.get_xlim()
    per_character = (last - first) * _CHARACTER_INCHES / width_inches(ax)
    rows: list[list[tuple[float, float]]] = []
    names = [Name(0, at_left=False)] * len(spans)
    for place in sorted(range(len(spans)), key=lambda place: spans[place].start):
        start = spans[place].start
        length = (min(len(spans[place].name), _LONGEST_NAME) + 2) * per_character
        at_left = start + length > last
        taken = (start - length, start) if at_left else (start, start + length)
        row = next((number for number, row in enumerate(rows) if _free(row, taken)), len(rows))
        row = min(row, _MOST_ROWS - 1)
        if row == len(rows):
            rows.append([])
        rows[row].append(taken)
        names[place] = Name(row, at_left)
    return names


def _free(row: Sequence[tuple[float, float]], taken: tuple[float, float]) -> bool:
    return all(taken[1] <= start or end <= taken[0] for start, end in row)


def _incident(ax: Axes, theme: Theme, span: Mark, name: Name) -> None:
    """Shade an incident, up to 100 %, with a stroke that leads to its name above."""
    first, last = ax.get_xlim()
    if span.end < first or span.start > last:
        return
    bottom, top = ax.get_ylim()
    height = 100 + (top - 100) * (name.row + _AIR) / (name.rows + _AIR)
    end = max(span.end, span.start + (last - first) * _LEAST_SHARE)
    share = (100 - bottom) / (top - bottom)
    ax.axvspan(span.start, end, 0, share, color=PURPLE, alpha=0.32, linewidth=0)
    ax.plot([span.start] * 2, [100, height], color=PURPLE, linewidth=0.9, alpha=0.8, zorder=2)
    ax.annotate(
        clean(span.name, _LONGEST_NAME),
        (span.start, height),
        xytext=(-3 if name.at_left else 3, -2),
        textcoords="offset points",
        ha="right" if name.at_left else "left",
        va="bottom",
        annotation_clip=False,
        zorder=2.6,  # over the strokes that lead to other names
        bbox={"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
        **writing(theme.ink),
    )


def _fired(
    ax: Axes, theme: Theme, fired: Sequence[Mark], severities: Sequence[str], lanes: Lanes
) -> None:
    """Draw below the curve how long alerts fired, a lane for each severity."""
    first, last = ax.get_xlim()
    names = [each for each in _SEVERITIES if each in severities]
    names += sorted(set(severities) - set(names))
    for mark, severity in zip(fired, severities, strict=True):
        height = lanes.place(names.index(severity))
        end = max(mark.end, mark.start + (last - first) * 2 * _LEAST_SHARE)
        colour = _SEVERITIES.get(severity, theme.muted)
        ax.plot([mark.start, end], [height] * 2, color=colour, linewidth=5, solid_capstyle="butt")
    for lane, name in enumerate(names):
        ax.annotate(
            clean(name, 8),
            (1.0, lanes.place(lane)),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
            **writing(theme.muted, 7.5),
        )


def _numbered(
    ax: Axes, theme: Theme, fired: Sequence[Mark], severities: Sequence[str], heights: Any
) -> None:
    """Number alerts where they fired, off the curve: below it if there is room, else above."""
    first, last = ax.get_xlim()
    bottom, top = ax.get_ylim()
    level = 0
    for place, (mark, severity) in enumerate(zip(fired, severities, strict=True)):
        if place == _MOST_LISTED:
            break
        near = place and mark.start - fired[place - 1].start < (last - first) * _NEAR_SHARE
        level = level + 1 if near else 1
        below = heights[place] - bottom > (top - bottom) * _ROOM_SHARE
        ax.annotate(
            str(place + 1),
            (mark.start, heights[place]),
            xytext=(0, (-1 if below else 1) * _NUMBER_POINTS * level),
            textcoords="offset points",
            ha="center",
            va="center",
            zorder=3 + len(fired) - place,  # a stroke passes behind the numbers below its own
            arrowprops={"arrowstyle": "-", "color": theme.muted, "linewidth": 0.9, "shrinkB": 0},
            bbox={
                "boxstyle": "circle,pad=0.22",
                "facecolor": theme.paper,
                "edgecolor": _SEVERITIES.get(severity, theme.muted),
            },
            **writing(theme.ink, 7.5),
        )


def _listed(ax: Axes, theme: Theme, alerts: pd.DataFrame, severities: Sequence[str]) -> None:
    """List the alerts under the axes: when each fired and what it had cost by then."""
    rows = list(alerts.head(_MOST_LISTED).itertuples())
    starts = pd.DatetimeIndex(alerts["start"]).tz_convert(tzlocal())
    lines = [
        (str(place + 1), f"{starts[place]:%d %b %H:%M}", _words(row, severities[place]))
        for place, row in enumerate(rows)
    ]
    if len(alerts) > len(lines):
        lines.append(("", f"+{len(alerts) - len(lines)} more", ""))
    figure_of(ax).set_figheight(_HEIGHT_INCHES + _LINE_INCHES * len(lines) + 0.1)
    for place, line in enumerate(lines):
        for text, inches in zip(line, _COLUMNS_INCHES, strict=True):
            ax.annotate(
                clean(text, 100),
                (0, 0),
                xycoords="axes fraction",
                xytext=(72 * inches, -72 * (_UNDER_INCHES + _LINE_INCHES * place)),
                textcoords="offset points",
                va="top",
                annotation_clip=False,
                **writing(theme.ink),
            )


def _words(row: Any, severity: str) -> str:
    words = severity
    if window := getattr(row, "window", ""):
        words += f" ({window})"
    words += f" for {_length(row.end - row.start)}"
    if (cost := getattr(row, "cost_percent", None)) is not None:
        words += f"; {_spender(row)} had cost {number(cost)} %"
    if (left := getattr(row, "left_percent", None)) is not None:
        words += f", {number(left)} % left" if left >= 0 else f", {number(-left)} % overspent"
    return words


def _spender(row: Any) -> str:
    """Say what spent the budget up to an alert: an incident, or whatever the long window saw."""
    name, window = getattr(row, "incident", ""), getattr(row, "window", "")
    return clean(name, _LONGEST_NAME) or (f"the {window} before" if window else "it")


def _length(span: pd.Timedelta) -> str:
    minutes = span.total_seconds() / 60
    return f"{minutes / 60:.1f} h" if minutes >= 120 else f"{minutes:.0f} min"  # noqa: PLR2004 - two hours
