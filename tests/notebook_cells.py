"""The course's notebooks, as tests read them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@cache
def cells(notebook: Path) -> list[nbformat.NotebookNode]:
    return nbformat.read(notebook, as_version=4).cells


def code(notebook: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in cells(notebook) if cell.cell_type == "code"]


def prose(notebook: Path) -> list[str]:
    return [cell.source for cell in cells(notebook) if cell.cell_type == "markdown"]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def words_in(text: str) -> int:
    return len(re.findall(r"\w[\w'.-]*", text))
