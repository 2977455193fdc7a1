"""What the commands print: words, tables, and JSON for machines."""

from __future__ import annotations

import codecs
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import click

from labkit.cli.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

    console: Console  # standard output: results
    notes: Console  # standard error: progress and remarks, so that a pipe carries results only

# A pipe has no width; a table in it is as wide as its cells.
_PIPE_COLUMNS = 400
_BETWEEN = 3  # characters from a column to the next
_SHORT = 12  # characters of a cell that is not broken

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def __getattr__(name: str) -> Any:
    """Make a console when it is first asked for; rich takes its time to load."""
    if name not in ("console", "notes"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _console(stderr=name == "notes")
    return made


def _console(*, stderr: bool) -> Console:
    """Make a console for a stream: colours and live lines on a terminal only."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout  # None where a shell closed it
    terminal = stream is not None and stream.isatty()
    return Console(
        stderr=stderr,
        # A label may hold anything: no text is taken for markup or painted by guesses.
        markup=False,
        highlight=False,
        emoji=False,
        # Variables such as FORCE_COLOR are for terminals that hide; a pipe stays plain.
        force_terminal=terminal,
        no_color=None if terminal else True,
        width=None if terminal else _PIPE_COLUMNS,
    )


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    styles: Mapping[str, str] | None = None,
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> Table:
    """Return a table to print; columns of numbers are set flush right, short texts stay whole.

    Args:
        columns: the headings.
        rows: one sequence of cells a row; texts are made printable, floats are shown with four
            significant digits, None as nothing, and what rich can draw (a ``Text`` with a colour)
            as it is.
        title: what stands above it.
        styles: rich styles by heading, such as ``{"state": "bold"}``.
        whole: headings of columns whose cells are not broken, however long they are.
        spare: headings of columns to leave out where the screen is narrow, the first one first.
    """
    from rich import box
    from rich.table import Table

    cells = [list(row) for row in rows]
    made = Table(
        title=title and printable(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    for index, column in enumerate(columns):
        numeric = all(_is_number(row[index]) for row in cells)
        shown = [printable(column), *(_cell(row[index]) for row in cells)]
        widest = max(map(_width, shown))
        unbroken = numeric or column in whole or widest <= _SHORT
        made.add_column(
            printable(column),
            justify="right" if numeric else "left",
            style=(styles or {}).get(column, ""),
            min_width=widest if unbroken else _SHORT,
            no_wrap=unbroken,
            overflow="fold",
        )
    for row in cells:
        made.add_row(*map(_cell, row))
    if not spare or fits(made):
        return made
    kept = [index for index, column in enumerate(columns) if column != spare[0]]
    fewer = [[row[index] for index in kept] for row in cells]
    names = [columns[index] for index in kept]
    return table(names, fewer, title=title, styles=styles, whole=whole, spare=spare[1:])


def fits(made: Table) -> bool:
    """Whether a table is drawn on the console without a column that is cut."""
    least = sum(column.min_width or 0 for column in made.columns)
    width: int = sys.modules[__name__].console.width
    return least + _BETWEEN * len(made.columns) <= width


def emit_json(data: Any) -> None:
    """Print data as JSON; NaN and the infinities, which JSON lacks, become null.

    It is escaped where the output cannot hold every character.
    """
    indent = 2 if sys.stdout is not None and sys.stdout.isatty() else None
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name
    ascii_only = not encoding.startswith("utf")
    click.echo(json.dumps(_plain(data), indent=indent, ensure_ascii=ascii_only, allow_nan=False))


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _width(cell: object) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, str(cell).splitlines()), default=0)


def _cell(cell: object) -> RenderableType:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return "–" if math.isnan(cell) else f"{cell:.4g}"
    if isinstance(cell, int):
        return f"{cell:,}" if not isinstance(cell, bool) else str(cell)
    return cell if hasattr(cell, "__rich_console__") else printable(str(cell))


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple | set):
        return [_plain(item) for item in data]
    if data is None or isinstance(data, bool | int | str):  # as JSON has them
        return data
    try:
        number = float(data)
    except (TypeError, ValueError):
        return str(data)
    return number if math.isfinite(number) else None
