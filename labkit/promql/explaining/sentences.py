"""A plain sentence for each part of a PromQL expression: what it does, and which labels stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labkit.promql.explaining.functions import LONGEST, SENTENCES, SHORTER
from labkit.promql.explaining.spans import moment, spoken, window
from labkit.promql.syntax.node import COMPARISONS, SET_OPERATORS, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.promql.syntax.node import Kind, Matcher, Matching, Node

_PLACE = re.compile(r"\{(?:(window)|(\d+)(\+?))\}")

# {0} is the parameter; what stands for {of} says which series make one group.
_AGGREGATIONS = {
    "sum": "The sum of {of}",
    "avg": "The mean of {of}",
    "min": "The smallest value of {of}",
    "max": "The largest value of {of}",
    "count": "The count of {of}",
    "group": "1 for {of}, whatever their values",
    "stddev": "The standard deviation of {of}",
    "stdvar": "The variance of {of}",
    "quantile": "The {0} quantile across the values of {of}",
    "count_values": "How many of {of} have each value, which goes into the label {0}",
}
_SELECTIONS = {  # these give series as they are
    "topk": "The {0} series with the largest values, of {of}",
    "bottomk": "The {0} series with the smallest values, of {of}",
    "limitk": "{0} of {of}, the same ones each time",
    "limit_ratio": "A share of {0} of {of}, the same ones each time",
}
_ARITHMETIC = {
    "+": "{left} plus {right}",
    "-": "{left} minus {right}",
    "*": "{left} times {right}",
    "/": "{left} divided by {right}",
    "%": "The remainder of {left} divided by {right}",
    "^": "{left} to the power of {right}",
    "atan2": "The angle whose tangent is {left} divided by {right}, in radians",
}
_COMPARED = {
    ">": "greater than",
    "<": "less than",
    ">=": "at least",
    "<=": "at most",
    "==": "equal to",
    "!=": "not equal to",
}
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
_MATCHED = {"=": "is", "!=": "is not", "=~": "matches", "!~": "does not match"}


def sentence(node: Node) -> str:
    """Return what a part of an expression gives, in a sentence or two.

    Args:
        node: the part; see :func:`labkit.promql.syntax.tree.parse`.
    """
    return _SENTENCES[node.kind](node)


def _selector(node: Node) -> str:
    when = moment(node)
    which = (
        f"The sample of {_series(node)} as of {when}"
        if when
        else f"The newest sample of {_series(node)}"
    )
    return f"{which}."


def _range(node: Node) -> str:
    return f"All samples in {window(node)} of {_series(node)}."


def _series(node: Node) -> str:
    of = f"each series of {node.name}" if node.name else "each series"
    conditions = [_condition(matcher) for matcher in node.matchers]
    whole = any(matcher.op in {"=~", "!~"} for matcher in node.matchers)
    rule = " (a pattern has to match the whole value)" if whole else ""
    return f"{of} whose {_listed(conditions)}{rule}" if conditions else of


def _condition(matcher: Matcher) -> str:
    name = "name" if matcher.name == "__name__" else matcher.name
    if not matcher.value and matcher.op in {"=", "!="}:
        return f"{name} is {'not ' if matcher.op == '!=' else ''}empty or missing"
    return f"{name} {_MATCHED[matcher.op]} {quoted(matcher.value)}"


def _subquery(node: Node) -> str:
    step = (
        f"every {spoken(node.step_seconds).removeprefix('1 ')}"
        if node.step_seconds
        else "at each of the server's evaluation intervals"
    )
    return f"What is inside, worked out {step} over {window(node)}."


def _call(node: Node) -> str:
    if node.name == "label_replace" and not any(child.string for child in node.children[3:]):
        label, value = (child.text for child in node.children[1:3])
        return f"Each series with the label {label} set to {value}; the values stay."
    shortened = len(node.children) < LONGEST.get(node.name, 0)
    template = (SHORTER if shortened else SENTENCES).get(node.name)
    if template is None:
        return f"What the server's function {node.name}() gives; this lab has no sentence for it."
    return _PLACE.sub(lambda found: _filled(node, found), template)


def _filled(node: Node, found: re.Match[str]) -> str:
    if found[1]:
        ranges = (child.bare for child in node.children)
        return next((window(r) for r in ranges if r.range_seconds is not None), "its window")
    first = int(found[2])
    arguments = node.children[first:] if found[3] else node.children[first : first + 1]
    return _listed([argument.text for argument in arguments]) or "(left out)"


def _aggregate(node: Node) -> str:
    template = _AGGREGATIONS.get(node.name) or _SELECTIONS.get(node.name)
    if template is None:
        return f"What the server's aggregation {node.name} gives; this lab has no sentence for it."
    parameter = node.children[0].text
    said = template.replace("{of}", _grouped(node)).replace("{0}", parameter)
    return f"{said}; {_staying(node)}."


def _grouped(node: Node) -> str:
    if node.grouping == "without" and node.labels:
        return f"the series that differ only in {_listed(node.labels)}"
    if node.grouping == "without":
        return "the series with the same labels"
    if node.labels:
        return f"the series with the same {_listed(node.labels)}"
    return "all series"


def _staying(node: Node) -> str:
    if node.name in _SELECTIONS:
        return "they keep all their labels"
    if node.grouping == "without":
        but = _listed(["the metric's name", *node.labels])
        return f"all labels stay but {but}"
    if not node.labels:
        return "no other label stays" if node.name == "count_values" else "no label stays"
    only = "only the label" if len(node.labels) == 1 else "only the labels"
    return f"{only} {_listed(node.labels)} stay{'s' if len(node.labels) == 1 else ''}"


def _binary(node: Node) -> str:
    if node.name in SET_OPERATORS:
        return _set_operator(node)
    if node.name in COMPARISONS:
        return _comparison(node)
    left, right = node.children
    partners = _partners(node)
    values = {"left": _side(left, "left", partners), "right": _side(right, "right", partners)}
    template = _ARITHMETIC.get(
        node.name, f"What the operator {node.name} gives of {{left}} and {{right}}"
    )
    said = template.format(**values)
    return f"{re.sub('^each ', 'Each ', said)}{partners}."


def _side(node: Node, side: str, partners: str) -> str:
    """Name a side of an operator: the number, or the series of it."""
    if node.is_scalar:
        return node.text
    if not partners:
        return "each value"
    return f"each series on the {side}" if side == "left" else "its partner on the right"


def _comparison(node: Node) -> str:
    left, right = node.children
    partners = _partners(node)
    if left.is_scalar and right.is_scalar:
        return f"1 if {left.text} is {_COMPARED[node.name]} {right.text}, 0 if not."
    mirrored = _MIRRORED.get(node.name, node.name) if left.is_scalar else node.name
    number = left.text if left.is_scalar else right.text
    bound = "that of the partner on the right" if partners else number
    condition = f"on the left whose value is {_COMPARED[mirrored]} {bound}"
    condition = condition if partners else condition.removeprefix("on the left ")
    if node.bool_modifier:
        return f"1 for the series {condition}, 0 for the others{partners}."
    return f"The series {condition}; the others are left out{partners}."


def _set_operator(node: Node) -> str:
    where = _same(node.matching)
    if node.name == "or":
        return (
            "All series on the left, and those on the right that have no partner on the left"
            f"{where}."
        )
    has = "have a partner" if node.name == "and" else "have no partner"
    return f"The series on the left that {has} on the right{where}; their values stay."


def _partners(node: Node) -> str:
    """Say which series meet and which labels stay; nothing where a side is a number."""
    if any(child.is_scalar for child in node.children):
        return ""
    return f"{_same(node.matching)}; {_left_over(node)}"


def _same(matching: Matching | None) -> str:
    if matching is None or not matching.kind:
        return " (partners have the same labels, the metric's name aside)"
    if matching.kind == "on":
        if not matching.labels:
            return " (any two series are partners, whatever their labels)"
        return f" (partners have the same {_listed(matching.labels)})"
    ignored = _listed([*matching.labels, "the metric's name"])
    return f" (partners have the same labels, {ignored} aside)"


def _left_over(node: Node) -> str:
    filters = node.name in COMPARISONS and not node.bool_modifier
    if filters:
        return _compared(node.matching)
    # What a comparison leaves out is told of it; what fill() puts in is not left out.
    lost = "" if node.fill else "; a series without a partner is left out"
    return f"{_labels_left(node.matching)}{lost}"


def _compared(matching: Matching | None) -> str:
    """Say what stays of the series that a comparison keeps: their metric's name, too, as a rule."""
    if matching is not None and matching.card.startswith("group"):
        return f"{_labels_left(matching)}; the values are the left side's"
    if matching is None or not matching.kind or not (matching.labels or matching.kind == "on"):
        return "the left side's labels and values stay"
    if matching.kind == "ignoring":
        return f"the left side's values stay, and its labels but {_listed(matching.labels)}"
    return f"{_labels_left(matching)}, with the left side's values"


def _labels_left(matching: Matching | None) -> str:
    if matching is None or not matching.kind:
        return "these labels stay"
    if matching.card.startswith("group"):
        many = "left" if matching.card == "group_left" else "right"
        one = "right" if many == "left" else "left"
        copied = f", with {_listed(matching.include)} from the {one}" if matching.include else ""
        return f"several on the {many} may share one on the {one}, and keep their labels{copied}"
    if matching.kind == "on":
        stays = "stays" if len(matching.labels) == 1 else "stay"
        return f"only {_listed(matching.labels)} {stays}" if matching.labels else "no label stays"
    return "these labels stay"


def _unary(node: Node) -> str:
    if node.is_scalar:
        return f"The number {node.text}."
    return "Each value with its sign turned round."


def _listed(words: Sequence[str]) -> str:
    """Join words as a list in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


_SENTENCES: Mapping[Kind, Callable[[Node], str]] = {
    "selector": _selector,
    "range": _range,
    "subquery": _subquery,
    "call": _call,
    "aggregate": _aggregate,
    "binary": _binary,
    "unary": _unary,
    "number": lambda node: f"The number {node.text}.",
    "string": lambda node: f"The text {node.text}.",
    "paren": lambda node: sentence(node.bare),
}
