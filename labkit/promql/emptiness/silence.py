"""Why a function or aggregation gives nothing although what it works on is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.emptiness.nearest import clipped
from labkit.promql.emptiness.pacing import NEED_TWO, too_few
from labkit.promql.emptiness.probe import AskedEnough
from labkit.promql.syntax.node import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.promql.emptiness.probe import Probe

_ENDINGS = ("_count", "_sum", "_total", "")
_NATIVE = frozenset(
    {
        "histogram_avg",
        "histogram_count",
        "histogram_fraction",
        "histogram_stddev",
        "histogram_stdvar",
        "histogram_sum",
    }
)


def why_silent(probe: Probe, node: Node) -> str:
    """Say why a function or aggregation gives nothing; empty if it is not known.

    Args:
        probe: where to ask.
        node: a call, aggregation or subquery whose arguments are not empty.

    Raises:
        QueryError: as any query.
    """
    if node.kind == "aggregate":
        return _keeps_none(probe, node)
    if node.kind == "subquery":
        return (
            f"The window of {clipped(node.text)} has no step in it at which its inside is there; "
            "take a shorter step or a longer window."
        )
    if node.name in NEED_TWO:
        window = next((c.bare for c in node.children if c.bare.kind in {"range", "subquery"}), None)
        return too_few(probe, node, window) if window is not None else ""
    if node.name in _NATIVE:
        return (
            f"{node.name} works on native histograms only, and {clipped(node.children[-1].text)} "
            "has plain numbers; a classic histogram has series _count, _sum and _bucket."
        )
    reason = _REASONS.get(node.name)
    return reason(probe, node) if reason is not None else ""


def _keeps_none(probe: Probe, node: Node) -> str:
    if node.name not in {"topk", "bottomk", "limitk", "limit_ratio"}:
        return ""
    parameter = node.children[0]
    value = probe.series(parameter.text)[0].values[0]
    if node.name == "limit_ratio" or value >= 1:
        return ""
    return f"{node.name} keeps {parameter.text} series of each group, so none; take 1 or more."


def _absent(probe: Probe, node: Node) -> str:
    inside = node.children[0].bare
    counted = inside.text if node.name == "absent" else f"count_over_time({inside.text})"
    there = probe.series(f"count({counted})")
    many = round(max(there[0].values)) if there and there[0].values else 0
    return (
        f"{node.name} gives a series only where there is none, and {clipped(inside.text)} has "
        f"{many} series: nothing is absent."
    )


def _clamp(probe: Probe, node: Node) -> str:
    least, most = (probe.series(child.text)[0].values[0] for child in node.children[1:])
    if least <= most:
        return ""
    return f"clamp gives nothing where its least value is above its most: {least:g} > {most:g}."


def _quantile(probe: Probe, node: Node) -> str:
    inside = node.children[-1]
    if any(found.labels.get("le") for found in probe.series(f"count by (le) ({inside.text})")):
        return ""
    drops = next((n for n in inside.walk() if n.kind == "aggregate" and _drops_le(n)), None)
    if drops is not None:
        reason = f"{_grouped(drops)} drops it"
    else:
        reason = f"{clipped(inside.text)} has none, as it is not made of _bucket series"
    sentence = f"histogram_quantile needs the label le, which tells the buckets apart: {reason}."
    better = _tested(probe, node)
    return f"{sentence} Write {better}." if better else sentence


def _drops_le(node: Node) -> bool:
    return ("le" in node.labels) == (node.grouping == "without")


def _grouped(node: Node) -> str:
    grouping = f" {node.grouping} ({', '.join(node.labels)})" if node.labels else ""
    return f"{node.name}{grouping}"


def _tested(probe: Probe, node: Node) -> str:
    """Return how to write a quantile so that it gives something, as the server sees it."""
    for candidate in _candidates(node):
        try:
            if not probe.empty(candidate):
                return clipped(candidate.text, 300)
        except AskedEnough:
            raise
        except LabError:  # the server refuses it
            continue
    return ""


def _candidates(node: Node) -> Iterator[Node]:
    with_le = _changed(node, _keeping_le)
    for ending in _ENDINGS:
        yield _changed(with_le, lambda part, ending=ending: _bucket(part, ending))  # type: ignore[misc] # its default is a text


def _keeping_le(node: Node) -> Node:
    if node.kind != "aggregate" or not _drops_le(node):
        return node
    if node.grouping == "without":
        return replace(node, labels=tuple(name for name in node.labels if name != "le"))
    return replace(node, grouping="by", labels=(*node.labels, "le"))


def _bucket(node: Node, ending: str) -> Node:
    if node.kind not in {"selector", "range"} or node.name.endswith("_bucket"):
        return node
    return replace(node, name=f"{node.name.removesuffix(ending)}_bucket")


def _changed(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return a tree whose every node went through a function."""
    children = tuple(_changed(child, change) for child in node.children)
    return change(replace(node, children=children))


_REASONS: dict[str, Callable[[Probe, Node], str]] = {
    "absent": _absent,
    "absent_over_time": _absent,
    "clamp": _clamp,
    "histogram_quantile": _quantile,
}
