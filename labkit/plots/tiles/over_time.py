"""Lines over the last minutes, with what happened meanwhile and the latest values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter
from matplotlib.transforms import ScaledTranslation

from labkit.plots.colours import strokes
from labkit.plots.furniture import number, writing
from labkit.plots.names import FAMILY, clean, column_labels, is_unnamed, names
from labkit.plots.picture import CSS_PIXELS_PER_INCH
from labkit.plots.tiles.face import Face
from labkit.plots.tiles.happenings import Happenings
from labkit.plots.tiles.sheet import SMALL_POINTS, short, width_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from labkit.plots.colours import Stroke
    from labkit.plots.tiles.face import View

_LEFT, _RIGHT, _TOP, _UNDER = 52, 16, 62, 35
# Of the legend, in pixels: a row; a stroke and a value beside a name; room between.
_ROW, _SWATCH, _VALUE, _GAP, _MOST_SPARE = 17, 25, 58, 12, 24
_MOST_ROWS, _LONGEST_NAME, _MARGIN = 2, 26, 14
_HOUR, _DAY = 3600, 86_400
_TICK_SECONDS = (
    *(5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(_HOUR * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 7)),
)
_MOST_TICKS = 6
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # between grid lines
_ENDS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # of a scale
_GRID_LINES = 4
_SHRINK_AT = 0.45  # the scale follows peaks up at once, and down when it is more than half empty
_MINUTE = 60


class OverTimeFace(Face):
    """A line for each series; the scale keeps still while it can."""

    _axes: Axes
    _top = 0.0
    _rows = 0

    def still(self, frame: pd.DataFrame) -> Hashable:
        """Return the series, the scale and the rows of the legend."""
        values = frame.to_numpy(np.float64)
        finite = values[np.isfinite(values)]
        reach = max(0.0, *finite, *self.tile.thresholds_of())
        low = min(0.0, finite.min())
        self._top = steady_top(reach, self._top)
        self._bottom = -nice(-low) if low < 0 else 0.0
        return (tuple(frame.columns), self._top, self._bottom)

    def build(self, frame: pd.DataFrame) -> None:
        """Draw the title, the scale, the thresholds and the names."""
        labels = column_labels(frame)
        chosen = strokes(labels, self.theme)
        written = ["now"] if is_unnamed(labels) else names(labels)
        entries = _entries(written, chosen, self.sheet.width - _MARGIN - _RIGHT)
        self._rows = max(self._rows, entries[-1].row + 1)  # never fewer again: nothing jumps
        self.sheet.heading(self.tile.title, self.tile.unit_of())
        self._axes = self.sheet.axes(
            left=_LEFT, right=_RIGHT, top=_TOP, bottom=_UNDER + _ROW * self._rows
        )
        self._scale()
        self._limits = [self._threshold(limit) for limit in self.tile.thresholds_of()]
        named = len(entries)
        self._lines = [self._line(stroke) for stroke in chosen[:named]]
        self._lines += [self._line(None) for _ in chosen[named:]]
        self._area = self._fill(chosen[0]) if len(chosen) == 1 else None
        self._latest = self._legend(entries)
        self._ticks = [self._tick() for _ in range(_MOST_TICKS + 1)]
        if more := len(chosen) - named:
            y = _ROW * self._rows + 6  # above the legend, whose rows are full
            self.sheet.text(
                self.sheet.width - _RIGHT, y, f"+{more} more", self.theme.muted, ha="right"
            )
        self._happenings = Happenings(self._axes, self.sheet)

    def move(self, frame: pd.DataFrame, view: View) -> None:
        """Draw the window's lines, times, latest values, and what happened."""
        axes = self._axes
        axes.set_xlim(view.start, view.end)
        ticks = self._times(view)
        x = frame.index.as_unit("ms").asi8 / 1000  # type: ignore[attr-defined] # an index of times
        values = frame.to_numpy(np.float64)
        for column, line in zip(values.T, self._lines, strict=True):
            line.set_data(x, np.where(np.isfinite(column), column, np.nan))
            line.set_markevery(_lonely(column))
        if self._area is not None:
            only = values[:, 0]
            there = np.isfinite(only)
            self._area.set_data(x, np.zeros_like(x), np.nan_to_num(only), where=there)
        for text, column in zip(self._latest, values.T, strict=False):
            text.set_text(_last(column))
        marks = self._happenings.show(view)
        area = [] if self._area is None else [self._area]
        # The words of a threshold come last: lines would hide them.
        self.moving = [*ticks, *area, *marks, *self._lines, *self._limits, *self._latest]

    def _scale(self) -> None:
        axes, theme = self._axes, self.theme
        axes.set_ylim(self._bottom, self._top)
        axes.yaxis.set_major_locator(FixedLocator(grid_lines(self._bottom, self._top)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.tick_params(
            colors=theme.muted, labelsize=SMALL_POINTS, labelfontfamily=FAMILY, length=0, pad=5
        )
        axes.grid(axis="y", color=theme.grid, linewidth=0.8)

    def _times(self, view: View) -> list[Text]:
        """Write the times under the axis; texts of our own take a third of what ticks do."""
        wide, span = self.sheet.width - _LEFT - _RIGHT, view.end - view.start
        shown = []
        for text, place, words in zip(self._ticks, *time_ticks(view.start, view.end), strict=False):
            room = (view.end - place) / span * wide + _RIGHT
            if width_of(words) / 2 <= room:  # else it would be cut off at the edge
                text.set_x(place)
                text.set_text(words)
                shown.append(text)
        return shown

    def _threshold(self, limit: float) -> Artist:
        """Draw the line of a threshold, and return its words."""
        colour = self.too_much(limit) or self.theme.threshold
        self._axes.axhline(limit, color=colour, linewidth=1.1, dashes=(5, 3), zorder=1.8)
        return self._axes.annotate(
            f"{number(limit)} {self.tile.unit_of()}".strip(),
            (0.0, limit),  # at the left, as what is new comes from the right
            xycoords=self._axes.get_yaxis_transform(),
            xytext=(3, 2),
            textcoords="offset points",
            **writing(colour, SMALL_POINTS),
            bbox={"facecolor": self.theme.paper, "edgecolor": "none", "alpha": 0.7, "pad": 0.8},
        )

    def _line(self, stroke: Stroke | None) -> Line2D:
        """Add a line; those without a name in the legend are thin and grey."""
        (line,) = self._axes.plot(
            [],
            [],
            color=stroke.colour if stroke else self.theme.muted,
            dashes=stroke.dashes if stroke and stroke.dashes else (None, None),
            linewidth=1.8 if stroke else 0.7,
            alpha=1.0 if stroke else 0.45,
            marker="o",
            markersize=3,
            solid_capstyle="round",
            solid_joinstyle="round",
        )
        return line

    def _tick(self) -> Text:
        style = writing(self.theme.muted, SMALL_POINTS)
        under = ScaledTranslation(0, -8 / CSS_PIXELS_PER_INCH, self.sheet.figure.dpi_scale_trans)
        place = self._axes.get_xaxis_transform() + under
        return self._axes.text(0, 0, "", ha="center", va="top", transform=place, **style)

    def _fill(self, stroke: Stroke) -> Any:
        return self._axes.fill_between(
            [0.0, 1.0], 0.0, 0.0, color=stroke.colour, alpha=0.16, linewidth=0
        )

    def _legend(self, entries: Sequence[_Entry]) -> list[Text]:
        """Write the names; return the texts that take the latest values."""
        sheet, latest = self.sheet, []
        for entry in entries:
            x, y = entry.x, _ROW * (self._rows - entry.row) - 5
            dashes = entry.stroke.dashes or (None, None)
            how: dict[str, Any] = {"color": entry.stroke.colour, "dashes": dashes, "linewidth": 2.4}
            sheet.line((x, x + _SWATCH - 5), (y + 4, y + 4), **how)
            sheet.text(x + _SWATCH, y, entry.name, self.theme.muted)
            at = x + _SWATCH + width_of(entry.name) + 6
            latest.append(sheet.text(at, y, "", self.theme.ink, fontweight="bold"))
        return latest


@dataclass(frozen=True)
class _Entry:
    """One name of a legend, and its place."""

    name: str
    stroke: Stroke
    x: float
    row: int


def _entries(written: Sequence[str], chosen: Sequence[Stroke], wide: float) -> list[_Entry]:
    """Return as many entries as have room in the legend's rows, side by side."""
    entries: list[_Entry] = []
    x, row = 0.0, 0
    for name, stroke in zip(written, chosen, strict=True):
        shown = clean(name, _LONGEST_NAME)
        needed = _SWATCH + width_of(shown) + _VALUE
        if x + needed - _GAP > wide and entries:
            x, row = 0.0, row + 1
        if row == _MOST_ROWS:
            break
        entries.append(_Entry(shown, stroke, _MARGIN + x, row))
        x += needed
    spare = 0.0 if row else min(_MOST_SPARE, (wide - x + _GAP) / len(entries))
    return [replace(entry, x=entry.x + spare * n) for n, entry in enumerate(entries)]


def time_ticks(start: float, end: float) -> tuple[list[float], list[str]]:
    """Return round local times within a window of unix seconds, and how they are written."""
    span = end - start
    step = next((s for s in _TICK_SECONDS if span / s <= _MOST_TICKS), _TICK_SECONDS[-1])
    offset = datetime.fromtimestamp(end).astimezone().utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    first = -(-(start + shift) // step) * step - shift
    ticks = [float(tick) for tick in np.arange(first, end + 1e-6, step)]
    if step >= _DAY:
        form = "%d %b"
    elif span > _DAY:
        form = "%a %H:%M"
    else:
        form = "%H:%M" if step >= _MINUTE else "%H:%M:%S"
    return ticks, [datetime.fromtimestamp(tick).strftime(form) for tick in ticks]  # noqa: DTZ006 - local time is what is meant


def nice(value: float, steps: Sequence[float] = _ENDS) -> float:
    """Return the next round number that is not below a value."""
    if not value > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(power * step for step in steps if power * step >= value * (1 - 1e-9)))


def steady_top(reach: float, before: float) -> float:
    """Return where a scale ends that holds a value and changes as seldom as it can."""
    wanted = nice(reach * 1.06)
    return before if wanted <= before and reach > before * _SHRINK_AT else wanted


def grid_lines(bottom: float, top: float) -> list[float]:
    """Return round values between the ends of a scale."""
    step = nice((top - bottom) / _GRID_LINES * 0.8, _STEPS)
    first = np.ceil(bottom / step - 1e-9)
    return [float(step * n) + 0.0 for n in np.arange(first, top / step + 1e-6)]


def _lonely(column: Any) -> list[int]:
    """Return where points stand alone, which make no line."""
    finite = np.isfinite(column)
    around = np.pad(finite, 1)
    found: list[int] = np.flatnonzero(finite & ~around[:-2] & ~around[2:]).tolist()
    return found


def _last(column: Any) -> str:
    return short(float(column[-1]))
