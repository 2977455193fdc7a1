"""Ratios in which each series is divided by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.promql.explaining.mistakes import Mistake
from labkit.promql.syntax.node import Matcher, Node, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts


def of_ratios(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find divisions of series by the very same series."""
    del facts
    for node in root.walk():
        if node.kind != "binary" or node.name != "/" or _joined(node):
            continue
        left, right = (_core(child) for child in node.children)
        if any(part.kind == "aggregate" for part in left.walk()) or not _alike(left, right):
            continue
        summed = tuple(
            replaced(child, side, Node("aggregate", (side,), name="sum"))
            for child, side in zip(node.children, (left, right), strict=True)
        )
        better = replaced(root, node, replace(node, children=summed)).text
        yield Mistake(
            f"Each series of {right.text} divides itself.",
            "Partners have all their labels in common, so both sides of / are the same series: "
            "the answer is 1, or NaN where it is 0/0.",
            "Add up each side first, by the labels that the answer is to have.",
            better,
        )


def _joined(node: Node) -> bool:
    """Whether partners may differ in labels."""
    return node.matching is not None and bool(node.matching.kind)


def _core(node: Node) -> Node:
    """Return a side of an operator without parentheses and without numbers beside it."""
    node = node.bare
    if node.kind == "binary" and node.name in {"*", "/"}:
        vectors = [child for child in node.children if not child.is_scalar]
        if len(vectors) == 1 and vectors[0] is node.children[0]:
            return _core(vectors[0])
    return node


def _alike(left: Node, right: Node) -> bool:
    """Whether two expressions differ at most in that one of them picks some of the other's."""
    if left.is_scalar or right.is_scalar or _unasked(left) != _unasked(right):
        return False
    here, there = _asked(left), _asked(right)
    return here <= there or there <= here


def _asked(node: Node) -> set[Matcher]:
    return {matcher for part in node.walk() for matcher in part.matchers}


def _unasked(node: Node) -> Node:
    return replace(node, matchers=(), children=tuple(map(_unasked, node.children)))
