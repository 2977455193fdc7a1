"""`labkit course`: the notebooks as a folder for a class, as pages, or for nbgrader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from labkit.cli.options import usage_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.teaching.course import Written

Form: TypeAlias = Literal["notebooks", "html", "nbgrader"]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--solutions", is_flag=True, help="Keep the solutions: the teacher's copy.")
@click.option(
    "--seed-from",
    "learners",
    metavar="NAME",
    multiple=True,
    help="A learner: their labs get a seed of their own, their notebooks a folder in DIR.",
)
@click.option(
    "--notebooks",
    "numbers",
    metavar="NUMBERS",
    default="",
    help="Which, such as 00-02,06; by default all.",
)
@click.option(
    "--html", "form", flag_value="html", help="Run them, and write pages to read, with an index."
)
@click.option(
    "--nbgrader", "form", flag_value="nbgrader", help="Write the assignments of an nbgrader course."
)
@click.option("--force", is_flag=True, help="Overwrite files that are different.")
def course(
    *,
    folder: Path,
    solutions: bool,
    learners: tuple[str, ...],
    numbers: str,
    form: Form | None,
    force: bool,
) -> None:
    r"""Write the notebooks as a folder for a class.

    Learners' copies are without the solutions; the cells that wait for answers stay. With
    --seed-from, the labs that the notebooks start draw from the learner's own seed, the same for
    the same name. Histories and the data of exercises are the same for all: what the notebooks
    say about them holds for these. A file that differs from what would be written stays as it
    is, unless you say --force.

    \b
    Examples:
      labkit course class                             copies for learners
      labkit course class --notebooks 00-02           the notebooks of the 90 minutes
      labkit course class --seed-from Ada --seed-from Grace
      labkit course teacher --solutions
      labkit course pages --html                      to read on paper or the web
      labkit course graded --nbgrader

    \b
    Exit codes:
      0 fine; 1 a notebook failed, or files would be overwritten; 2 usage
    """
    from labkit.notebook_files import chosen, shipped

    form = form or "notebooks"
    if learners and form != "notebooks":
        raise click.UsageError(f"--seed-from is for notebooks, not for --{form}.")
    with usage_errors():
        sources = chosen(shipped(), numbers)
    if form == "html":
        _pages(sources, folder, solutions=solutions, force=force)
    elif form == "nbgrader":
        _assignments(sources, folder, force=force)
    else:
        _copies(sources, folder, learners, solutions=solutions, force=force)


def _copies(
    sources: Sequence[Path],
    folder: Path,
    learners: Sequence[str],
    *,
    solutions: bool,
    force: bool,
) -> None:
    from labkit.teaching.course import folder_name, write_notebooks

    with usage_errors():
        folders = {folder / folder_name(name): name for name in learners} or {folder: ""}
    if len(folders) < len(set(learners)):
        raise click.UsageError("two of the names would share a folder; write them differently.")
    for place, learner in folders.items():
        done = write_notebooks(sources, place, solutions=solutions, learner=learner, force=force)
        without = "with their solutions"
        if not solutions:
            without = f"without {done.left_out} cells of solutions"
        _tell(place, done, f"{len(sources)} notebook{'s' * (len(sources) != 1)} {without}")
    click.echo(f"Open one: labkit lab {next(iter(folders))}")


def _assignments(sources: Sequence[Path], folder: Path, *, force: bool) -> None:
    from labkit.teaching.course import write_assignments

    done = write_assignments(sources, folder, force=force)
    _tell(folder, done, f"{len(sources)} assignments, {done.exercises} graded exercises")
    click.echo(f"Next, in {folder}: nbgrader generate_assignment {sources[0].stem} --create")


def _pages(sources: Sequence[Path], folder: Path, *, solutions: bool, force: bool) -> None:
    from labkit.pages import write

    index = write(sources, folder, click.echo, solutions=solutions, force=force)
    click.echo(f"Written: {index.absolute()}")


def _tell(folder: Path, done: Written, what: str) -> None:
    how = f"{len(done.files)} files written" if done.files else "nothing to write"
    same = f", {done.same} there already" if done.same else ""
    click.echo(f"{folder}: {what} ({how}{same})")
