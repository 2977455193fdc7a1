"""Copies of the notebooks: for learners, with a seed of their own, or in nbgrader's form."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Collection

    from nbformat import NotebookNode

ANSWER, SOLUTION = "answer", "solution"
HIDDEN = "hide-input"  # its text is what a learner is to find out
_FOR_TESTS = "nbval-skip"
_SEEDS = 1_000_000
_CHECK = re.compile(r"%%check +(\S+)")
# A running lab's seed, not a history's: what a notebook says about a history holds for its seed.
_LAB_SEED = re.compile(r"(\b(?:labkit\.start|(?:labkit\.)?Lab)\([^()]*?\bseed *= *)\d+")
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((\d\d-[\w-]+\.ipynb)(#[^)]*)?\)")


def strip(notebook: NotebookNode) -> None:
    """Take out what running it has left: outputs, counts, the states of widgets."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None


def without_solutions(notebook: NotebookNode) -> int:
    """Take out the cells with solutions, and marks that are for tests only.

    Returns:
        How many cells were taken out.
    """
    kept = [cell for cell in notebook.cells if SOLUTION not in tags(cell)]
    removed = len(notebook.cells) - len(kept)
    notebook.cells = kept
    for cell in kept:
        if _FOR_TESTS in tags(cell):
            cell.metadata["tags"] = [tag for tag in tags(cell) if tag != _FOR_TESTS]
    return removed


def without_answers(notebook: NotebookNode) -> None:
    """Take out the cells that wait for an answer, so that it runs to its end."""
    notebook.cells = [cell for cell in notebook.cells if ANSWER not in tags(cell)]


def link(notebook: NotebookNode, present: Collection[str], suffix: str = ".ipynb") -> None:
    """Have links to other notebooks lead somewhere.

    Args:
        notebook: whose text is changed.
        present: the names of the notebooks that are there; links to others become plain text.
        suffix: what the files are, such as ``.html``.
    """

    def linked(found: re.Match[str]) -> str:
        words, name, place = found[1], found[2], found[3] or ""
        return (
            f"[{words}]({name.removesuffix('.ipynb')}{suffix}{place})" if name in present else words
        )

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(linked, cell.source)


def seed_of(name: str) -> int:
    """Return the seed of a learner: the same for the same name, in whatever case it is written."""
    plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return int.from_bytes(hashlib.sha256(plain.encode()).digest()[:8], "big") % _SEEDS


def reseed(notebook: NotebookNode, seed: int) -> None:
    """Give the lab that a notebook starts another seed; a lab without one stays without."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _LAB_SEED.sub(rf"\g<1>{seed}", cell.source)


def for_nbgrader(notebook: NotebookNode) -> int:
    """Bring a notebook into the form of nbgrader's source version.

    Each answer cell gets the solution between nbgrader's marks and is followed by a locked cell
    with as many points as the exercise's level, which asks what came of the check.

    Returns:
        How many exercises it has.

    Raises:
        LabError: an exercise lacks its answer or its solution.
    """
    from nbformat.v4 import new_code_cell

    solutions = {check_of(cell): cell.source for cell in notebook.cells if SOLUTION in tags(cell)}
    cells, count = [], 0
    for cell in notebook.cells:
        id_ = check_of(cell)
        if SOLUTION in tags(cell) and id_:
            continue
        if ANSWER in tags(cell) and id_:
            count += 1
            _fill(cell, id_, solutions.get(id_))
            test = new_code_cell(  # type: ignore[no-untyped-call]
                f"from labkit.teaching import last_verdict\n\n"
                f'assert last_verdict("{id_}").right, last_verdict("{id_}")',
                id=f"test-{id_}",
            )
            test.metadata["nbgrader"] = _graded(f"test-{id_}", points=_points(id_))
            cells += [cell, test]
            continue
        cells.append(cell)
    notebook.cells = cells
    return count


def check_of(cell: NotebookNode) -> str:
    """Return the exercise that a cell answers; empty if it is no such cell."""
    found = _CHECK.match(cell.source) if cell.cell_type == "code" else None
    return found[1] if found else ""


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", ()))


def _fill(cell: NotebookNode, id_: str, solution: str | None) -> None:
    if solution is None:
        raise LabError(
            f"{id_} has an answer cell, but no solution.",
            next_step=f"add a cell with the tag {SOLUTION} that begins with %%check {id_}.",
        )
    head, _, answer = solution.partition("\n")
    cell.source = f"{head}\n### BEGIN SOLUTION\n{answer.strip()}\n### END SOLUTION"
    cell.metadata["tags"] = [tag for tag in tags(cell) if tag != _FOR_TESTS]
    cell.metadata["nbgrader"] = _graded(f"answer-{id_}", points=None)


def _graded(name: str, *, points: int | None) -> dict[str, Any]:
    test = points is not None
    data = {
        "schema_version": 3,
        "cell_type": "code",
        "grade_id": name,
        "grade": test,
        "locked": test,
        "solution": not test,
        "task": False,
    }
    return {**data, "points": points} if test else data


def _points(id_: str) -> int:
    from labkit.teaching.exercises import find

    return find(id_).level
