"""Feedback: what is wrong with a query, told from its result."""

from __future__ import annotations

from labkit.errors import QueryError
from labkit.teaching import shapes, values
from labkit.teaching.case import Case, metrics, parsed, plain
from labkit.teaching.results import alike
from labkit.teaching.verdict import Diagnosis

__all__ = ["Case", "diagnose", "listed", "plain"]


def listed(case: Case) -> Diagnosis | None:
    """Return the words for a typical wrong answer, if this is it or gives the same."""
    usual = [wrong for wrong in case.exercise.wrong if not wrong.refused]
    written = plain(case.promql)
    for wrong in usual:
        if plain(wrong.answer) == written:
            return Diagnosis("listed", wrong.feedback)
    mine = metrics(case.tree)
    # Those of the same metrics first: two mistakes may give the same and deserve other words.
    for wrong in sorted(usual, key=lambda wrong: metrics(parsed(wrong.answer)) != mine):
        if not _gives_the_same(case, wrong.answer):
            continue
        # Words about a metric that the task is not about are for those who took it.
        if metrics(parsed(wrong.answer)) <= mine | metrics(case.reference):
            return Diagnosis("listed", wrong.feedback)
    return None


def _gives_the_same(case: Case, wrong: str) -> bool:
    try:
        results = case.ground.expected(wrong)
    except QueryError:  # one server refuses it, another does not
        return False
    # Many mistakes give nothing at all: that alone says little about which one it was.
    something = any(result.series for result in results)
    return something and alike(results, case.given, case.exercise.tolerance)


def diagnose(case: Case) -> Diagnosis:
    """Return what is wrong with a query, as far as its result and its parts show it."""
    # Another window can leave series out, and is then what has to be said.
    for look in (*shapes.LOOKS, values.window, shapes.series, *values.LOOKS):
        found = look(case)
        if found is not None:
            return found
    return Diagnosis("value", "These are the right series, and their values are not." + _look(case))


def _look(case: Case) -> str:
    if case.ground.live:
        return ""
    return f' Explore the data: lab = open_exercise("{case.exercise.id}").'
