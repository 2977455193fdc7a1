"""Why no series meets a comparison: the values that it had."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from labkit.promql.emptiness.nearest import clipped, listed
from labkit.promql.emptiness.pairing import paired
from labkit.promql.syntax.node import NAME, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labkit.promql.emptiness.probe import Probe
    from labkit.promql.syntax.node import Node

_MOST = 3
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


def why_unmet(probe: Probe, node: Node) -> str:
    """Say which values a comparison had that is false for all; empty if it had none.

    Args:
        probe: where to ask; over a window, the values nearest to what was asked for.
        node: a comparison without ``bool``.

    Raises:
        QueryError: as any query.
    """
    left, right = node.children
    if right.is_scalar:
        return _against_number(probe, left, node.name, right)
    if left.is_scalar:
        return _against_number(probe, right, _MIRRORED[node.name], left)
    return _against_each_other(probe, node)


def _against_number(probe: Probe, side: Node, operator: str, number: Node) -> str:
    values = [value for found in probe.series(number.text) for value in found.values]
    limit = values[-1] if values else math.nan
    found = probe.series(side.text)
    numbers = [value for each in found for value in each.values if not math.isnan(value)]
    if not numbers:
        return _not_a_number(side) if any(each.values for each in found) else ""
    told = number.text if number.kind == "number" else f"{_written(limit)} ({number.text})"
    shown = [
        (nearest_value, each.labels)
        for each in found
        if (nearest_value := _nearest(each.values, operator, limit)) is not None
    ]
    shown.sort(key=lambda pair: _distance(pair[0], operator, limit))
    names = telling([labels for _, labels in shown])
    texts = [f"{_beside(value, limit)}{_named(labels, names)}" for value, labels in shown]
    return _told(texts, f"{operator} {told}", instant=probe.instant)


def _told(texts: Sequence[str], condition: str, *, instant: bool) -> str:
    """Say that no value meets a condition: those of the moment, or the best of a window."""
    if len(texts) == 1 and instant:
        return f"The comparison is false: {texts[0]} is not {condition}."
    if len(texts) == 1:
        return (
            "The comparison is true at no time in the window: the best was "
            f"{texts[0]}, not {condition}."
        )
    which = "they are" if len(texts) <= _MOST else "the nearest are"
    when, was = "", "is"
    if not instant:
        which, when, was = "the best were", " at any time in the window", "was"
    return (
        f"The comparison is true for none of the {len(texts)} series{when}: none {was} "
        f"{condition}; {which} {listed(texts[:_MOST], most=_MOST)}."
    )


def _against_each_other(probe: Probe, node: Node) -> str:
    left, right = (probe.series(child.text) for child in node.children)
    pairs = paired(node, left, right)
    if not pairs:
        return ""
    names = telling([found.labels for found, _ in pairs])
    last = [
        (one.values[-1], other.values[-1], _named(one.labels, names))
        for one, other in pairs
        if one.values and other.values
    ]
    texts = [
        f"{_beside(value, limit)} is not {node.name} {_written(limit)}{labels}"
        for value, limit, labels in last
    ]
    if len(texts) == 1:
        false = "false" if probe.instant else "true at no time in the window; at its end"
        return f"The comparison is {false}: {texts[0]}."
    when = "" if probe.instant else " at any time in the window; at its end"
    return f"The comparison is true for no series{when}: {listed(texts[:_MOST], most=_MOST)}."


def _not_a_number(side: Node) -> str:
    return (
        f"Every value of {clipped(side.text)} is NaN, such as 0/0 where nothing happened, and "
        "NaN meets no comparison."
    )


def _nearest(values: Sequence[float], operator: str, limit: float) -> float | None:
    """Return the value that comes nearest to meeting a comparison; None if all are NaN."""
    numbers = [value for value in values if not math.isnan(value)]
    return min(numbers, key=lambda value: _distance(value, operator, limit), default=None)


def _distance(value: float, operator: str, limit: float) -> float:
    if operator in {">", ">="}:
        return -value
    if operator in {"<", "<="}:
        return value
    return abs(value - limit) if math.isfinite(value) else math.inf


def telling(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the labels that tell series apart."""
    names = sorted({name for labels in rows for name in labels} - {NAME})
    return [name for name in names if len({labels.get(name, "") for labels in rows}) > 1]


def _named(labels: Mapping[str, str], names: Sequence[str]) -> str:
    inside = ", ".join(f"{name}={quoted(labels[name])}" for name in names if name in labels)
    return f" ({inside})" if inside else ""


def _beside(value: float, limit: float) -> str:
    """Write a value so that it differs from the limit where it does."""
    text = _written(value)
    return repr(value) if text == _written(limit) and value != limit else text


def _written(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e6 or not math.isfinite(value) else f"{value:g}"  # noqa: PLR2004 - from a million on, an exponent
