"""The usual mistakes with counters: totals as they are, and windows that they do not fill."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.promql.emptiness.absence import conditions, subject
from labkit.promql.emptiness.moments import lasting
from labkit.promql.explaining.functions import PASSING
from labkit.promql.explaining.mistakes import Mistake
from labkit.promql.explaining.spans import spoken
from labkit.promql.syntax.node import COMPARISONS, NAME, Node, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts

_ADDING = frozenset({"sum", "avg", "min", "max"})
_ESTIMATES = frozenset({"histogram_quantile", "histogram_quantiles", "histogram_fraction"})
_POINTS = 1000  # at which the first sample of a window is looked for
_READABLE = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 600, 900, 1800, 3600)


def of_raw_counters(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find counters that are shown or compared as they are.

    Raises:
        LabError: the server does not answer, or too much is to be asked.
    """
    for node, aggregate, compared in _shown(root):
        if not aggregate and _raw(facts, node):
            yield Mistake(
                f"{node.name} is a counter, as it is: the total since its target started.",
                "It only grows and begins again at 0 with a restart, so its height says little.",
                *_growing(facts, root, node, compared=compared),
            )


def of_summed_counters(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find counters that are added up, or the like, as they are.

    Raises:
        LabError: as `of_raw_counters`.
    """
    for node, aggregate, compared in _shown(root):
        if aggregate and _raw(facts, node):
            yield Mistake(
                f"{aggregate} of counters as they are: {node.name} is the total since its target "
                "started.",
                "When one of them begins again at 0 with a restart, the answer falls.",
                *_growing(facts, root, node, compared=compared),
            )


def _raw(facts: Facts, node: Node) -> bool:
    if node.kind != "selector" or not facts.is_counter(node):
        return False
    # What is not there is another mistake.
    return bool(facts.probe.label_values(NAME, conditions(node)))


def _growing(facts: Facts, root: Node, node: Node, *, compared: bool) -> tuple[str, str]:
    """Return what to do about a counter as it is, and the expression with its rate."""
    if compared:  # the limit is one of the total: to a rate it would mean something else
        return "Compare how fast it grows, with a limit per second.", ""
    window = replace(node, kind="range", range_seconds=facts.usual_window)
    return "Ask how fast it grows.", replaced(root, node, Node("call", (window,), name="rate")).text


def of_young_counters(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find rates over windows that begin before their series did.

    Raises:
        LabError: as `of_raw_counters`.
    """
    told = set()
    for call in _measured(root):
        window = call.children[0].bare
        if window.kind != "range" or not window.name or window in told:
            continue
        told.add(window)
        if facts.is_gauge(window):  # which is another mistake
            continue
        age, length = _age(facts, window), window.range_seconds or 0.0
        if age is None or not 0 < age < length:
            continue
        filled = max((s for s in _READABLE if s <= age), default=0)
        better = replace(window, range_seconds=float(filled))
        yield Mistake(
            f"{subject(window)} is younger than the window of {spoken(length)}: its first sample "
            f"came {lasting(age)} before the end.",
            f"{call.name}() divides the growth by the whole window, so the answer is too low: "
            f"about {max(1, round(100 * age / length))} % of the true one.",
            "Take a window that it fills, or wait until it fills this one.",
            replaced(root, window, better).text if filled >= facts.least_window else "",
        )


def _age(facts: Facts, window: Node) -> float | None:
    """Return how long before a window's end its first sample came; None if a series is older."""
    probe, length = facts.probe, window.range_seconds or 0.0
    before = replace(
        window,
        kind="selector",
        range_seconds=None,
        offset_seconds=window.offset_seconds + length,
    )
    counted = f"count_over_time({window.text})"
    if not probe.series(f"count({counted}) unless count({before.text})"):
        return None
    taken = replace(window, kind="selector", range_seconds=None, offset_seconds=0.0, at="")
    step = max(facts.scrape_interval, length / _POINTS)
    each = Node(
        "subquery",
        (Node("call", (taken,), name="timestamp"),),
        range_seconds=length,
        step_seconds=round(step, 3),
        offset_seconds=window.offset_seconds,
        at=window.at,
    )
    first = probe.series(f"min(min_over_time({each.text}))")
    return probe.seen_by(window).end - first[0].values[0] if first else None


def _measured(node: Node) -> Iterator[Node]:
    """Give the rates whose height matters: in a quotient of two, and in quantiles, it cancels."""
    if node.kind == "call" and node.name == "rate":
        yield node
        return
    if node.kind == "call" and node.name in _ESTIMATES:
        return
    if node.kind == "binary" and node.name == "/" and all(map(_rated, node.children)):
        return
    for child in node.children:
        yield from _measured(child)


def _rated(node: Node) -> bool:
    return any(part.kind == "call" and part.name == "rate" for part in node.walk())


def _shown(
    node: Node, aggregate: str = "", *, compared: bool = False
) -> Iterator[tuple[Node, str, bool]]:
    """Give what a result consists of, but for arithmetic with numbers and the order of series.

    With it comes the aggregation that it is in, and whether it is compared with a number.
    """
    if node.kind in {"paren", "unary"} or (node.kind == "call" and node.name in PASSING):
        yield from _shown(node.children[0], aggregate, compared=compared)
    elif node.kind == "aggregate" and node.name in {"topk", "bottomk"}:
        yield from _shown(node.operand, aggregate, compared=compared)
    elif node.kind == "aggregate" and node.name in _ADDING:
        yield from _shown(node.operand, node.name, compared=compared)
    elif node.kind == "binary" and any(child.is_scalar for child in node.children):
        limits = compared or node.name in COMPARISONS
        for child in node.children:
            yield from _shown(child, aggregate, compared=limits)
    else:
        yield node, aggregate, compared
