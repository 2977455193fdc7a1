"""The form that the notebooks share, so that one who knows one finds their way in all."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from labkit.teaching import all_exercises
from tests import minutes
from tests.notebook_cells import NOTEBOOKS, cells, code, prose, tags, words_in

if TYPE_CHECKING:
    from collections.abc import Iterator

# hide-input: what a learner is to find out; a page leaves the cell's text out.
TAGS = {"answer", "solution", "nbval-skip", "hide-input"}
CALLOUTS = ("Predict", "Try", "In production")
BANNED = ("time.sleep", "%pip", "!pip", "sys.path", "localhost:9090", "127.0.0.1:9090")
# The first one has more to show: where everything is.
MOST_CELLS = {"00-open-the-lab": 50}

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
IMAGE = re.compile(r"!\[([^\]]*)\]\(|<img (?![^>]*\balt=.[^'\"])")

every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def headings(notebook: Path) -> list[str]:
    return re.findall(r"^## (.+)$", "\n\n".join(prose(notebook)), re.MULTILINE)


def python(cell: nbformat.NotebookNode) -> str:
    """Return a cell's Python, its magics left out; empty for a cell magic."""
    if cell.source.startswith("%%"):
        return ""
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", cell.source, flags=re.MULTILINE)


# --- From the first cell to the last ------------------------------------------------------------


@every_notebook
def test_begins_with_what_it_is_for(notebook: Path) -> None:
    assert re.fullmatch(r"\d\d-[a-z]+(-[a-z0-9]+)+", notebook.stem), "NN-verb-noun"
    first = cells(notebook)[0].source
    assert first.startswith("# "), "the title first"
    assert re.search(r"\byou can$", first, re.MULTILINE), "After this you can …"
    assert len(re.findall(r"^- .+[;.]$", first, re.MULTILINE)) == 3, "three lines of it"


@every_notebook
def test_says_how_long_it_takes_as_the_teachers_guide_does(notebook: Path) -> None:
    said = re.search(
        r"^\*About (\d+) minutes(?: to read and run, and (\d+) for the exercises)?\b",
        cells(notebook)[0].source,
        re.MULTILINE,
    )
    assert said, "how long it takes"
    text, work = minutes.text_minutes(notebook), minutes.exercise_minutes(notebook)
    if said[2]:
        assert [int(said[1]), int(said[2])] == pytest.approx([text, work], rel=0.2)
    else:
        assert int(said[1]) == pytest.approx(text + work, rel=0.2)


@every_notebook
def test_one_cell_imports_and_one_opens_the_lab(notebook: Path) -> None:
    first, *others = code(notebook)
    assert first.source.startswith("%load_ext labkit\n")
    for cell in others:
        assert not re.search(r"^(import|from|%load_ext) ", cell.source, re.MULTILINE)
    opened = re.compile(r"^lab(, \w+)? = (labkit\.\w+|open_exercise)\(", re.MULTILINE)
    assert sum(len(opened.findall(cell.source)) for cell in code(notebook)) == 1


@every_notebook
def test_ends_with_a_recap_and_the_way_on(notebook: Path) -> None:
    assert "Recap" in headings(notebook)
    assert headings(notebook)[-1] == "Where to go next"
    text = "\n\n".join(prose(notebook))
    recap = text[text.index("## Recap") : text.index("## Where to go next")]
    assert re.search(r"^\| *:?-+:? *\|", recap, re.MULTILINE), "a table of the queries met"
    assert "`" in recap
    last = code(notebook)[-1].source
    assert re.search(r"^lab\.stop\(\)$", last, re.MULTILINE)
    follows = NOTEBOOKS[NOTEBOOKS.index(notebook) + 1 :]
    if follows:
        assert f"]({follows[0].name})" in text[text.index("## Where to go next") :]


@every_notebook
def test_has_as_many_cells_as_one_sits_through(notebook: Path) -> None:
    seen = [cell for cell in cells(notebook) if "solution" not in tags(cell)]
    assert 20 <= len(seen) <= MOST_CELLS.get(notebook.stem, 45)


@every_notebook
def test_says_what_was_learned_as_asserts(notebook: Path) -> None:
    assert any(re.search(r"^assert ", cell.source, re.MULTILINE) for cell in code(notebook))


# --- Prose --------------------------------------------------------------------------------------


@every_notebook
def test_callouts_have_one_form(notebook: Path) -> None:
    text = "\n\n".join(prose(notebook))
    for name in ("Predict", "In production"):
        assert f"\n> **{name}.** " in text
    for start in re.findall(r"^> ?\*\*.*$", text, re.MULTILINE):
        assert re.match(rf"> \*\*({'|'.join(CALLOUTS)})\.\*\* \S", start), start
    for name in CALLOUTS:
        assert not re.search(rf"^\*\*{name}[.:]\*\*|\*\*{name}:\*\*", text, re.MULTILINE)


@every_notebook
def test_cells_are_short_and_introduced(notebook: Path) -> None:
    told, code_in_a_row = "", 0
    for cell in cells(notebook):
        if cell.cell_type == "markdown":
            told = cell.source if code_in_a_row else f"{told}\n{cell.source}"
            code_in_a_row = 0
            continue
        if "solution" in tags(cell):
            continue
        assert len(cell.source.splitlines()) <= 10, cell.source
        if "answer" not in tags(cell):  # its exercise stands right before it
            code_in_a_row += 1
            assert code_in_a_row <= 2, f"without a word before it:\n{cell.source}"
            if not cell.source.startswith("exercise("):
                assert words_in(told) >= 15, f"hardly a word before it:\n{cell.source}"


@every_notebook
def test_paragraphs_are_short(notebook: Path) -> None:
    for text in prose(notebook):
        for paragraph in re.split(r"\n\s*\n", text):
            if not re.match(r"[|#*-]|\d\.", paragraph):
                assert words_in(paragraph) <= 110, paragraph


@every_notebook
def test_links_lead_somewhere_from_a_copy_too(notebook: Path) -> None:
    """To a notebook beside it, or to the web: a learner's folder has nothing else."""
    names = {path.name for path in NOTEBOOKS}
    for text in prose(notebook):
        assert not IMAGE.search(re.sub(r"!\[[^\]]+\]", "", text)), "an image without alt text"
        for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
            if not re.match(r"https?:|#|attachment:", target):
                assert target.partition("#")[0] in names, target


# --- Code ---------------------------------------------------------------------------------------


@every_notebook
def test_cells_have_no_copied_helpers_or_tricks(notebook: Path) -> None:
    for cell in code(notebook):
        for banned in BANNED:
            assert banned not in cell.source, cell.source
        for node in ast.walk(ast.parse(python(cell))):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 5, f"{node.name} belongs in labkit"


@every_notebook
def test_stored_without_outputs(notebook: Path) -> None:
    stored = json.loads(notebook.read_text(encoding="utf-8"))
    assert nbformat.validate(stored) is None
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in stored["metadata"]
    for cell in cells(notebook):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_nbstripout_has_nothing_to_take_out() -> None:
    program = Path(sys.executable).with_name("nbstripout")
    if not program.exists():
        pytest.skip("nbstripout comes with the extra dev, which is not installed")
    done = subprocess.run(
        [program, "--verify", *NOTEBOOKS], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- Exercises ----------------------------------------------------------------------------------


def asked(notebook: Path) -> Iterator[tuple[str, str]]:
    """Give what the code cells about exercises are, in order: ("task", "errors-1"), …."""
    for cell in code(notebook):
        if found := re.fullmatch(r'exercise\("([a-z]+-\d+)"\)', cell.source):
            yield "task", found[1]
        elif found := re.match(r"%%check ([a-z]+-\d+)\n", cell.source):
            yield " ".join(sorted(tags(cell))), found[1]


@every_notebook
def test_each_exercise_has_its_task_its_answer_and_its_solution(notebook: Path) -> None:
    ids = [key for key, each in all_exercises().items() if each.notebook == notebook.stem]
    expected = [(kind, id_) for id_ in ids for kind in ("task", "answer nbval-skip", "solution")]
    assert sorted(asked(notebook)) == sorted(expected)
    for id_ in ids:
        kinds = [kind for kind, other in asked(notebook) if other == id_]
        assert kinds == ["task", "answer nbval-skip", "solution"], f"the order of {id_}"
    text = "\n".join(prose(notebook))
    assert "hint(" in text, "that there are hints is said once"
    assert "solution(" in text


@every_notebook
def test_tags_mean_one_thing(notebook: Path) -> None:
    for cell in cells(notebook):
        assert tags(cell) <= TAGS
        if "answer" in tags(cell):
            assert re.fullmatch(r"%%check \S+\n# [a-z][^\n]+", cell.source), cell.source
        if "solution" in tags(cell):
            assert cell.source.startswith("%%check "), "what a learner's copy can do without"
            assert cell.metadata["jupyter"] == {"source_hidden": True}
        if "nbval-skip" in tags(cell):
            assert "answer" in tags(cell), "every other cell is tested"


def test_every_file_of_exercises_has_its_notebook() -> None:
    belong_to = {each.notebook for each in all_exercises().values()}
    assert belong_to == {notebook.stem for notebook in NOTEBOOKS}


def test_the_minutes_in_the_teachers_guide_are_those_of_the_notebooks() -> None:
    written = minutes.PAGE.read_text(encoding="utf-8")
    assert written == minutes.page(), "run `python -m tests.minutes` and commit its page"
