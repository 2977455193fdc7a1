"""`labkit scores`: a class sheet from learners' progress files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli import output
from labkit.cli.output import json_option
from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.teaching.scores import Score


@click.command()
@click.argument(
    "files", metavar="FILES...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for a spreadsheet.")
@json_option
@click.pass_context
def scores(ctx: click.Context, *, files: tuple[Path, ...], as_csv: bool, as_json: bool) -> None:
    r"""Make a class sheet from learners' progress files.

    One row a learner: the exercises solved by notebook and in all, the attempts, hints and
    solutions it took, and the minutes. The learner is the file's name, such as ada.json, or its
    folder's where the file is called progress.json. A file that is no record of progress is
    named, and the others are read all the same.

    \b
    Examples:
      labkit scores handed-in/*.json
      labkit scores handed-in/*/progress.json --csv > class.csv

    \b
    Exit codes:
      0 every file was read; 1 some were not; 2 usage
    """
    from labkit.teaching.scores import csv_text, score

    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms of the same; take one.")
    read: list[Score] = []
    refused: list[str] = []
    for file in files:
        try:
            read.append(score(file))
        except LabError as error:
            refused.append(error.message)
            click.echo(f"left out: {error.message} {error.evidence}".rstrip(), err=True)
    _warn_of_unknown(read)
    read.sort(key=lambda each: each.learner.casefold())
    if as_json:
        output.emit_json({"learners": [each.to_dict() for each in read], "left_out": refused})
    elif as_csv:
        click.echo(csv_text(read), nl=False)
    elif read:
        _show(read)
    ctx.exit(1 if refused else 0)


def _warn_of_unknown(read: Sequence[Score]) -> None:
    for each in read:
        if each.unknown:
            names = ", ".join(each.unknown)
            click.echo(f"{each.file}: not counted, unknown to this version: {names}", err=True)


def _show(read: Sequence[Score]) -> None:
    from labkit.teaching.scores import exercises_by_notebook

    counts = exercises_by_notebook()
    rows: list[list[object]] = [
        [each.learner, *each.solved.values(), *_sums(each)] for each in read
    ]
    if len(read) > 1:
        columns = list(zip(*(row[1:] for row in rows), strict=True))
        rows.append(["all", *(sum(column) for column in columns)])
    numbers = [name[:2] for name in counts]
    sums = ["solved", "attempts", "hints", "solutions", "minutes"]
    output.console.print(output.table(["learner", *numbers, *sums], rows))
    of = ", ".join(f"{name} {count}" for name, count in counts.items())
    click.echo(f"{sum(counts.values())} exercises: {of}")


def _sums(each: Score) -> list[int]:
    return [each.total, each.attempts, each.hints, each.solutions_seen, round(each.minutes)]
