"""Exercises: what is asked, what is right, and what the typical wrong answers deserve to hear."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["query", "number", "choice", "rule", "rule-test"]

COURSES = Path(__file__).with_name("courses")
LEVELS = {1: "first steps", 2: "takes some thought", 3: "takes some care"}
DEFAULT_RELATIVE = 0.001


@dataclass(frozen=True)
class Tolerance:
    """How far an answer may be from the expected one: absolute + relative · |expected|.

    Attributes:
        relative: a share of the expected value.
        absolute: in the unit of the answer; infinity where values do not matter, only which
            series there are.
    """

    relative: float = DEFAULT_RELATIVE
    absolute: float = 1e-9

    def at(self, expected: float) -> float:
        """Return how far from an expected value an answer may be."""
        return self.absolute + self.relative * abs(expected)


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer.

    Attributes:
        answer: one way to write it.
        feedback: what to say to whoever gives it.
        refused: for what a server does not even accept: a regular expression that its words meet.
    """

    answer: str
    feedback: str
    refused: str = ""


@dataclass(frozen=True)
class Option:
    """One of the answers to choose from.

    Attributes:
        key: its letter.
        text: what it says.
        feedback: why it is wrong; empty for the right one.
    """

    key: str
    text: str
    feedback: str = ""


@dataclass(frozen=True)
class Exercise:
    """An exercise; what does not apply to its kind is empty.

    Attributes:
        id: how it is asked for, such as ``errors-2``.
        notebook: where it belongs, such as ``02-measure-errors``.
        level: 1 to 3.
        kind: ``query`` (PromQL), ``number``, ``choice``, ``rule`` (the text of a rules file) or
            ``rule-test`` (the text of a test file for promtool).
        title: a few words.
        task: what to do, in plain words.
        answer: the reference: a query, a number, the key of an option, or the text of a file.
        also_right: other answers that are right.
        wrong: typical wrong ones.
        hints: two, the second one says more.
        explanation: what the solution says beside the reference.
        history: the name of the data that a query is marked on; see `labkit.teaching.material`.
        moments: when it is evaluated, in seconds before the end of the history.
        quiet: further moments, at which the reference may be empty.
        any_labels: whether one value is asked for, whatever labels it carries.
        names: whether the metric's name, ``__name__``, counts like any other label.
        live: whether it is about the running lab, and marked there as well.
        tolerance: how far from the reference a value may be.
        share: whether the values are shares of a whole, from 0 to 1.
        unit: of a number.
        options: of a choice.
        given: the rules that a test is written for.
        mutants: broken versions of them, which a good test notices, each with what to say when
            it does not.
    """

    id: str
    notebook: str
    level: int
    kind: Kind
    title: str
    task: str
    answer: str
    also_right: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    hints: tuple[str, str]
    explanation: str
    history: str = ""
    moments: tuple[int, ...] = ()
    quiet: tuple[int, ...] = ()
    any_labels: bool = False
    names: bool = False
    live: bool = False
    tolerance: Tolerance = Tolerance()
    share: bool = False
    unit: str = ""
    options: tuple[Option, ...] = ()
    given: str = ""
    mutants: tuple[tuple[str, str], ...] = ()


def all_exercises(notebook: str | None = None) -> Mapping[str, Exercise]:
    """Return the exercises by their id, in the order of the course.

    Args:
        notebook: only those of one, such as ``02-measure-errors`` or ``02``.

    Raises:
        LabError: a file of exercises is not as it should be; it names the file and the exercise.
    """
    known = _all()
    if notebook is None:
        return known
    found = {key: each for key, each in known.items() if each.notebook.startswith(notebook)}
    if not found:
        names = ", ".join(dict.fromkeys(each.notebook for each in known.values()))
        raise LabError(
            f"No exercises belong to {notebook!r}.", next_step=f"take one of these: {names}."
        )
    return MappingProxyType(found)


def find(id_: str) -> Exercise:
    """Return an exercise.

    Args:
        id_: such as ``errors-2``.

    Raises:
        LabError: there is none of that id; it names those that are near.
    """
    known = _all()
    wanted = str(id_).strip()
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted.lower(), known, n=3) or [*known][:3]
    raise LabError(
        f"There is no exercise {wanted!r}.",
        next_step=f"take another one, such as {', '.join(near)}; progress() lists them all.",
    )


@cache
def _all() -> Mapping[str, Exercise]:
    from labkit.teaching.schema import read

    found: dict[str, Exercise] = {}
    for path in sorted(COURSES.glob("*.yml")):
        for exercise in read(path):
            if exercise.id in found:
                raise LabError(
                    f"{path.name}: {exercise.id}: this id is taken, in "
                    f"{found[exercise.id].notebook}.",
                    next_step="give it another one.",
                )
            found[exercise.id] = exercise
    return MappingProxyType(found)
