"""Marking: an answer is right when its result is, whatever it looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labkit.errors import QueryError
from labkit.teaching import numbers, rules
from labkit.teaching.feedback import Case, diagnose, listed, plain
from labkit.teaching.results import differences, same
from labkit.teaching.verdict import Diagnosis, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from labkit.teaching.exercises import Exercise, Option
    from labkit.teaching.results import Ground

_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_PLACEHOLDERS = {"", "...", "…", "?", "TODO"}
_ELSEWHERE = (
    "It is right on the data that you see, and wrong on other data of the same kind, where traffic "
    "and incidents are different. A number typed in does that, and so does a query that happens "
    "to fit."
)
_OF_SERVERS = ("can't read", "can't work it out", "gave up on")


def is_empty(answer: object) -> bool:
    """Whether nothing was answered: no text, comments only, or a placeholder such as ``…``."""
    return _COMMENT.sub("", str(answer)).strip() in _PLACEHOLDERS


def mark(
    exercise: Exercise,
    answer: object,
    grounds: Sequence[Ground] = (),
    promtool: Path | None = None,
) -> Verdict:
    """Return the verdict on an answer.

    A query is right when it has the same series and values as the reference, within the
    exercise's tolerance, at every moment and on every ground. Labels that are the same all over
    the data and the order do not count, nor does ``__name__`` where the exercise is not about
    names; NaN is never right.

    Args:
        exercise: what was asked.
        answer: a query, a number, the letter or the text of an option, or the text of a file.
        grounds: for queries and rules: what to mark on, the one that the learner sees first.
        promtool: for rules and tests of rules: the program that reads them.

    Raises:
        LabError: the servers are not reached, or promtool is missing.
    """
    if is_empty(answer):
        return Verdict(exercise, False, "unanswered", "There is no answer yet.")
    return _MARKERS[exercise.kind](exercise, str(answer).strip(), grounds, promtool)


def _query(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Verdict:
    del promtool
    for number, ground in enumerate(grounds):
        expected = ground.expected(exercise.answer)
        try:
            given = ground.given(answer)
        except QueryError as error:
            if not any(words in error.message for words in _OF_SERVERS):
                raise
            return _refused(exercise, answer, error)
        if same(expected, given, exercise.tolerance):
            continue
        case = Case(exercise, answer, ground, tuple(expected), tuple(given))
        found = listed(case)
        if found is None and number and not ground.live:
            found = Diagnosis("hidden", _ELSEWHERE)
        found = found or diagnose(case)
        off = [
            d
            for e, g in zip(expected, given, strict=True)
            for d in differences(e, g, exercise.tolerance)
        ]
        return Verdict(
            exercise, False, found.reason, found.words, found.evidence, tuple(off), ground.words
        )
    return _right(exercise)


def _refused(exercise: Exercise, answer: str, error: QueryError) -> Verdict:
    words = next(
        (
            wrong.feedback
            for wrong in exercise.wrong
            if (wrong.refused and re.search(wrong.refused, error.evidence))
            or plain(wrong.answer) == plain(answer)
        ),
        None,
    )
    reason = "refused" if words is None else "listed"
    return Verdict(exercise, False, reason, words or error.message, error.evidence)


def _number(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Verdict:
    del grounds, promtool
    value = numbers.read(answer, exercise.unit)
    if value is None:
        unit = f", in {exercise.unit}" if exercise.unit else ""
        words = f"A number is asked for{unit}, such as 12.5; this is none."
        return Verdict(exercise, False, "refused", words)
    if _near(exercise, value, exercise.answer):
        return _right(exercise)
    if exercise.wrong:
        nearest = min(exercise.wrong, key=lambda wrong: abs(float(wrong.answer) - value))
        if _near(exercise, value, nearest.answer):
            return Verdict(exercise, False, "listed", nearest.feedback)
    return _off_by(exercise, value)


def _near(exercise: Exercise, value: float, wanted: str) -> bool:
    number = float(wanted)
    return abs(value - number) <= exercise.tolerance.at(number)


def _off_by(exercise: Exercise, value: float) -> Verdict:
    expected = float(exercise.answer)
    for factor, words in (
        (60, "60: minutes and seconds"),
        (100, "100: percent and shares"),
        (1000, "1000: seconds and milliseconds"),
    ):
        for scaled in (expected * factor, expected / factor):
            if abs(value - scaled) <= exercise.tolerance.at(scaled):
                return Verdict(exercise, False, "factor", f"This is off by a factor of {words}.")
    direction = "more" if value < expected else "less"
    return Verdict(exercise, False, "value", f"It is {direction} than that.")


def _choice(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Verdict:
    del grounds, promtool
    wanted = _plain(answer)
    for option in exercise.options:
        if wanted in _ways_to_choose(option):
            if not option.feedback:
                return _right(exercise)
            return Verdict(exercise, False, "listed", option.feedback)
    keys = ", ".join(option.key for option in exercise.options)
    return Verdict(exercise, False, "refused", f"Choose one of {keys}.")


def _ways_to_choose(option: Option) -> set[str]:
    """Return how an option may be written: its letter, its text, or both as the card has them."""
    key, text = _plain(option.key), _plain(option.text)
    letters = {f"{key})", f"({key})", f"{key}.", f"{key}:"}
    return {key, text, *letters} | {f"{letter} {text}" for letter in letters}


def _plain(text: str) -> str:
    return " ".join(text.strip().strip(".").lower().split())


def _rule(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Verdict:
    found = rules.compare(exercise, answer, grounds, promtool)
    return _of(exercise, found)


def _rule_test(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Verdict:
    del grounds
    return _of(exercise, rules.judge_test(exercise, answer, promtool))


def _of(exercise: Exercise, found: Diagnosis | None) -> Verdict:
    if found is None:
        return _right(exercise)
    return Verdict(exercise, False, found.reason, found.words, found.evidence)


def _right(exercise: Exercise) -> Verdict:
    return Verdict(exercise, True, "right", exercise.explanation)


_MARKERS: dict[str, Callable[[Exercise, str, Sequence[Ground], Path | None], Verdict]] = {
    "query": _query,
    "number": _number,
    "choice": _choice,
    "rule": _rule,
    "rule-test": _rule_test,
}
