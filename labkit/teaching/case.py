"""A query that is not right: what it should give, what it gives, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.syntax.node import Node
    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Ground, Result


@dataclass(frozen=True)
class Case:
    """A query that is not right, with what it should give and what it gives.

    Attributes:
        exercise: what was asked.
        promql: the answer.
        ground: where the results are from.
        expected: the reference's results.
        given: the answer's, at the same moments.
    """

    exercise: Exercise
    promql: str
    ground: Ground
    expected: tuple[Result, ...]
    given: tuple[Result, ...]

    @cached_property
    def tree(self) -> Node | None:
        """The answer's parts, where the parser reads it."""
        return parsed(self.ground.filled_in(self.promql))

    @cached_property
    def reference(self) -> Node | None:
        """The reference's parts."""
        return parsed(self.exercise.answer)

    def pairs(self) -> Iterator[tuple[float, float]]:
        """Give the expected and given value of each series that both have."""
        for expected, given in zip(self.expected, self.given, strict=True):
            for labels in expected.series.keys() & given.series.keys():
                yield expected.series[labels], given.series[labels]


def plain(promql: str) -> str:
    """Return a query in one spelling: without comments, and spaced as the lab writes it."""
    tree = parsed(promql)
    return "".join(promql.split()) if tree is None else tree.text


def metrics(tree: Node | None) -> set[str]:
    """Return the names of the metrics that a query takes its values from."""
    if tree is None:
        return set()
    return {node.name for node in tree.walk() if node.kind in {"selector", "range"}}


def parsed(promql: str) -> Node | None:
    """Return a query's parts, or None where the parser does not read it."""
    from labkit.promql.syntax.tree import parse

    try:
        return parse(promql)
    except LabError:
        return None
