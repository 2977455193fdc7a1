"""``Comparison``: exact figures beside PromQL's, as a table and as a chart."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from labkit.comparing.causes import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from labkit.comparing.evidence import Evidence
    from labkit.comparing.rows import Row

_BARS_A_DECADE = 16
_BEYOND = 100.0  # how far the bars reach beyond the outermost boundaries, as a factor
_MARKED = ("p50", "p95", "p99")
_ASKED = "p95"
_WIDTH_INCHES, _HEIGHT_INCHES = 9.6, 3.6
_TEXT_WIDTH = 100
_HEADS = ("", "endpoint", "truth", "PromQL", "difference", "")


@dataclass(frozen=True, eq=False)
class Distribution:
    """The true latencies, and what the chart marks in them.

    Attributes:
        edges: of the bars, in seconds; each boundary of a bucket is one of them.
        counts: the answers in each bar.
        bounds: the buckets' upper boundaries in seconds, without +Inf.
        quantiles: the true p50, p95 and p99 in seconds.
        answers: PromQL's p95 in seconds.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    bounds: NDArray[np.float64]
    quantiles: dict[str, float]
    answers: dict[str, float]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is known exactly beside what PromQL answers, and why the two differ.

    Attributes:
        table: one row a figure, with the columns ``what`` (with its unit), ``endpoint`` ("" for
            all), ``truth``, ``promql`` (NaN where it has no answer), ``difference``, ``relative``
            (percent of the truth), ``query`` (evaluated at ``end``) and ``cause``.
        start: the scrape before the first request, in unix seconds.
        end: the scrape after the last one, in unix seconds.
        truth_seconds: how long the requests took altogether.
        source: who knows the truth: "the sender" or "the model".
        latency: the true latencies.
    """

    table: pd.DataFrame
    start: float
    end: float
    truth_seconds: float
    source: str
    latency: Distribution = field(repr=False)

    @property
    def title(self) -> str:
        """What is compared with what, in one sentence."""
        begin, end = (datetime.fromtimestamp(t, UTC).astimezone() for t in (self.start, self.end))
        date = f"{begin:%Y-%m-%d} " if begin.date() != datetime.now(UTC).astimezone().date() else ""
        until = f"{end:%Y-%m-%d} " if end.date() != begin.date() else ""
        return (
            f"What {self.source} knows of {_seconds(self.truth_seconds)}, beside PromQL over the "
            f"{_seconds(self.end - self.start)} from scrape to scrape around it "
            f"({date}{_clock(begin)} to {until}{_clock(end)} {end.tzname()})"
        )

    def plot(self, ax: Axes | None = None, theme: str = "light") -> Axes:
        """Draw the true latencies with the boundaries of the buckets; return the Axes.

        Args:
            ax: where to draw; a figure of its own by default.
            theme: ``light`` or ``dark``; axes that are given keep their figure's.
        """
        from labkit.plots.latency import latency
        from labkit.plots.picture import figure

        if ax is None:
            made = figure(width=_WIDTH_INCHES, height=_HEIGHT_INCHES, theme=theme)
            ax = made.axes[0]
        return latency(
            self.latency.edges.tolist(),
            self.latency.counts.tolist(),
            self.latency.bounds.tolist(),
            quantiles=self.latency.quantiles,
            answers=self.latency.answers,
            ax=ax,
            title=f"How long the answers took, as {self.source} knows it; "
            f"shaded: the bucket of PromQL's {_ASKED}",
        )

    def figure(self, theme: str = "light") -> Figure:
        """Return the chart as a figure of its own.

        Args:
            theme: ``light`` or ``dark``.
        """
        from labkit.plots.picture import figure_of

        return figure_of(self.plot(theme=theme))

    def __repr__(self) -> str:
        lines = [*textwrap.wrap(self.title, _TEXT_WIDTH), ""]
        rows = [_HEADS[:-1], *(_cells(row) for row in self._rows())]
        widths = [max(len(cells[i]) for cells in rows) for i in range(len(_HEADS) - 1)]
        for cells, row in zip(rows, [None, *self._rows()], strict=True):
            texts = [
                cell.ljust(width) if index <= 1 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join(texts).rstrip())
            if row is not None:
                lines += textwrap.wrap(
                    row.cause, _TEXT_WIDTH, initial_indent="    ", subsequent_indent="    "
                )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from labkit.plots.picture import as_html

        heads = "".join(
            f"<th style='{_cell_style(index)};font-weight:600'>{head}</th>"
            for index, head in enumerate((*_HEADS[:-1], "why"))
        )
        body = "".join(_html_row(row) for row in self._rows())
        return (
            "<div style='max-width:1100px'>"
            f"<p style='margin:.2em 0 .6em'>{escape(self.title)}.</p>"
            "<table style='border-collapse:collapse;table-layout:auto;width:100%;margin:0 0 .8em;"
            "font-variant-numeric:tabular-nums'>"
            f"<thead><tr style='background:none'>{heads}</tr></thead><tbody>{body}</tbody></table>"
            f"{as_html(self.figure(), self._described())}</div>"
        )

    def _described(self) -> str:
        """Say what the chart shows, for those who don't see it."""
        known = ", ".join(f"{name} {number(v)} s" for name, v in self.latency.quantiles.items())
        asked = ", ".join(f"{name} {number(v)} s" for name, v in self.latency.answers.items())
        bounds = ", ".join(f"{bound:g}" for bound in self.latency.bounds)
        return (
            f"The true latencies: {known}; PromQL answers {asked}. The buckets end at {bounds} s."
        )

    def _rows(self) -> list[Row]:
        from labkit.comparing.rows import Row

        return [Row(*values) for values in self.table.itertuples(index=False, name=None)]


def distribution(evidence: Evidence, rows: pd.DataFrame) -> Distribution:
    """Return the true latencies in bars that no boundary of a bucket cuts."""
    bounds = evidence.bounds
    edges = _edges(bounds)
    counts = evidence.truth.latency_counts([0.0, *edges.tolist()[1:]])
    overall = rows[rows["endpoint"] == ""].set_index("what")
    return Distribution(
        edges=edges,
        counts=counts,
        bounds=bounds,
        quantiles={name: float(overall["truth"][f"{name} (s)"]) for name in _MARKED},
        answers={_ASKED: float(overall["promql"][f"{_ASKED} (s)"])},
    )


def _edges(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges of about equal width on a logarithmic axis, the boundaries among them."""
    stops = [bounds[0] / _BEYOND, *bounds, bounds[-1] * _BEYOND]
    parts = []
    for low, high in pairwise(stops):
        bars = max(1, round(float(np.log10(high / low)) * _BARS_A_DECADE))
        parts.append(np.geomspace(low, high, bars, endpoint=False))
    return np.concatenate([*parts, [stops[-1]]])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.endpoint or "all",
        number(row.truth),
        number(row.promql),
        _difference(row),
    )


def _difference(row: Row) -> str:
    if row.difference == 0:
        return "0"
    if np.isnan(row.difference):
        return "–"
    relative = "" if np.isnan(row.relative) else f" ({_signed(row.relative, '.2g')} %)"
    return f"{_signed(row.difference, '.4g')}{relative}"


def _signed(value: float, digits: str) -> str:
    """Write a number with its sign; a minus as wide as the plus, so that columns line up."""
    size = f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):{digits}}"  # noqa: PLR2004 - all its digits before the point
    return ("\N{MINUS SIGN}" if value < 0 else "+") + size


def _html_row(row: Row) -> str:
    cells = [
        f"<td style='{_cell_style(index)}'>{escape(cell)}</td>"
        for index, cell in enumerate(_cells(row))
    ]
    # In the line of the words, as a line of its own in each row would double the table's height.
    query = (
        " <details style='display:inline'><summary style='display:inline;cursor:pointer;"
        "opacity:.75;white-space:nowrap'>▸ query</summary><br><code style='white-space:pre-wrap;"
        f"background:none;color:inherit'>{escape(row.query)}</code></details>"
    )
    why = f"<td style='{_cell_style(5)}'>{escape(row.cause)}{query}</td>"
    return f"<tr style='background:none'>{''.join(cells)}{why}</tr>"


def _cell_style(index: int) -> str:
    words = index in {0, 1, 5}
    return (
        f"text-align:{'left' if words else 'right'};vertical-align:top;padding:.3em .7em;"
        f"white-space:{'normal' if index == 5 else 'nowrap'};"  # noqa: PLR2004 - the last column
        "background:none;color:var(--jp-content-font-color1, inherit);"
        "border:none;border-bottom:1px solid var(--jp-border-color2, rgba(128,128,128,.35))"
    )


def _seconds(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.3g} s"
    if seconds < 7200:  # noqa: PLR2004 - two hours
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.4g} h"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}" + (f".{moment.microsecond // 1000:03d}" * bool(moment.microsecond))
