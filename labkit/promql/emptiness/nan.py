"""Why a value is NaN: 0/0, a histogram without observations, a NaN that was stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.emptiness.nearest import clipped, listed
from labkit.promql.emptiness.probe import Probe
from labkit.promql.emptiness.unmet import telling
from labkit.promql.syntax.node import NAME, Node, quoted
from labkit.promql.syntax.tree import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from labkit.promql.client import Client
    from labkit.promql.emptiness.probe import Found

_MOST = 3  # series that are named
_FUNCTIONS = {
    "scalar": "scalar() has a value for a single series only",
    **{n: f"{n}() has no value for what is below 0" for n in ("sqrt", "ln", "log2", "log10")},
}
_LAST = {"+Inf", "Inf"}


def why_nan(client: Client, frame: pd.DataFrame) -> str:
    """Say why values of an answer are NaN, in a sentence or two; empty where none is.

    Args:
        client: where to ask.
        frame: what :meth:`labkit.promql.client.Client.query` returned, or its ``query_range``,
            of which a series counts that has no other value.
    """
    if not _lacks_numbers(frame):
        return ""
    when = float(frame.attrs["end" if "end" in frame.attrs else "time"])
    try:
        return _reason(Probe.of(client, end=when), parse(str(frame.attrs["query"])))
    except LabError:  # the answer stands, and the reason is an extra
        return ""


def _lacks_numbers(frame: pd.DataFrame) -> bool:
    if "end" in frame.attrs:
        return bool(frame.isna().all().any())
    if "time" in frame or frame["value"].dtype.kind != "f":  # samples are shown as they are
        return False
    return bool(frame["value"].isna().any())


def _reason(probe: Probe, node: Node) -> str:
    """Return the reason of the innermost part that has a NaN although its own parts have none."""
    node = node.bare
    found = _nan(probe, node)
    if not found:
        return ""
    for child in node.children:
        if reason := _reason(probe, child):
            return reason
    return _of_part(probe, node, found)


def _nan(probe: Probe, node: Node) -> list[Found]:
    if node.kind in {"number", "string", "range", "subquery"}:
        return []
    return [found for found in probe.series(node.text) if any(map(math.isnan, found.values))]


def _of_part(probe: Probe, node: Node, found: Sequence[Found]) -> str:
    what = f"{_named(found)} is NaN"
    if node.kind == "binary" and node.name == "/":
        return f"{what}{_of_quotient(probe, node)}."
    if node.kind == "call" and node.name == "histogram_quantile":
        return f"{what}: {_of_quantile(probe, node.children[-1], found)}."
    if node.kind == "call" and node.name in _FUNCTIONS:
        return f"{what}: {_FUNCTIONS[node.name]}."
    if node.kind == "selector":
        return f"{what}, as it was exposed: {node.name or 'it'} has no number there."
    if any(child.bare.kind in {"range", "subquery"} for child in node.children):
        return f"{what}, as a sample in the window of {clipped(node.text)} is."
    return f"{what}: {clipped(node.text)} has no number there."


def _of_quotient(probe: Probe, node: Node) -> str:
    left, right = (probe.series(child.text) for child in node.children)
    zero = any(not any(each.values) for each in right) and any(not any(s.values) for s in left)
    if not zero:
        return f": {clipped(node.text)} divides what is infinite"
    if _rated(node):
        return ", as 0/0 is: nothing was counted in the window"
    return ", as 0/0 is: both sides of / are 0"


def _of_quantile(probe: Probe, buckets: Node, found: Sequence[Found]) -> str:
    nan = {_without_le(each) for each in found}
    last = [each for each in probe.series(buckets.text) if each.labels.get("le") in _LAST]
    last = [each for each in last if _without_le(each) in nan]
    if not last:
        return "the bucket +Inf, which holds every observation, is missing"
    if any(any(each.values) for each in last):
        return "the histogram has no bucket but +Inf"
    window = " in the window" if _rated(buckets) else ""
    return f"the histogram has no observation{window}, and so no quantile"


def _without_le(found: Found) -> frozenset[tuple[str, str]]:
    return frozenset((n, value) for n, value in found.labels.items() if n not in {NAME, "le"})


def _rated(node: Node) -> bool:
    return any(part.kind in {"range", "subquery"} for part in node.walk())


def _named(found: Sequence[Found]) -> str:
    """Write which series are meant: a few of them by what tells them apart, or the only one."""
    rows = [each.labels for each in found]
    names = telling(rows) or sorted({name for labels in rows for name in labels} - {NAME})
    texts = []
    for labels in rows:
        pairs = [f"{name}={quoted(labels[name])}" for name in names if name in labels]
        if pairs:
            texts.append(f"{{{', '.join(pairs)}}}")
    if len(texts) < 2:  # noqa: PLR2004 - what is alone needs no list
        return "".join(texts) or "The value"
    return f"Each of {listed(texts, most=_MOST, longest=100)}"
