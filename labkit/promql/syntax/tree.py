"""A PromQL expression as a tree, read by promql-parser."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.promql.syntax.node import NAME, Matcher, Matching, Node, number

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

__all__ = ["Matcher", "Matching", "Node", "Unparsed", "parse"]

_DEEPEST = 150  # so that what walks a tree stays clear of Python's limit
_AT = re.compile(r" @ (-?[\d.]+|start\(\)|end\(\))(?: offset \S+)?$")
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_CARDINALITIES = {
    "OneToOne": "one-to-one",
    "ManyToOne": "group_left",
    "OneToMany": "group_right",
    "ManyToMany": "many-to-many",
}


class Unparsed(LabError):
    """The parser at hand does not read this expression; a server may."""


def parse(promql: str) -> Node:
    """Return the tree of an expression.

    Args:
        promql: the expression, with Grafana's variables filled in.

    Raises:
        Unparsed: the parser (promql-parser) does not read it; a server may, as its language
            differs from version to version.
    """
    import promql_parser

    try:
        return _of_bearable_depth(_node(promql_parser.parse(promql)))
    except (ValueError, RecursionError) as error:
        raise Unparsed(
            "The parser of this lab does not read this expression.",
            evidence=f"{promql.strip()}\n{error}",
            next_step="ask the server with lab.query(): its language may know more.",
        ) from error


def _of_bearable_depth(node: Node) -> Node:
    if _depth(node) > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    return node


def _depth(node: Node) -> int:
    return 1 + max(map(_depth, node.children), default=0)


def _node(parsed: Any) -> Node:
    return _READERS[type(parsed).__name__](parsed)


def _selector(parsed: Any) -> Node:
    matchers = [
        Matcher(m.name, _OPERATORS[str(m.op).rpartition(".")[2]], m.value)
        for m in parsed.matchers.matchers
    ]
    if parsed.matchers.or_matchers:
        raise ValueError("`or` between the matchers of a selector is not PromQL")
    named = next((m for m in matchers if (m.name, m.op) == (NAME, "=")), None)
    return Node(
        "selector",
        name=parsed.name or (named.value if named else ""),
        matchers=tuple(m for m in matchers if m is not named or parsed.name),
        offset_seconds=_offset(parsed.offset),
        at=_at(parsed),
    )


def _range(parsed: Any) -> Node:
    selector = _selector(parsed.vector_selector)
    return replace(selector, kind="range", range_seconds=parsed.range.total_seconds())


def _subquery(parsed: Any) -> Node:
    return Node(
        "subquery",
        (_node(parsed.expr),),
        range_seconds=parsed.range.total_seconds(),
        step_seconds=parsed.step.total_seconds() if parsed.step is not None else None,
        offset_seconds=_offset(parsed.offset),
        at=_at(parsed),
    )


def _aggregate(parsed: Any) -> Node:
    parameter = () if parsed.param is None else (_node(parsed.param),)
    modifier = parsed.modifier
    by = modifier is not None and str(modifier.type).endswith("By")
    return Node(
        "aggregate",
        (*parameter, _node(parsed.expr)),
        name=str(parsed.op),
        grouping="" if modifier is None else "by" if by else "without",
        labels=() if modifier is None else tuple(modifier.labels),
    )


def _binary(parsed: Any) -> Node:
    modifier = parsed.modifier
    return Node(
        "binary",
        (_node(parsed.lhs), _node(parsed.rhs)),
        name=str(parsed.op),
        matching=None if modifier is None else _matching(modifier),
        bool_modifier=modifier is not None and modifier.return_bool,
        fill="" if modifier is None else _fill(modifier.fill_values),
    )


def _matching(modifier: Any) -> Matching | None:
    card = _CARDINALITIES[str(modifier.card).rpartition(".")[2]]
    if modifier.matching is None:
        return Matching("", card=card) if card == "many-to-many" else None
    return Matching(
        "on" if str(modifier.matching.type).endswith("Include") else "ignoring",
        tuple(modifier.matching.labels),
        card,
        tuple(modifier.group_labels or ()),
    )


def _fill(values: Any) -> str:
    left, right = values.lhs, values.rhs
    if left is not None and left == right:
        return f"fill ({number(left)})"
    sides = (("fill_left", left), ("fill_right", right))
    return " ".join(f"{word} ({number(value)})" for word, value in sides if value is not None)


def _offset(offset: timedelta | None) -> float:
    return 0.0 if offset is None else offset.total_seconds()


def _at(parsed: Any) -> str:
    # As text: the library's own time of a moment before 1970 ends in a panic.
    if parsed.at is None:
        return ""
    found = _AT.search(str(parsed))
    return "" if found is None else number(float(found[1])) if found[1][-1] != ")" else found[1]


_READERS: dict[str, Callable[[Any], Node]] = {
    "VectorSelector": _selector,
    "MatrixSelector": _range,
    "SubqueryExpr": _subquery,
    "Call": lambda p: Node("call", tuple(_node(each) for each in p.args), name=p.func.name),
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
    "UnaryExpr": lambda p: Node("unary", (_node(p.expr),), name="-"),
    "ParenExpr": lambda p: Node("paren", (_node(p.expr),)),
    "NumberLiteral": lambda p: Node("number", number=p.val),
    "StringLiteral": lambda p: Node("string", string=p.val),
}
