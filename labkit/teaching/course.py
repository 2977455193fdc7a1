"""A folder for a class: the notebooks as learners get them, or as teachers and nbgrader do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.notebook_files import COURSE_FILE, read, save
from labkit.teaching import copies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbformat import NotebookNode

ASSIGNMENTS = "source"  # where nbgrader looks for what a teacher wrote
_MOST_NAMED = 5
_CONFIGURATION = """\
import os
from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader has it
# What learners have solved is not what you have: grading keeps its own record.
os.environ["LABKIT_PROGRESS"] = str(Path(__file__).with_name("grading-progress.json"))

c.CourseDirectory.course_id = "observability-lab"
# What learners find in an answer cell. nbgrader's own stub is Python; these cells are PromQL.
c.ClearSolutions.code_stub = {"python": "# your answer"}
# The first check of a machine builds the data of the exercises.
c.Execute.timeout = 120
"""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: those that are new or replaced.
        same: how many were there already, just as they are now.
        left_out: how many cells with solutions were left out.
        exercises: how many of them are graded by nbgrader.
    """

    files: tuple[Path, ...] = ()
    same: int = 0
    left_out: int = 0
    exercises: int = 0


def write_notebooks(
    sources: Sequence[Path],
    folder: Path,
    *,
    solutions: bool = False,
    learner: str = "",
    force: bool = False,
) -> Written:
    """Write the notebooks into a folder, without outputs.

    Args:
        sources: the notebooks.
        folder: where to; it is made.
        solutions: whether the cells with solutions stay.
        learner: whose seed the labs get; as they are by default.
        force: whether files that differ from what is written now are replaced.

    Raises:
        LabError: there are such files and they are to stay; or a file can't be read or written.
    """
    present = {path.name for path in sources}
    left_out = 0
    texts: dict[Path, str] = {}
    for source in sources:
        notebook = read(source)
        copies.strip(notebook)
        copies.link(notebook, present)
        if not solutions:
            left_out += copies.without_solutions(notebook)
        if learner:
            copies.reseed(notebook, copies.seed_of(learner))
        texts[folder / source.name] = _text(notebook)
    texts[folder / COURSE_FILE] = _about(learner, solutions=solutions)
    files, same = _write(texts, force=force)
    return Written(files, same, left_out)


def write_assignments(sources: Sequence[Path], folder: Path, *, force: bool = False) -> Written:
    """Write the notebooks as assignments of an nbgrader course, one each, and its settings.

    Args:
        sources: the notebooks; those without exercises become assignments without points.
        folder: of the course; it is made.
        force: whether files that differ from what is written now are replaced.

    Raises:
        LabError: as :func:`write_notebooks`, or an exercise lacks its solution.
    """
    texts = {folder / "nbgrader_config.py": _CONFIGURATION}
    exercises = 0
    for source in sources:
        notebook = read(source)
        copies.strip(notebook)
        copies.link(notebook, {source.name})
        exercises += copies.for_nbgrader(notebook)
        texts[folder / ASSIGNMENTS / source.stem / source.name] = _text(notebook)
    files, same = _write(texts, force=force)
    return Written(files, same, exercises=exercises)


def folder_name(learner: str) -> str:
    """Return a learner's name as a folder can be called everywhere.

    Raises:
        ValueError: nothing of it would be left.
    """
    name = re.sub(r"[^\w.-]+", "-", learner.strip()).strip(".-")
    if not name:
        raise ValueError(f"a name has letters or digits, unlike {learner!r}")
    return name


def _about(learner: str, *, solutions: bool) -> str:
    about: dict[str, object] = {"solutions": solutions}
    if learner:
        about |= {"learner": learner, "seed": copies.seed_of(learner)}
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def _text(notebook: NotebookNode) -> str:
    import nbformat

    return str(nbformat.writes(notebook)) + "\n"  # type: ignore[no-untyped-call]


def _write(texts: Mapping[Path, str], *, force: bool) -> tuple[tuple[Path, ...], int]:
    """Write what is not there yet; look for files that differ before anything is written."""
    changed = [path for path, text in texts.items() if _stands(path, text) is False]
    if changed and not force:
        names = [str(path) for path in changed[:_MOST_NAMED]]
        more = len(changed) - len(names)
        raise LabError(
            f"{_files(len(changed))} would be replaced, so nothing was written.",
            evidence="\n".join(names + ([f"and {more} more"] if more else [])),
            next_step="name another folder; or --force, which loses what stands in them.",
        )
    new = {path: text for path, text in texts.items() if not _stands(path, text)}
    for path, text in new.items():
        _make(path.parent)
        save(path, text, next_step="name another folder.")
    return tuple(new), len(texts) - len(new)


def _files(count: int) -> str:
    return "1 file that is different" if count == 1 else f"{count} files that are different"


def _stands(path: Path, text: str) -> bool | None:
    """Return whether a file holds a text already; None where there is no file."""
    try:
        return path.read_bytes() == text.encode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(
            f"{path} cannot be read.", evidence=str(error), next_step="name another folder."
        ) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"There can be no folder {folder}.",
            evidence=str(error),
            next_step="name another one.",
        ) from error
