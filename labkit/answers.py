"""What a cell shows for a query: a badge that says whose answer it is, and a table or a chart."""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from labkit import tables
from labkit.notes import Note

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

CHARTS = {"bar": "bars", "line": "line", "stacked": "stacked"}  # --plot, and who draws it
_TODAY_SECONDS = 12 * 3600.0
_LIVE, _PAST = "#009E73", "#CC79A7"
_BADGE = (
    "display:inline-block;border:1px solid var(--jp-border-color2, rgba(128,128,128,.4));"
    "border-radius:1em;padding:.05em .7em;margin:.15em 0;font-size:.85em"
)
# Between two dollar signs there is no mathematics here; the classes are MathJax 3's and 2's.
_NO_MATHEMATICS = "labkit-answer mathjax_ignore tex2jax_ignore"


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer of Prometheus as a cell shows it, in a notebook and on a terminal.

    Attributes:
        frame: what `labkit.promql.client.Client` returned; its ``attrs`` hold the query as it
            was sent, the server and the time.
        lab: the name of the lab that was asked.
        kind: table, bar, line or stacked; empty for how the catalog draws the query.
        past: whether the lab serves a past, whose now is not the clock's.
        why: why there is nothing, where there is nothing.
        with_query: whether the query is shown above, as where a cell has several.
        coloured: whether the text is for a terminal with colours.
    """

    frame: pd.DataFrame
    lab: str
    kind: str = "table"
    past: bool = False
    why: str = ""
    with_query: bool = False
    coloured: bool = False

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return str(self.frame.attrs["query"])

    @property
    def over_time(self) -> bool:
        """Whether it is over a range of time."""
        return "start" in self.frame.attrs

    @property
    def when(self) -> str:
        """The moment, or the range, that it is about, in local time, as charts have it."""
        attrs = self.frame.attrs
        if not self.over_time:
            moment = _moment(attrs["time"], dated=self._dated(attrs["time"]))
            return f"{moment} {_zone(attrs['time'])}"
        start, end = _moment(attrs["start"], dated=True), _moment(attrs["end"], dated=True)
        day, _, end_time = end.partition(" ")
        if start.startswith(day):  # the day is said once, if at all
            end = end_time
            start = start if self._dated(attrs["end"]) else start.partition(" ")[2]
        return f"{start} to {end} {_zone(attrs['end'])}, every {attrs['step']:g} s"

    def axes(self) -> Axes:
        """Draw it and return the Axes, in a figure of its own.

        Raises:
            ValueError: it can't be drawn so; the message says why.
        """
        from labkit import plots
        from labkit.plots.stacked import stacked
        from labkit.promql.catalog import describe

        if not self.over_time and self.frame["value"].dtype.kind != "f":
            raise ValueError("the answer is a text, and only numbers can be drawn")
        known = describe(self.query)
        usual = "line" if self.over_time and known.kind == "bars" else known.kind
        name = CHARTS.get(self.kind, usual)
        draw = stacked if name == "stacked" else getattr(plots, name)
        axes: Axes = draw(self.frame, title=known.title, unit=known.unit, threshold=known.threshold)
        return axes

    def png(self) -> bytes:
        """Return the chart as a PNG."""
        from labkit.plots import png
        from labkit.plots.picture import figure_of

        return png(figure_of(self.axes()))

    def table(self) -> tables.Table:
        """Return the answer as a table; of a range, what sums up each series."""
        return tables.of_range(self.frame) if self.over_time else tables.of_instant(self.frame)

    def bundle(self) -> dict[str, str]:
        """Return the answer as each kind of place shows it, by media type.

        Raises:
            ValueError: it can't be drawn so; the message says why.
        """
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def __str__(self) -> str:
        server = self.frame.attrs["server"]
        badge = f"{self.lab}{' (history)' if self.past else ''} · {server} · {self.when}"
        body = f"No series. {self.why}" if self._is_empty else str(self.table())
        warnings = [f"Prometheus notes: {text}" for text in self._warnings]
        if self.coloured:
            badge = f"\x1b[2m{badge}\x1b[0m"
        return "\n".join([*self._query_text(), badge, body, *warnings])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [self._query_html(), self._badge_html(), self._body_html()]
        parts += [Note(f"Prometheus notes: {text}")._repr_html_() for text in self._warnings]
        return f"<div class='{_NO_MATHEMATICS}'>{''.join(parts)}</div>"

    @property
    def _is_empty(self) -> bool:
        return bool(self.frame.columns.empty if self.over_time else self.frame.empty)

    @property
    def _warnings(self) -> list[str]:
        return list(self.frame.attrs.get("warnings", ()))

    def _dated(self, moment: float) -> bool:
        return self.past or abs(time.time() - moment) > _TODAY_SECONDS

    def _query_text(self) -> list[str]:
        if not self.with_query:
            return []
        if not self.coloured:
            return [self.query]
        from labkit.promql.syntax.highlight import to_terminal

        return [to_terminal(self.query)]

    def _query_html(self) -> str:
        if not self.with_query:
            return ""
        from labkit.promql.syntax.highlight import to_html

        return f"<div style='margin-top:.6em'>{to_html(self.query)}</div>"

    def _badge_html(self) -> str:
        colour, kind = (_PAST, " (history)") if self.past else (_LIVE, "")
        server = html.escape(str(self.frame.attrs["server"]))
        return (
            f"<div><span style='{_BADGE}'><span style='color:{colour}'>●</span> "
            f"<b>{html.escape(self.lab)}</b>{kind} · {server} · {html.escape(self.when)}"
            "</span></div>"
        )

    def _body_html(self) -> str:
        if self._is_empty:
            return Note(f"No series. {self.why}")._repr_html_()
        if self.kind == "table":
            return self.table()._repr_html_()
        from labkit.plots.picture import as_html, figure_of

        return as_html(figure_of(self.axes()), self._alt())

    def _alt(self) -> str:
        """Say in words what the chart shows."""
        import numpy as np

        values = (self.frame if self.over_time else self.frame["value"]).to_numpy("float64")
        series = values.shape[-1]
        known = values[~np.isnan(values)]
        reach = ""
        if len(known):
            reach = f", from {tables.written(known.min())} to {tables.written(known.max())}"
        return f"Chart of {self.query} at {self.when}: {series} series{reach}."


def _moment(seconds: float, *, dated: bool) -> str:
    moment = datetime.fromtimestamp(seconds).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S}" if dated else f"{moment:%H:%M:%S}"


def _zone(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().tzname() or ""
