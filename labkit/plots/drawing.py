"""Drawing on axes: lines over time, bars, and words where there is nothing to draw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from labkit.plots.colours import VERMILLION, strokes
from labkit.plots.furniture import (
    LEGEND_ROW_INCHES,
    days,
    furnish,
    label,
    legend,
    legend_columns,
    number,
    threshold_line,
    time_axis,
    value_axis,
    words_instead,
    writing,
)
from labkit.plots.names import column_labels, differing, heading, is_unnamed, names
from labkit.plots.picture import figure, figure_of, theme_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from labkit.plots.colours import Stroke, Theme

_MOST_NAMED = 12  # series with a colour and a name of their own; the rest are grey
_MOST_ROWS = 3  # of a legend, where the figure is not ours to make higher
_MOST_BARS = 15
_BAR_INCHES, _AROUND_BARS_INCHES = 0.3, 1.15
_NOTHING = (
    "Nothing matched in this range. Check the names and labels, that the target is up, "
    "and that traffic ran."
)
_NOT_A_NUMBER = "Every value is NaN: nothing divided by nothing, as with no requests in the window."


class Drawing:
    """Axes that are being drawn on, anew or in a figure made for them."""

    def __init__(self, ax: Axes | None, theme: str, title: str | None) -> None:
        self.own = ax is None
        self.ax: Axes = figure(theme=theme).axes[0] if ax is None else ax
        self.theme: Theme = theme_of(self.ax)
        furnish(self.ax, self.theme, title)

    def over_time(
        self, frame: pd.DataFrame, unit: str, hint: str | None, threshold: float | None, words: str
    ) -> Axes:
        """Draw each column over the local time, with a threshold and its words if there is one."""
        index = times(frame)
        label(self.ax, self.theme, y=unit)
        time_axis(self.ax, self.theme, index)
        values = frame.to_numpy(np.float64)
        finite = values[np.isfinite(values)]
        if not finite.size:
            return self.nothing(empty=values.size == 0, hint=hint)
        self._lines(frame, days(index), values)
        reach = [finite.min(), finite.max()] + ([threshold] if threshold is not None else [])
        value_axis(self.ax, self.theme, min(reach), max(reach))
        if threshold is not None:
            threshold_line(self.ax, self.theme, threshold, words)
        return self.ax

    def fill_above(self, frame: pd.DataFrame, threshold: float) -> None:
        """Fill what lies between the threshold and the highest series above it."""
        highest = frame.replace([np.inf, -np.inf], np.nan).max(axis=1).to_numpy(np.float64)
        self.ax.fill_between(
            days(times(frame)),
            threshold,
            highest,
            where=highest > threshold,
            interpolate=True,
            color=VERMILLION,
            alpha=0.18,
            linewidth=0,
        )

    def bars(
        self, labels: list[dict[str, str]], values: Any, unit: str, threshold: float | None
    ) -> Axes:
        """Draw the highest values as bars, and how many there are beyond them."""
        order = _bar_order(labels, values)
        colours = strokes(labels, self.theme)
        written = names(labels)
        shown, left = order[:_MOST_BARS], len(order) - _MOST_BARS
        if self.own:
            self._height(_AROUND_BARS_INCHES + _BAR_INCHES * (len(shown) + (left > 0)))
        _horizontal(
            self.ax,
            self.theme,
            [written[i] for i in shown],
            values[shown],
            [colours[i] for i in shown],
        )
        if left > 0:
            more: dict[str, Any] = {"transform": self.ax.transAxes, "va": "top", "ha": "right"}
            self.ax.text(-0.01, -0.02, f"+{left} more", **more, **writing(self.theme.muted))
        label(self.ax, self.theme, x=unit, y=heading(labels))
        if threshold is not None:
            self.ax.axvline(threshold, color=self.theme.threshold, linewidth=1.1, dashes=(5, 3))
        return self.ax

    def no_bars(self, unit: str, *, empty: bool, hint: str | None) -> Axes:
        """Write why there are no bars, over the unit they would have."""
        label(self.ax, self.theme, x=unit)
        self.ax.set_xticks([])
        return self.nothing(empty=empty, hint=hint)

    def nothing(self, *, empty: bool, hint: str | None) -> Axes:
        """Write why there is nothing to draw."""
        reason = hint or (_NOTHING if empty else _NOT_A_NUMBER)
        words_instead(self.ax, self.theme, "No data" if empty else "No numbers", reason)
        return self.ax

    def _lines(self, frame: pd.DataFrame, x: Any, values: Any) -> None:
        labels = column_labels(frame)
        chosen, grey = _split(values, self._room(labels))
        for column in grey:
            self._line(x, values[:, column], None)
        series = [labels[column] for column in chosen]
        drawn = [
            self._line(x, values[:, column], stroke)
            for column, stroke in zip(chosen, strokes(series, self.theme), strict=True)
        ]
        if not is_unnamed(labels):
            self._legend(drawn, [names(labels)[column] for column in chosen], len(grey), labels)

    def _line(self, x: Any, y: Any, stroke: Stroke | None) -> Line2D:
        finite = np.isfinite(y)
        around = np.pad(finite, 1)
        lonely = np.flatnonzero(finite & ~around[:-2] & ~around[2:])  # they make no line
        (drawn,) = self.ax.plot(
            x,
            np.where(finite, y, np.nan),
            color=stroke.colour if stroke else self.theme.muted,
            dashes=stroke.dashes if stroke and stroke.dashes else (None, None),
            linewidth=1.7 if stroke else 0.7,
            alpha=1.0 if stroke else 0.45,
            zorder=2.2 if stroke else 1.9,
            marker="o",
            markersize=3,
            markevery=lonely.tolist(),
            solid_capstyle="round",
        )
        return drawn

    def _room(self, labels: Sequence[Mapping[str, str]]) -> int:
        """Return how many series can be named in a legend that stays readable."""
        if self.own:
            return _MOST_NAMED
        columns = legend_columns(self.ax, names(labels) or [""])
        return min(_MOST_NAMED, columns * _MOST_ROWS)

    def _legend(
        self, drawn: list[Line2D], written: list[str], grey: int, labels: list[dict[str, str]]
    ) -> None:
        handles, shown = list(drawn), list(written)
        if grey:
            handles.append(self.ax.lines[0])
            shown.append(f"+{grey} more")
        legend(self.ax, self.theme, handles, shown, heading(labels))
        if self.own:
            rows = math.ceil(len(shown) / legend_columns(self.ax, shown))
            self._height(
                figure_of(self.ax).get_figheight()
                + LEGEND_ROW_INCHES * (rows + bool(differing(labels)))
            )

    def _height(self, inches: float) -> None:
        figure_of(self.ax).set_figheight(inches)


def times(frame: pd.DataFrame) -> pd.DatetimeIndex:
    """Return a frame's times.

    Raises:
        ValueError: when its index is not one of times with a zone.
    """
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise ValueError(
            "a chart over time needs an index of times with a time zone, as query_range() gives "
            f"it; this frame's index is {type(index).__name__}: for one moment use bars()"
        )
    return index


def _bar_order(labels: list[dict[str, str]], values: Any) -> Any:
    """Return the longest bar first; buckets stand in their own order."""
    if all("le" in each for each in labels):
        bounds = [_bound(each["le"]) for each in labels]
        others = [sorted((k, v) for k, v in each.items() if k != "le") for each in labels]
        return np.array(sorted(range(len(labels)), key=lambda i: (others[i], bounds[i])), dtype=int)
    return np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")


def _bound(le: str) -> float:
    """Return the upper boundary of a bucket; what is none stands last."""
    try:
        return float(le)
    except ValueError:
        return math.inf


def bar_data(frame: pd.DataFrame) -> tuple[list[dict[str, str]], Any]:
    """Return the labels and the value of each series, at one moment or the last of a range.

    Raises:
        ValueError: when the frame has neither a column ``value`` nor an index of times.
    """
    if isinstance(frame.index, pd.DatetimeIndex):
        last = frame.ffill().iloc[-1] if len(frame) else pd.Series(dtype="float64")
        return column_labels(frame), last.to_numpy(np.float64)
    if "value" not in frame:
        raise ValueError("bars need a column 'value', as query() gives it, or an index of times")
    text = frame.drop(columns="value").astype(str).to_dict("records")
    labels = [{str(key): str(value) for key, value in row.items()} for row in text]
    return labels or [{}] * len(frame), frame["value"].to_numpy(np.float64)


def _split(values: Any, room: int) -> tuple[list[int], list[int]]:
    """Return which columns get a colour and a name, and which are drawn in grey."""
    count = values.shape[1]
    if count <= room:
        return list(range(count)), []
    highest = np.where(np.isfinite(values), values, -np.inf).max(axis=0)
    chosen = np.argsort(-highest, kind="stable")[:room]
    return sorted(chosen.tolist()), sorted(set(range(count)) - set(chosen.tolist()))


def _horizontal(
    ax: Axes, theme: Theme, written: list[str], values: Any, colours: Sequence[Stroke]
) -> None:
    finite = values[np.isfinite(values)]
    low, high = min(0.0, *finite), max(0.0, *finite)
    reach = (high - low) or 1.0
    lengths = np.nan_to_num(values, nan=0.0, posinf=high, neginf=low)
    places = range(len(lengths))
    ax.barh(places, lengths, height=0.68, color=[stroke.colour for stroke in colours])
    ax.set_yticks(places, written, parse_math=False, color=theme.ink)
    ax.invert_yaxis()
    ax.set_xlim(low - (reach * 0.12 if low < 0 else 0), high + reach * 0.12)
    ax.grid(axis="x", color=theme.grid, linewidth=0.8)
    for place, length, value in zip(places, lengths, values, strict=True):
        ax.annotate(
            number(value),
            (length, place),
            xytext=(4 if length >= 0 else -4, 0),
            textcoords="offset points",
            ha="left" if length >= 0 else "right",
            va="center",
            **writing(theme.ink),
        )
