"""The parts that a PromQL expression is made of, and how each is written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from labkit.promql.steps import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Kind: TypeAlias = Literal[
    "selector",
    "range",
    "subquery",
    "call",
    "aggregate",
    "binary",
    "unary",
    "number",
    "string",
    "paren",
]

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})

NAME = "__name__"
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Functions whose value is a number without labels.
_NUMBERS = frozenset({"scalar", "time", "pi", "start", "end", "range", "step", "max_of", "min_of"})
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass(frozen=True)
class Matcher:
    """A condition on a label.

    Attributes:
        name: of the label.
        op: ``=``, ``!=``, ``=~`` or ``!~``.
        value: the text or the regular expression, without quotes.
    """

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        name = self.name if _LABEL.fullmatch(self.name) else quoted(self.name)
        return f"{name}{self.op}{quoted(self.value)}"


@dataclass(frozen=True)
class Matching:
    """Which labels have to be equal for two series to meet in an operator.

    Attributes:
        kind: ``on`` or ``ignoring``; empty where neither is written.
        labels: those that it names.
        card: ``one-to-one``, ``group_left``, ``group_right`` or, in set operators,
            ``many-to-many``.
        include: the labels that ``group_left`` or ``group_right`` copies.
    """

    kind: Literal["on", "ignoring", ""]
    labels: tuple[str, ...] = ()
    card: str = "one-to-one"
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A part of an expression; what does not apply to its kind is empty.

    Attributes:
        kind: what it is; ``range`` is a selector with a window, such as ``x[5m]``.
        children: its parts as they are written: arguments; the parameter of an aggregation (if it
            has one), then what is aggregated; the two sides of an operator.
        name: the metric, function, aggregation or operator.
        matchers: of a selector or range, without the one that names the metric.
        range_seconds: the window of a range or subquery.
        step_seconds: of a subquery; None where it is left to the server.
        offset_seconds: how far back it looks; negative for a look ahead.
        at: what follows ``@``: unix seconds, ``start()`` or ``end()``.
        grouping: ``by`` or ``without`` of an aggregation.
        labels: those that the grouping names.
        matching: of an operator; None where a side is a number and for an operator without any
            modifier that is no set operator.
        bool_modifier: whether a comparison gives 0 and 1 rather than leave series out.
        number: of a number.
        string: of a string.
        fill: what ``fill(…)`` writes after the matching; empty as a rule.
    """

    kind: Kind
    children: tuple[Node, ...] = ()
    name: str = ""
    matchers: tuple[Matcher, ...] = ()
    range_seconds: float | None = None
    step_seconds: float | None = None
    offset_seconds: float = 0.0
    at: str = ""
    grouping: Literal["by", "without", ""] = ""
    labels: tuple[str, ...] = ()
    matching: Matching | None = None
    bool_modifier: bool = False
    number: float | None = None
    string: str = ""
    fill: str = ""

    @property
    def text(self) -> str:
        """The PromQL of this part, on one line."""
        return _WRITERS[self.kind](self)

    @property
    def operand(self) -> Node:
        """What an aggregation, unary operator, subquery or pair of parentheses is about."""
        return self.children[-1]

    @property
    def bare(self) -> Node:
        """The node without parentheses around it."""
        return self.children[0].bare if self.kind == "paren" else self

    @property
    def is_scalar(self) -> bool:
        """Whether its value is one number without labels."""
        if self.kind == "call":
            return self.name in _NUMBERS
        if self.kind in {"paren", "unary", "binary"}:
            return all(child.is_scalar for child in self.children)
        return self.kind == "number"

    def walk(self) -> Iterator[Node]:
        """Give this node and all below it, each before its parts."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self) -> str:
        return self.text


def replaced(root: Node, old: Node, new: Node) -> Node:
    """Return a tree in which one node, that very one, is another."""
    if root is old:
        return new
    children = tuple(replaced(child, old, new) for child in root.children)
    return replace(root, children=children)


def quoted(text: str) -> str:
    """Write a text as a string of PromQL."""
    return f'"{"".join(_ESCAPES.get(character, character) for character in text)}"'


def seconds(amount: float) -> str:
    """Write seconds as a duration of PromQL: ``5m``, ``90s``, ``-1h``."""
    return f"{'-' if amount < 0 else ''}{duration(round(abs(amount) * 1000))}"


def number(value: float) -> str:
    """Write a number as PromQL does."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(float(value)).removesuffix(".0")


def _write_selector(node: Node) -> str:
    conditions = [str(matcher) for matcher in node.matchers]
    plain = bool(_METRIC.fullmatch(node.name))
    if node.name and not plain:
        conditions.insert(0, str(Matcher(NAME, "=", node.name)))
    braces = f"{{{', '.join(conditions)}}}" if conditions or not node.name else ""
    window = f"[{seconds(node.range_seconds)}]" if node.range_seconds is not None else ""
    return f"{node.name if plain else ''}{braces}{window}{_moved(node)}"


def _write_subquery(node: Node) -> str:
    step = "" if node.step_seconds is None else seconds(node.step_seconds)
    window = f"[{seconds(node.range_seconds or 0)}:{step}]"
    return f"{node.operand.text}{window}{_moved(node)}"


def _moved(node: Node) -> str:
    at = f" @ {node.at}" if node.at else ""
    return f"{at} offset {seconds(node.offset_seconds)}" if node.offset_seconds else at


def _write_aggregate(node: Node) -> str:
    inside = ", ".join(child.text for child in node.children)
    if not node.grouping or (node.grouping == "by" and not node.labels):
        return f"{node.name}({inside})"
    return f"{node.name} {node.grouping} ({_names(node.labels)}) ({inside})"


def _write_binary(node: Node) -> str:
    left, right = node.children
    words = [left.text, node.name]
    if node.bool_modifier:
        words.append("bool")
    if node.matching is not None and node.matching.kind:
        words.append(f"{node.matching.kind} ({_names(node.matching.labels)})")
        if node.matching.card.startswith("group"):
            words.append(f"{node.matching.card} ({_names(node.matching.include)})")
    if node.fill:
        words.append(node.fill)
    return " ".join([*words, right.text])


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(name if _LABEL.fullmatch(name) else quoted(name) for name in labels)


_WRITERS: dict[str, Callable[[Node], str]] = {
    "selector": _write_selector,
    "range": _write_selector,
    "subquery": _write_subquery,
    "call": lambda node: f"{node.name}({', '.join(child.text for child in node.children)})",
    "aggregate": _write_aggregate,
    "binary": _write_binary,
    "unary": lambda node: f"-{node.operand.text}",
    "paren": lambda node: f"({node.operand.text})",
    "number": lambda node: number(node.number if node.number is not None else math.nan),
    "string": lambda node: quoted(node.string),
}
