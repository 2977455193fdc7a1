"""Verdicts: whether an answer is right, and what helps if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Difference


class Unanswered(LabError):
    """A cell that is still waiting for its answer."""


class NotYet(LabError):
    """An answer that is not right yet, with what helps."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with an answer.

    Attributes:
        reason: in one word, for programs: ``listed``, ``refused``, ``empty``, ``labels``, ….
        words: what to say, in sentences.
        evidence: what shows it, such as a server's words with a caret.
    """

    reason: str
    words: str
    evidence: str = ""


@dataclass(frozen=True)
class Verdict:
    """What came of checking an answer; shown as text and as HTML.

    Attributes:
        exercise: which one.
        right: whether it is solved.
        reason: ``right``, ``unanswered``, or what is wrong, in one word.
        feedback: what to say.
        evidence: what shows it; empty as a rule.
        differences: the series in which a query's answer differs, the furthest off first.
        data: the words for the data that they are of, such as "this history".
    """

    exercise: Exercise
    right: bool
    reason: str
    feedback: str
    evidence: str = ""
    differences: tuple[Difference, ...] = ()
    data: str = ""

    def __str__(self) -> str:
        from labkit.teaching.cards import verdict_text

        return verdict_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from labkit.teaching.cards import verdict_html

        return verdict_html(self)
