"""Answers of Prometheus as tables that people read: as text, and as HTML."""

from __future__ import annotations

import html
import math
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MOST_ROWS = 20
_MOST_COLUMNS = 7  # beyond, what is the same in every row is said once above the table
_LONGEST_CELL = 60  # characters, in text
_DIGITS = 6
_PANDAS_WIDTH, _WIDE = 50, 160  # characters of a cell of a frame, in pandas and with the magics
_CELL = "padding:.2em 1.2em .2em 0;border:none;background:none;vertical-align:top"
_HEADING = (
    f"{_CELL};font-weight:600;"
    "border-bottom:1px solid var(--jp-border-color2, rgba(128,128,128,.35))"
)


@dataclass(frozen=True)
class Table:
    """Rows of text with a heading a column.

    Attributes:
        columns: what each column holds.
        rows: the cells, already written for people.
        numeric: which columns hold numbers, and are set to the right.
        more: how many rows were left out.
        common: what is the same in every row, and so was left out of them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[str]
    more: int = 0
    common: str = ""

    def __str__(self) -> str:
        cells = [[*map(_one_line, row)] for row in [self.columns, *self.rows]]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        right = [column in self.numeric for column in self.columns]
        lines = ["  ".join(map(_padded, row, widths, right)).rstrip() for row in cells]
        lines.insert(1, "  ".join("─" * width for width in widths))
        if self.common:
            lines.insert(0, f"every row: {self.common}")
        if self.more:
            lines.append(self._more())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        aligned = ["right" if column in self.numeric else "left" for column in self.columns]
        head = "".join(
            f'<th style="{_HEADING};text-align:{side}">{html.escape(text)}</th>'
            for text, side in zip(self.columns, aligned, strict=True)
        )
        rows = "".join(
            f"<tr style='background:none'>{_html_row(row, aligned)}</tr>" for row in self.rows
        )
        above = (
            f"<div style='opacity:.75'>every row: {html.escape(self.common)}</div>"
            if self.common
            else ""
        )
        below = f"<div style='opacity:.75'>{self._more()}</div>" if self.more else ""
        return (
            f"{above}<div style='overflow-x:auto'>"
            f"<table style='margin:.3em 0;border:none;border-collapse:collapse'>"
            f"<thead><tr style='background:none'>{head}</tr></thead><tbody>{rows}</tbody></table>"
            f"</div>{below}"
        )

    def _more(self) -> str:
        return f"and {self.more:,} more row{'s' if self.more > 1 else ''}"


def of_instant(frame: pd.DataFrame) -> Table:
    """Return the table of an answer at one moment: its labels, then the value.

    Args:
        frame: what `labkit.promql.client.Client.query` returned.
    """
    from labkit.promql.frames import series_text

    shown = frame.head(MOST_ROWS)
    own = [name for name in ("time", "value") if name in frame]
    labels = [str(name) for name in frame if name not in own]
    common = ""
    if len(frame.columns) > _MOST_COLUMNS:
        same = [name for name in labels if frame[name].nunique() == 1]
        labels = [name for name in labels if name not in same]
        common = series_text({name: str(frame[name].iloc[0]) for name in same}) if same else ""
    columns = [*labels, *own]
    rows = [[written(value) for value in row] for row in shown[columns].itertuples(index=False)]
    return Table(columns, rows, _numeric(frame, own), len(frame) - len(shown), common)


def of_range(frame: pd.DataFrame) -> Table:
    """Return what sums up each series of a range: its points, least, mean, largest, last value.

    Args:
        frame: what `labkit.promql.client.Client.query_range` returned.
    """
    figures = ["points", "min", "mean", "max", "last"]
    rows = []
    for column in frame.columns[:MOST_ROWS]:
        known = frame[column].dropna()
        values = [known.min(), known.mean(), known.max(), known.iloc[-1]] if len(known) else []
        numbers = [written(float(value)) for value in values] or ["–"] * 4
        rows.append([str(column), written(len(known)), *numbers])
    first = str(frame.columns.name or "series")
    return Table([first, *figures], rows, frozenset(figures), len(frame.columns) - len(rows))


def whole_texts(on: bool) -> None:
    """Have pandas show texts of a usual length whole, such as a metric's help; or as it did.

    What somebody else has set stays.
    """
    import pandas as pd

    before, after = (_PANDAS_WIDTH, _WIDE) if on else (_WIDE, _PANDAS_WIDTH)
    if pd.get_option("display.max_colwidth") == before:
        pd.set_option("display.max_colwidth", after)


def written(value: Any) -> str:
    """Write a value for people: ``1,250``, ``0.333333``, ``+Inf``, the local time of day."""
    if isinstance(value, datetime):
        local = datetime.fromtimestamp(value.timestamp()).astimezone()
        return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d} {local:%Z}"
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if float(value).is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - exact in a float
        return f"{value:,.0f}"
    if not 1e-4 <= abs(value) < 1e9:  # noqa: PLR2004 - beyond, zeros are hard to count
        return f"{value:.{_DIGITS - 1}g}"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _numeric(frame: pd.DataFrame, own: Sequence[str]) -> frozenset[str]:
    return frozenset(n for n in own if n == "value" and frame[n].dtype.kind == "f")


def _html_row(row: Sequence[str], aligned: Sequence[str]) -> str:
    return "".join(
        f'<td style="{_CELL};text-align:{side};overflow-wrap:anywhere;white-space:pre-wrap;'
        f'font-variant-numeric:tabular-nums">{html.escape(text)}</td>'
        for text, side in zip(row, aligned, strict=True)
    )


def _one_line(text: str) -> str:
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return line if len(line) <= _LONGEST_CELL else f"{line[: _LONGEST_CELL - 1]}…"


def _padded(text: str, width: int, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return f"{blanks}{text}" if right else f"{text}{blanks}"


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
