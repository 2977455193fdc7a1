"""Selectors that no series fits, and operators whose sides do not meet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.promql.emptiness.absence import conditions, why_no_series
from labkit.promql.emptiness.pairing import why_no_pair
from labkit.promql.explaining.mistakes import Mistake
from labkit.promql.syntax.node import COMPARISONS, NAME, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts

# They are asked whether something is there, so that nothing is an answer.
_OF_ABSENCE = frozenset({"absent", "absent_over_time"})


def of_selectors(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find selectors that no series has ever fitted.

    Raises:
        LabError: the server does not answer, or too much is to be asked.
    """
    told = set()
    for node in _wanted(root):
        asked = conditions(node)
        if asked and asked not in told and not facts.probe.label_values(NAME, asked):
            yield Mistake(why_no_series(facts.probe, node))
        told.add(asked)


def of_sides(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find operators both of whose sides have series, none of which meet.

    Raises:
        LabError: as `of_selectors`.
    """
    for node in root.walk():
        if node.kind != "binary" or node.name in {"or", "unless"}:
            continue
        if any(child.is_scalar for child in node.children):
            continue
        # What a comparison leaves out now may be there later: it does not tell the labels.
        sides = tuple(_before_comparing(child) for child in node.children)
        judged = replace(node, children=sides)
        if any(facts.probe.empty(side) for side in sides):
            continue
        if why := why_no_pair(facts.probe, judged):
            if sides != node.children:  # what it would write lacks the comparisons
                why = why.partition(" Write ")[0]
            yield Mistake(f"The two sides of {node.name} do not meet: {why}")


def _wanted(node: Node) -> Iterator[Node]:
    if node.kind in {"selector", "range"}:
        yield node
    elif node.kind != "call" or node.name not in _OF_ABSENCE:
        # The second argument of info() is written as a selector, but picks labels.
        children = node.children[:1] if node.name == "info" else node.children
        for child in children:
            yield from _wanted(child)


def _before_comparing(node: Node) -> Node:
    if node.kind == "paren":
        return replace(node, children=(_before_comparing(node.operand),))
    filters = node.kind == "binary" and node.name in COMPARISONS and not node.bool_modifier
    vectors = [child for child in node.children if not child.is_scalar]
    if filters and vectors:
        return _before_comparing(vectors[0])
    if node.kind == "aggregate" and node.name in {"sum", "avg", "min", "max", "count"}:
        return replace(node, children=(_before_comparing(node.operand),))
    return node
