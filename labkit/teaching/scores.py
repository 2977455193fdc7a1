"""Scores: a class sheet from learners' progress files, one row a learner."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.teaching.exercises import all_exercises
from labkit.teaching.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from labkit.teaching.record import Standing

_MINUTE = 60.0
# What a progress file is called by itself; then its folder says whose it is.
_USUAL_NAME = "progress"


@dataclass(frozen=True)
class Score:
    """How far a learner is.

    Attributes:
        learner: the name of the file, without ``-progress``; of its folder if it says no more.
        file: where the progress file is.
        solved: how many exercises are solved, by notebook, such as ``02-measure-errors``.
        attempts: how many answers were checked until they were right, of all exercises.
        hints: how many were looked at.
        solutions_seen: how many solutions were looked at before the exercise was solved.
        minutes: the time spent on exercises until they were solved, without breaks.
        unknown: exercises in the file that this version does not have; they are not counted.
    """

    learner: str
    file: str
    solved: Mapping[str, int]
    attempts: int
    hints: int
    solutions_seen: int
    minutes: float
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many exercises are solved."""
        return sum(self.solved.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**asdict(self), "minutes": round(self.minutes, 1), "total": self.total}


def score(path: Path) -> Score:
    """Return how far the learner of a progress file is.

    Raises:
        LabError: there is no such file, or it is not a record of progress.
    """
    if not path.exists():
        raise LabError(f"There is no file {path}.")
    standings = Record(path).read()
    for id_, standing in standings.items():
        _refuse_nonsense(path, id_, standing)
    exercises = all_exercises()
    known = {id_: each for id_, each in standings.items() if id_ in exercises}
    solved = dict.fromkeys((each.notebook for each in exercises.values()), 0)
    for id_, standing in known.items():
        solved[exercises[id_].notebook] += standing.solved_at is not None
    return Score(
        learner=_learner(path),
        file=str(path),
        solved=solved,
        attempts=sum(each.attempts for each in known.values()),
        hints=sum(each.hints for each in known.values()),
        solutions_seen=sum(each.saw_solution for each in known.values()),
        minutes=sum(each.seconds for each in known.values()) / _MINUTE,
        unknown=tuple(sorted(standings.keys() - known.keys())),
    )


def exercises_by_notebook() -> dict[str, int]:
    """Return how many exercises each notebook has."""
    counts: dict[str, int] = {}
    for each in all_exercises().values():
        counts[each.notebook] = counts.get(each.notebook, 0) + 1
    return counts


def csv_text(scores: Sequence[Score]) -> str:
    """Return the sheet for a spreadsheet: a heading, and a row a learner."""
    import csv
    import io

    notebooks = list(exercises_by_notebook())
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    tail = ["solved", "attempts", "hints", "solutions_seen", "minutes", "file"]
    sheet.writerow(["learner", *notebooks, *tail])
    for each in scores:
        counts = [each.solved[notebook] for notebook in notebooks]
        sums = [each.total, each.attempts, each.hints, each.solutions_seen]
        sheet.writerow(
            [_plain(each.learner), *counts, *sums, f"{each.minutes:.1f}", _plain(each.file)]
        )
    return text.getvalue()


def _learner(path: Path) -> str:
    name = path.stem
    if name.lower() == _USUAL_NAME:
        return path.absolute().parent.name
    for mark in ("-", "_", ".", " "):
        name = name.removesuffix(f"{mark}{_USUAL_NAME}").removeprefix(f"{_USUAL_NAME}{mark}")
    return name


def _plain(text: str) -> str:
    """Keep a spreadsheet from taking a learner's file name for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _refuse_nonsense(path: Path, id_: str, standing: Standing) -> None:
    numbers = [standing.attempts, standing.hints, standing.seconds]
    if all(_is_count(number) for number in numbers) and isinstance(standing.saw_solution, bool):
        return
    raise LabError(f"{path} is not a record of progress.", evidence=f"{id_}: {standing}")


def _is_count(number: object) -> bool:
    return (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and math.isfinite(number)
        and number >= 0
    )
