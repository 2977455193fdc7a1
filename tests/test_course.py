"""The teacher's kit: copies for learners, pages to read, and assignments that nbgrader marks."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from click.testing import CliRunner, Result
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from labkit import notebook_files, pages
from labkit.cli import main
from labkit.errors import LabError
from labkit.jupyter import command, notebooks_folder
from labkit.notebook_files import chosen, read
from labkit.teaching import copies
from labkit.teaching.course import write_assignments, write_notebooks
from tests.notebook_cells import NOTEBOOKS, ROOT, cells, tags
from tests.prometheus_lines import binaries

if TYPE_CHECKING:
    from collections.abc import Sequence

LIVE = "lab = labkit.start(scrape_interval=1, seed=3)\nhistory = History(days=2, seed=7)"
WAITS = ["answer", "nbval-skip"]


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "state" / "progress.json"
    monkeypatch.setenv("LABKIT_PROGRESS", str(path))
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    return path


def code(source: str, *marks: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell(source)
    cell.metadata["tags"] = list(marks)
    return cell


def text(source: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(source)


def small(path: Path, *more: nbformat.NotebookNode) -> Path:
    """Write a notebook in the course's form with two exercises that need no data."""
    first = "# Small things\n\nAfter this you can\n\n- know `rate`;\n- stop.\n\n[On](02-two.ipynb)."
    made = [
        text(first),
        code("%load_ext labkit\n2 + 2"),
        *more,
        code("%%check open-5\n# your number", *WAITS),
        code("%%check open-5\n0.333", "solution"),
        code("%%check slo-5\n# your number", *WAITS),
        code("%%check slo-5\n10", "solution"),
    ]
    made[1].outputs = [nbformat.v4.new_output("stream", text="an old output\n")]
    made[1].execution_count = 9
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


def course(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["course", *map(str, arguments)])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- Copies for learners ------------------------------------------------------------------------


def test_a_class_gets_all_notebooks_without_solutions(tmp_path: Path) -> None:
    done = course(tmp_path / "class")
    assert done.exit_code == 0, done.output
    written = sorted((tmp_path / "class").glob("*.ipynb"))
    assert [path.name for path in written] == [path.name for path in NOTEBOOKS]
    for path, source in zip(written, NOTEBOOKS, strict=True):
        kept = [each for each in cells(source) if "solution" not in tags(each)]
        assert [each.id for each in cells(path)] == [each.id for each in kept]
        assert any("answer" in tags(each) for each in cells(path))
        assert not any(tags(each) & {"solution", "nbval-skip"} for each in cells(path))
        assert nbformat.validate(json.loads(path.read_text(encoding="utf-8"))) is None


def test_the_teachers_copy_has_everything(tmp_path: Path) -> None:
    assert course(tmp_path / "all", "--solutions").exit_code == 0
    for path in NOTEBOOKS:
        assert cells(tmp_path / "all" / path.name) == cells(path)


def test_copies_have_no_outputs_and_no_links_to_what_is_not_there(tmp_path: Path) -> None:
    source = small(tmp_path / "from" / "01-one.ipynb")
    write_notebooks([source], tmp_path / "to")
    copy = cells(tmp_path / "to" / "01-one.ipynb")
    assert "On." in copy[0].source
    assert "02-two" not in copy[0].source
    assert copy[1].outputs == []
    assert copy[1].execution_count is None

    other = small(tmp_path / "from" / "02-two.ipynb")
    write_notebooks([source, other], tmp_path / "both")
    assert "[On](02-two.ipynb)." in cells(tmp_path / "both" / "01-one.ipynb")[0].source


def test_each_learner_has_a_lab_of_their_own_and_the_same_data(tmp_path: Path) -> None:
    source = small(tmp_path / "01-one.ipynb", code(LIVE))
    seeds = {}
    for name in ("Ada Lovelace", "Grace Hopper", "ada  LOVELACE"):
        folder = tmp_path / name
        write_notebooks([source], folder, learner=name)
        (cell,) = [each for each in cells(folder / source.name) if "labkit.start" in each.source]
        found = re.fullmatch(re.escape(LIVE).replace("seed=3", r"seed=(\d+)"), cell.source)
        assert found, "the history's seed stays: what the text says holds for it"
        seeds[name] = int(found[1])
        assert json.loads((folder / "course.json").read_text())["seed"] == seeds[name]
    assert seeds["Ada Lovelace"] != seeds["Grace Hopper"]
    assert seeds["Ada Lovelace"] == seeds["ada  LOVELACE"], "the same person"


def test_seeds_are_found_in_the_courses_own_notebooks() -> None:
    notebook = read(next(path for path in NOTEBOOKS if path.stem == "01-count-requests"))
    copies.reseed(notebook, 123_456)
    changed = [cell.source for cell in notebook.cells if "seed=123456" in cell.source]
    assert len(changed) == 1


def test_learners_get_folders(tmp_path: Path) -> None:
    done = course(tmp_path, "--notebooks", "00", "--seed-from", "Ada L.", "--seed-from", "../Zoë/É")
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.glob("*/course.json") for path in [path.parent]} == {
        "Ada-L",
        "Zoë-É",
    }
    assert course(tmp_path, "--seed-from", "a b", "--seed-from", "a/b").exit_code == 2
    assert course(tmp_path, "--seed-from", "///").exit_code == 2


def test_work_that_is_there_stays_unless_it_is_forced(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    assert course(folder, "--notebooks", "00-02").exit_code == 0
    before = files(folder)
    again = course(folder, "--notebooks", "00-02")
    assert again.exit_code == 0
    assert "nothing to write" in again.stdout
    (folder / NOTEBOOKS[1].name).write_text("my answers")
    (folder / NOTEBOOKS[0].name).unlink()

    refused = course(folder, "--notebooks", "00-02")

    assert refused.exit_code == 1
    assert NOTEBOOKS[1].name in refused.stderr
    assert "--force" in refused.stderr
    assert (folder / NOTEBOOKS[1].name).read_text() == "my answers"
    assert not (folder / NOTEBOOKS[0].name).exists(), "all or nothing"
    assert course(folder, "--notebooks", "00-02", "--force").exit_code == 0
    assert files(folder) == before


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = course(tmp_path / "file" / "class")
    assert done.exit_code == 1
    assert "LabError" in done.stderr


@pytest.mark.parametrize(
    ("numbers", "found"),
    [("", "00 01 04 06"), ("00-02", "00 01"), ("6, 0", "00 06"), ("01-01,03-05", "01 04")],
)
def test_notebooks_are_named_by_number(tmp_path: Path, numbers: str, found: str) -> None:
    for name in ("00-a", "01-b", "04-c", "06-d", "notes"):
        (tmp_path / f"{name}.ipynb").touch()
    assert " ".join(path.name[:2] for path in chosen(tmp_path, numbers)) == found


@pytest.mark.parametrize("numbers", ["7", "00-", "a", "00;01", "2-3"])
def test_numbers_that_name_nothing_are_refused(tmp_path: Path, numbers: str) -> None:
    (tmp_path / "00-a.ipynb").touch()
    with pytest.raises(ValueError, match="notebook"):
        chosen(tmp_path, numbers)


def test_opening_a_class_folder_adds_nothing_to_it(tmp_path: Path) -> None:
    """Else the notebooks that were held back would come with their solutions."""
    course(tmp_path / "class", "--notebooks", "01")
    before = files(tmp_path / "class")
    assert notebooks_folder(tmp_path / "class") == tmp_path / "class"
    assert files(tmp_path / "class") == before
    options = command(tmp_path / "class", port=None, browser=False)
    assert f"--LabApp.default_url=/lab/tree/{NOTEBOOKS[1].name}" in options


def test_an_installed_lab_brings_its_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert notebook_files.shipped() == ROOT / "notebooks"
    monkeypatch.setattr(notebook_files, "_PACKAGE", tmp_path)
    (tmp_path / "notebooks").mkdir()
    assert notebook_files.shipped() == tmp_path / "notebooks"


def test_a_learners_copy_runs_to_its_first_open_exercise_and_says_so(
    tmp_path: Path, own_progress: Path
) -> None:
    name = "04-compare-and-join.ipynb"
    assert course(tmp_path, "--notebooks", "04").exit_code == 0
    notebook = read(tmp_path / name)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}})

    with pytest.raises(CellExecutionError):
        client.execute()

    ran = [cell for cell in notebook.cells if cell.get("execution_count")]
    first = next(cell for cell in notebook.cells if "answer" in tags(cell))
    assert ran[-1].id == first.id
    (said,) = first.outputs
    assert said.ename == "Unanswered"
    words = "\n".join(said.traceback)
    assert "join-1 waits for your answer" in words
    assert "All is well up to here." in words
    assert 'hint("join-1")' in words
    assert "Traceback" not in words
    assert "join-1" in json.loads(own_progress.read_text())["exercises"]


# --- Pages --------------------------------------------------------------------------------------


def page(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_pages_have_outputs_links_and_an_index(tmp_path: Path, own_progress: Path) -> None:
    secret = code("guilty = 'app-' + '2'\nguilty", "hide-input")
    sources = [small(tmp_path / "nb" / f"{name}.ipynb", secret) for name in ("01-one", "02-two")]
    before = [path.read_bytes() for path in sources]
    said: list[str] = []

    index = pages.write(sources, tmp_path / "pages", said.append, solutions=True)

    assert re.findall(r"^\n(0\d-\w+)\.ipynb, (\d) of 2$", "\n".join(["", *said]), re.MULTILINE)
    listed = index.read_text(encoding="utf-8")
    assert 'href="01-one.html">Small things</a>' in listed
    assert "know <code>rate</code>" in listed
    first = page(tmp_path / "pages", "01-one.html")
    assert ">4</pre>" in first
    assert "an old output" not in first
    assert "app-2" in first
    assert "guilty" not in first, "a page shows what it gives, not what it says"
    assert "your number" not in first, "cells that wait for an answer are left out"
    assert "open-5" in first
    assert first.count('href="02-two.html"') == 3, "in the text, above and below"
    assert [path.read_bytes() for path in sources] == before
    assert not own_progress.exists(), "the solutions in it are not what the teacher solved"


def test_a_failure_names_notebook_and_cell_and_the_others_are_written(tmp_path: Path) -> None:
    sources = [
        small(tmp_path / "nb" / "01-one.ipynb", code("1 / 0")),
        small(tmp_path / "nb" / "02-two.ipynb"),
    ]
    with pytest.raises(LabError) as failed:
        pages.write(sources, tmp_path / "pages", lambda _: None)
    assert "One notebook failed; 1 pages were written." in str(failed.value)
    assert "01-one.ipynb: This cell failed: 1 / 0" in str(failed.value)
    assert "ZeroDivisionError" in str(failed.value)
    assert set(files(tmp_path / "pages")) == {"02-two.html", "index.html"}
    assert "01-one" not in page(tmp_path / "pages", "index.html")
    assert "open-5" not in page(tmp_path / "pages", "02-two.html"), "no solutions unless asked"


def test_pages_take_no_other_files_place(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my home page")
    source = small(tmp_path / "nb" / "01-one.ipynb")
    with pytest.raises(LabError, match="no pages of a course"):
        pages.write([source], tmp_path, pytest.fail)
    assert page(tmp_path, "index.html") == "my home page"


def test_a_seed_is_for_notebooks_only(tmp_path: Path) -> None:
    done = course(tmp_path / "pages", "--html", "--seed-from", "Ada")
    assert done.exit_code == 2
    assert not (tmp_path / "pages").exists()


# --- nbgrader -----------------------------------------------------------------------------------


NBGRADER = """
import json, sys
from nbgrader import apps
for name, *arguments in json.loads(sys.argv[1]):
    kind = getattr(apps, name)
    app = kind.instance()
    app.initialize(arguments)
    app.start()
    kind.clear_instance()
"""
STEPS = {
    "generate_assignment": "GenerateAssignmentApp",
    "autograde": "AutogradeApp",
    "export": "ExportApp",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with nbgrader, which the lab itself has no use for, and would show in JupyterLab."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    wanted = ["--requirement", str(Path(__file__).parent / "nbgrader.txt")]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return site


def nbgrader(site: Path, folder: Path, *commands: str) -> None:
    """Run commands of the recipe in docs/teaching.md; in one process, as each loads for long."""
    # nbgrader calls alembic by its name, as it finds it in an environment that is active.
    path = [str(Path(sys.executable).parent), str(site / "bin"), os.environ["PATH"]]
    steps = [[STEPS[name], *rest] for name, *rest in map(str.split, commands)]
    done = subprocess.run(
        [sys.executable, "-c", NBGRADER, json.dumps(steps)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": os.pathsep.join(path), "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def answer(notebook: nbformat.NotebookNode, answers: dict[str, str]) -> nbformat.NotebookNode:
    for cell in notebook.cells:
        if (id_ := copies.check_of(cell)) in answers:
            cell.source = f"%%check {id_}\n{answers[id_]}"
    return notebook


@pytest.mark.slow
def test_nbgrader_marks_what_learners_hand_in(
    site: Path, tmp_path: Path, own_progress: Path
) -> None:
    source = small(tmp_path / "nb" / "01-one.ipynb")
    folder = tmp_path / "graded"
    assert write_assignments([source], folder).exercises == 2
    recipe = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    assert [step for step in STEPS if f"\nnbgrader {step}" in recipe] == list(STEPS)

    nbgrader(site, folder, "generate_assignment 01-one --create")
    released = folder / "release" / "01-one" / "01-one.ipynb"
    assert "BEGIN SOLUTION" not in released.read_text()
    assert [c.source for c in cells(released) if copies.check_of(c)] == [
        "%%check open-5\n# your answer",
        "%%check slo-5\n# your answer",
    ]
    given = {"ada": {"open-5": "0.333", "slo-5": "14.4"}, "bob": {"slo-5": "10"}}
    for learner, answers in given.items():
        handed_in = folder / "submitted" / learner / "01-one" / "01-one.ipynb"
        handed_in.parent.mkdir(parents=True)
        nbformat.write(answer(read(released), answers), handed_in)
    nbgrader(site, folder, "autograde 01-one --create", "export")

    rows = csv.DictReader((folder / "grades.csv").read_text().splitlines())
    scores = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in rows}
    assert scores == {"ada": (1, 4), "bob": (3, 4)}, "open-5 has one point, slo-5 three"
    assert not own_progress.exists(), "what learners solved is not what the teacher did"


def graded(notebook: Sequence[nbformat.NotebookNode]) -> list[str]:
    return [cell.metadata.nbgrader.grade_id for cell in notebook if "nbgrader" in cell.metadata]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_of_the_course_can_be_graded(source: Path) -> None:
    notebook = read(source)
    ids = [copies.check_of(cell) for cell in notebook.cells if "answer" in tags(cell)]
    assert copies.for_nbgrader(notebook) == len(ids) > 0
    expected = [name for id_ in ids for name in (f"answer-{id_}", f"test-{id_}")]
    assert graded(notebook.cells) == expected
    nbformat.validate(notebook)


def test_an_exercise_without_a_solution_cannot_be_graded(tmp_path: Path) -> None:
    source = small(tmp_path / "01-one.ipynb", code("%%check open-1\n# your query", *WAITS))
    with pytest.raises(LabError, match="open-1 has an answer cell, but no solution"):
        write_assignments([source], tmp_path / "graded")
    assert not (tmp_path / "graded").exists()
