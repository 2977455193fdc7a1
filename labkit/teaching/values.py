"""Feedback on the values of a query that gives the right series."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.errors import QueryError
from labkit.promql.steps import duration
from labkit.promql.syntax.node import replaced
from labkit.teaching.case import metrics
from labkit.teaching.results import same
from labkit.teaching.shapes import listed_names
from labkit.teaching.verdict import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from labkit.promql.syntax.node import Node
    from labkit.teaching.case import Case

_STEADY = 0.002  # how much a factor may waver from series to series
_ALIKE = 1e-9


def _factor(case: Case) -> Diagnosis | None:
    """A steady factor between what is given and what was asked has a reason."""
    factor = _steady(given / expected for expected, given in case.pairs() if expected)
    if factor is None:
        return None
    for number, words in _factors(case):
        for times, of in ((number, "times what was asked"), (1 / number, "of what was asked")):
            if math.isclose(factor, times, rel_tol=_STEADY):
                size = f"{number:g} {of}" if times >= 1 else f"1/{number:g} {of}"
                return Diagnosis("factor", f"Each value is {size}: {words}.")
    if math.isclose(factor, -1, rel_tol=_STEADY):
        return Diagnosis("factor", "Each value has the wrong sign: swap the sides of the minus.")
    return Diagnosis("factor", f"Each value is {factor:.4g} times what was asked.")


def _factors(case: Case) -> Iterator[tuple[float, str]]:
    windows = {
        node.range_seconds
        for tree in (case.tree, case.reference)
        if tree is not None
        for node in tree.walk()
        if node.range_seconds
    }
    for window in sorted(windows):
        if window not in {60.0, 3600.0}:
            text = duration(round(window * 1000))
            yield window, f"{text} are so many seconds; rate() is per second, increase() per window"
    yield 60, "per second and per minute differ by that"
    yield 100, "a share and a percentage differ by that"
    yield 3600, "per second and per hour differ by that"
    yield 1000, "seconds and milliseconds differ by that"
    if case.ground.instances > 1:
        yield (
            case.ground.instances,
            f"there are {case.ground.instances} instances; sum() adds them and avg() does not",
        )


def _complement(case: Case) -> Diagnosis | None:
    pairs = [(expected, given) for expected, given in case.pairs() if expected and given]
    for whole in (1.0, 100.0):
        if pairs and all(
            math.isclose(given, whole - expected, rel_tol=_STEADY) for expected, given in pairs
        ):
            return Diagnosis(
                "complement", f"This is the other part: {whole:g} minus it is what was asked for."
            )
    return None


def _inverse(case: Case) -> Diagnosis | None:
    """A share or a percentage whose sides are swapped: each is 1 divided by the other."""
    pairs = [(expected, given) for expected, given in case.pairs() if expected and given]
    for whole in (1.0, 100.0, 10_000.0):
        if pairs and all(
            math.isclose(expected * given, whole, rel_tol=_STEADY) for expected, given in pairs
        ):
            return Diagnosis("inverted", "This is upside down: swap the sides of the division.")
    return None


def _share(case: Case) -> Diagnosis | None:
    most = max((given for _, given in case.pairs()), default=0.0)
    if not case.exercise.share or most <= 1:
        return None
    return Diagnosis(
        "ratio",
        f"A share was asked for, from 0 to 1, and this goes up to {most:.4g}: divide the part by "
        "the whole.",
    )


def window(case: Case) -> Diagnosis | None:
    """The same query with the window of the task would be right."""
    if case.tree is None or case.reference is None:
        return None
    mine = {node.range_seconds for node in case.tree.walk() if node.range_seconds}
    theirs = {node.range_seconds for node in case.reference.walk() if node.range_seconds}
    pairs = [({*mine}, length) for length in sorted(theirs)]  # one window for all of them
    pairs += [({wrong}, length) for wrong in sorted(mine - theirs) for length in sorted(theirs)]
    for wrong, length in pairs:
        if wrong <= {length} or not _would_be_right(case, _with_window(case.tree, wrong, length)):
            continue
        names = listed_names(duration(round(each * 1000)) for each in wrong - {length})
        right = duration(round(length * 1000))
        return Diagnosis("window", f"The window is {names}; the task is about {right}.")
    return None


def _would_be_right(case: Case, tree: Node) -> bool:
    try:
        results = case.ground.given(tree.text)
    except QueryError:
        return False
    return same(case.expected, results, case.exercise.tolerance)


def _with_window(node: Node, wrong: Collection[float], right: float) -> Node:
    children = tuple(_with_window(child, wrong, right) for child in node.children)
    seconds = right if node.range_seconds in wrong else node.range_seconds
    return replace(node, children=children, range_seconds=seconds)


def _subquery(case: Case) -> Diagnosis | None:
    """The same query with the window of a metric, where it has a subquery over it, is right."""
    if case.tree is None:
        return None
    for node in case.tree.walk():
        if node.kind != "subquery" or node.operand.bare.kind != "selector":
            continue
        plain = replace(node.operand.bare, kind="range", range_seconds=node.range_seconds)
        if _would_be_right(case, replaced(case.tree, node, plain)):
            return Diagnosis(
                "subquery",
                f"{node.text} is a subquery: it looks at the metric now and then, and misses what "
                f"lies before its first look. A metric has its samples: {plain.text}.",
            )
    return None


def _mistake(case: Case) -> Diagnosis | None:
    """What is known to be wrong with a query whatever was asked: order, types, percentiles."""
    if case.tree is None:
        return None
    from labkit.promql.explaining import counters, mistakes, percentiles
    from labkit.promql.explaining.facts import Facts

    facts = Facts(case.ground.client, case.given[0].time)
    for reason, look in (
        ("gauge", mistakes.of_types),
        ("order", mistakes.of_order),
        ("raw", counters.of_raw_counters),
        ("percentiles", percentiles.of_averages),
        ("buckets", percentiles.of_buckets),
    ):
        for mistake in look(facts, case.tree):
            words = " ".join(filter(None, [mistake.what, mistake.why, mistake.instead]))
            return Diagnosis(reason, words)
    return None


def raw(case: Case) -> Diagnosis | None:
    """A counter as it is, of which the reference takes the growth."""
    if case.tree is None or case.reference is None:
        return None
    grown = {node.name for node in case.reference.walk() if node.kind == "range"}
    as_it_is = {node.name for node in _not_in_subqueries(case.tree) if node.kind == "selector"}
    ending = ("_total", "_count", "_sum", "_bucket")
    for name in sorted(grown & as_it_is):
        if name.endswith(ending):
            return Diagnosis(
                "raw",
                f"{name} as it is is the total since each app started. The task is about how fast "
                "a counter grows: rate() per second, increase() over a window.",
            )
    return None


def _not_in_subqueries(node: Node) -> Iterator[Node]:
    """Give a node and what is below it, but for what a subquery makes a window of."""
    yield node
    if node.kind != "subquery":
        for child in node.children:
            yield from _not_in_subqueries(child)


def _filters(case: Case) -> Diagnosis | None:
    """A label that the reference looks at and the answer does not, or another metric."""
    if case.tree is None or case.reference is None:
        return None
    names, wanted = metrics(case.tree), metrics(case.reference)
    if names and not names & wanted:
        return Diagnosis(
            "metric",
            f"What was asked for is not in {listed_names(names)}: lab.metrics() says what each "
            "metric means.",
        )
    mine, theirs = _matched(case.tree), _matched(case.reference)
    for label in sorted(theirs - mine):
        return Diagnosis(
            "filter",
            f"The task is about some of the series only; this query does not filter by {label}.",
        )
    for label in sorted(mine - theirs):
        return Diagnosis(
            "filter", f"This query filters by {label}, and the task is about all values of it."
        )
    return None


def _matched(tree: Node) -> set[str]:
    return {matcher.name for node in tree.walk() for matcher in node.matchers} - {"job"}


def _steady(numbers: Iterable[float]) -> float | None:
    """Return what several numbers have in common, if they are much the same and not 1."""
    found = list(numbers)
    if not found or any(not math.isfinite(n) or n == 0 for n in found):
        return None
    if not _same(found):
        return None
    return None if math.isclose(found[0], 1, rel_tol=_STEADY) else found[0]


def _same(numbers: list[float]) -> bool:
    return bool(numbers) and all(
        math.isfinite(n) and math.isclose(n, numbers[0], rel_tol=_STEADY) for n in numbers
    )


# The first that has something to say is heard.
LOOKS: tuple[Callable[[Case], Diagnosis | None], ...] = (
    _factor,
    _complement,
    _inverse,
    _subquery,
    _mistake,
    raw,
    _share,
    _filters,
)
