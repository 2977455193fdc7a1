"""The course's notebooks as files: where they are, which of them, read and written as a whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError

if TYPE_CHECKING:
    from nbformat import NotebookNode

_PACKAGE = Path(__file__).parent
FIRST_NOTEBOOK = "00-open-the-lab.ipynb"
# A folder with this file holds what a teacher wrote for a class, and nothing is added to it.
COURSE_FILE = "course.json"
_PART = re.compile(r"(\d\d?)(?:-(\d\d?))?")


def shipped() -> Path:
    """Return the folder of the notebooks as they came: the installed ones, or the clone's."""
    installed = _PACKAGE / "notebooks"
    return installed if installed.exists() else _PACKAGE.parent / "notebooks"


def first(folder: Path) -> str:
    """Return the name of the notebook that a folder is opened with."""
    if (folder / FIRST_NOTEBOOK).exists():
        return FIRST_NOTEBOOK
    return next((path.name for path in sorted(folder.glob("*.ipynb"))), FIRST_NOTEBOOK)


def chosen(folder: Path, numbers: str = "") -> list[Path]:
    """Return the notebooks of a folder whose names begin with a number, in its order.

    Args:
        folder: where they are.
        numbers: which, such as ``00-02,06``; all of them by default.

    Raises:
        ValueError: it is not written like that, or names none that there is.
    """
    known = {int(path.name[:2]): path for path in sorted(folder.glob("[0-9][0-9]-*.ipynb"))}
    if not numbers.strip():
        return list(known.values())
    wanted: set[int] = set()
    for part in numbers.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"notebooks are named like 00-02,06, not {numbers!r}")
        first, last = int(found[1]), int(found[2] or found[1])
        if not known.keys() & set(range(first, last + 1)):
            there = ", ".join(path.name[:2] for path in known.values())
            raise ValueError(f"there is no notebook {part.strip()}; there are {there}")
        wanted |= set(range(first, last + 1))
    return [path for number, path in known.items() if number in wanted]


def read(path: Path) -> NotebookNode:
    """Return a notebook.

    Raises:
        LabError: it can't be read, or is no notebook.
    """
    import nbformat

    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, nbformat.reader.NotJSONError) as error:
        raise LabError(
            f"{path} is not a notebook that can be read.",
            evidence=str(error).splitlines()[0],
            next_step="name another one.",
        ) from error
    return notebook


def save(path: Path, text: str, *, next_step: str) -> None:
    """Write a file as a whole or not at all; what stood there is replaced.

    Args:
        path: the file; its folder is there.
        text: what goes into it.
        next_step: what to do where it cannot be written.

    Raises:
        LabError: it cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.new")
    try:
        # The same bytes on every system: else a copy would look changed on another one.
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(path)
    except OSError as error:
        raise LabError(
            f"{path} cannot be written.", evidence=str(error), next_step=next_step
        ) from error
