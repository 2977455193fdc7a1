"""The class sheet: a row a learner, from files that learners hand in."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from labkit.cli import main
from labkit.teaching import all_exercises
from labkit.teaching.record import Record, attempted, hinted, revealed

if TYPE_CHECKING:
    from pathlib import Path


def scores(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["scores", *map(str, arguments)])


def sheet(*arguments: object) -> list[dict[str, str]]:
    done = scores(*arguments, "--csv")
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


def solve(path: Path, *ids: str, hints: int = 0, seen: bool = False) -> Path:
    """Keep a record as a learner's notebook does."""
    record = Record(path)
    for id_ in ids:
        for number in range(1, hints + 1):
            record.change(id_, lambda before, to=number: hinted(before, to))
        if seen:
            record.change(id_, revealed)
        record.change(id_, lambda before: attempted(before, right=False))
        record.change(id_, lambda before: attempted(before, right=True))
    return path


def write(path: Path, **standing: Any) -> Path:
    path.write_text(json.dumps({"version": 1, "exercises": {"errors-1": standing}}))
    return path


def test_a_row_says_what_a_learner_did(tmp_path: Path) -> None:
    ada = solve(tmp_path / "ada.json", "errors-1", "errors-2", "count-1", hints=2)
    solve(ada, "slo-1", seen=True)
    Record(ada).change("lat-1", lambda before: attempted(before, right=False))

    (row,) = sheet(ada)

    assert row["learner"] == "ada"
    assert row["02-measure-errors"] == "2"
    assert row["01-count-requests"] == "1"
    assert row["03-measure-latency"] == "0", "tried, not solved"
    assert row["07-spend-an-error-budget"] == "1"
    assert (row["solved"], row["attempts"], row["hints"]) == ("4", "9", "6")
    assert row["solutions_seen"] == "1"
    assert row["file"] == str(ada)


def test_minutes_are_those_spent_until_it_was_solved(tmp_path: Path) -> None:
    path = write(tmp_path / "ada.json", attempts=1, seconds=330.0, seen_at=1.0)
    assert sheet(path)[0]["minutes"] == "5.5"


def test_the_sheet_is_sorted_and_has_a_column_for_each_notebook(tmp_path: Path) -> None:
    files = [solve(tmp_path / f"{name}.json", "open-1") for name in ("grace", "Ada", "linus")]
    rows = sheet(*files)
    assert [row["learner"] for row in rows] == ["Ada", "grace", "linus"]
    assert list(rows[0])[1:-6] == list(
        dict.fromkeys(each.notebook for each in all_exercises().values())
    )


def test_the_table_adds_up_the_class(tmp_path: Path) -> None:
    files = [solve(tmp_path / "ada.json", "open-1"), solve(tmp_path / "bob.json", "open-1")]
    done = scores(*files)
    assert done.exit_code == 0, done.output
    total = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["all"])
    assert total.split()[1] == "2", "open-1, of two learners"
    assert f"{len(all_exercises())} exercises: 00-open-the-lab 5" in done.stdout


@pytest.mark.parametrize(
    ("name", "learner"),
    [
        ("ada.json", "ada"),
        ("ada-progress.json", "ada"),
        ("progress_ada.json", "ada"),
        ("Ada Lovelace.json", "Ada Lovelace"),
        ("ada/progress.json", "ada"),
    ],
)
def test_the_file_says_whose_it_is(tmp_path: Path, name: str, learner: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    assert sheet(solve(path, "open-1"))[0]["learner"] == learner


def test_a_name_is_no_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    path = solve(tmp_path / "=cmd()-progress.json", "open-1")
    assert sheet(path)[0]["learner"] == "'=cmd()"


def test_what_is_no_record_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = solve(tmp_path / "ada.json", "open-1")
    texts = {
        "broken": "{not json",
        "foreign": '{"name": "package"}',
        "list": "[1]",
        "newer": '{"version": 99, "exercises": {}}',
        "binary": b"\xff\xfe\x00".decode("latin-1"),
    }
    bad = [tmp_path / f"{name}.json" for name in texts]
    for path, text in zip(bad, texts.values(), strict=True):
        path.write_bytes(text.encode("latin-1"))
    bad += [tmp_path / "nowhere.json", tmp_path]

    done = scores(*bad, good, "--csv")

    assert done.exit_code == 1
    for path in bad:
        assert str(path) in done.stderr
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["learner"] == "ada"


@pytest.mark.parametrize(
    "standing",
    [
        {"seconds": "long"},
        {"seconds": math.nan},
        {"seconds": math.inf},
        {"attempts": -1},
        {"hints": None},
        {"saw_solution": "yes"},
    ],
    ids=str,
)
def test_values_that_cannot_be_are_not_added_up(tmp_path: Path, standing: dict[str, Any]) -> None:
    done = scores(write(tmp_path / "ada.json", **standing))
    assert done.exit_code == 1
    assert "ada.json is not a record of progress" in done.stderr
    assert "errors-1" in done.stderr
    assert done.stdout == ""


def test_an_exercise_of_another_version_is_said_and_not_counted(tmp_path: Path) -> None:
    path = solve(tmp_path / "ada.json", "open-1", "magic-1")
    done = scores(path, "--json")
    assert done.exit_code == 0
    assert "magic-1" in done.stderr
    (learner,) = json.loads(done.stdout)["learners"]
    assert learner["total"] == 1
    assert learner["unknown"] == ["magic-1"]


def test_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    assert scores(tmp_path / "ada.json", "--csv", "--json").exit_code == 2
    assert scores().exit_code == 2
