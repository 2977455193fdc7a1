"""Selectors that no series fits, labels that none has, and sides that do not meet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.promql.emptiness.absence import conditions, why_no_series
from labkit.promql.emptiness.nearest import listed, nearest
from labkit.promql.emptiness.pairing import left_alone, meet, why_no_pair
from labkit.promql.explaining.mistakes import Mistake
from labkit.promql.syntax.node import COMPARISONS, NAME, Node, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts

_SOME = 100  # series, whose labels are looked at
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
    """Find operators whose sides do not meet, or whose series are in part left out.

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
        left, right = (facts.probe.series(side.text) for side in sides)
        if not left or not right:
            continue
        if not meet(node, left, right):
            why = why_no_pair(facts.probe, judged)
            if sides != node.children:  # what it would write lacks the comparisons
                why = why.partition(" Write ")[0]
            yield Mistake(f"The two sides of {node.name} do not meet: {why}")
        elif node.name != "and" and not node.fill and (why := left_alone(node, left, right)):
            yield Mistake(why, "An answer that is not there is no 0, and nothing else tells of it.")


def of_labels(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find labels that are grouped by, or that sides are compared by, and that no series has.

    Raises:
        LabError: as `of_selectors`.
    """
    told = set()
    for node in root.walk():
        labels, word = _grouping(node)
        operands = tuple(_before_comparing(child).text for child in _vectors(node))
        if not labels or (labels, operands) in told:
            continue
        told.add((labels, operands))
        known = _labels_of(facts, operands, labels)
        missing = [label for label in labels if label not in known]
        if known and missing:
            yield _unknown(root, node, word, missing[0], sorted(known))


def _grouping(node: Node) -> tuple[tuple[str, ...], str]:
    if node.kind == "aggregate":
        return node.labels, node.grouping
    if node.kind == "binary" and node.matching is not None:
        return node.matching.labels, node.matching.kind
    return (), ""


def _vectors(node: Node) -> tuple[Node, ...]:
    return node.children[-1:] if node.kind == "aggregate" else node.children


def _labels_of(facts: Facts, operands: tuple[str, ...], wanted: tuple[str, ...]) -> set[str]:
    """Return the labels of some series, and those of the wanted ones that any series has."""
    known: set[str] = set()
    for operand in operands:
        some = facts.probe.series(f"topk({_SOME}, {operand})")
        known |= {name for found in some for name in found.labels} - {NAME}
        if some and not known.issuperset(wanted):
            by = f"group by ({', '.join(wanted)}) ({operand})"
            known |= {name for found in facts.probe.series(by) for name in found.labels}
    return known


def _unknown(root: Node, node: Node, word: str, label: str, known: list[str]) -> Mistake:
    near = nearest(label, known, most=1)
    told = {
        "by": "All series count as equal in it, so it tells none apart, and is not in the answer.",
        "without": "So it takes nothing away.",
        "on": "All series count as equal in it, so it keeps none apart.",
        "ignoring": "So nothing is ignored.",
    }
    better = _renamed(node, label, near[0]) if near else node
    there = f"There {'is' if len(known) == 1 else 'are'} {listed(known)}."
    return Mistake(
        f"{word} ({label}): no series has a label {label} there.",
        told[word],
        f"{there} Did you mean {near[0]}?" if near else there,
        replaced(root, node, better).text if near else "",
    )


def _renamed(node: Node, label: str, better: str) -> Node:
    def named(labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(better if name == label else name for name in labels)

    if node.matching is not None:
        return replace(node, matching=replace(node.matching, labels=named(node.matching.labels)))
    return replace(node, labels=named(node.labels))


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
