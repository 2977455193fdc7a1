"""The usual mistakes with histograms and quantiles."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.promql.explaining.functions import OF_COUNTERS
from labkit.promql.explaining.mistakes import Mistake
from labkit.promql.syntax.node import COMPARISONS, Node, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts
    from labkit.promql.syntax.node import Matcher

_BUCKET, _LE = "_bucket", "le"
_QUANTILES = frozenset({"histogram_quantile", "histogram_quantiles"})
_BLENDING = frozenset({"sum", "avg"})
_BLENDING_OVER_TIME = frozenset({"sum_over_time", "avg_over_time"})
_PERCENT = 100.0


def of_buckets(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find quantiles of histograms whose buckets are lost, cumulative, or never were any."""
    for call in root.walk():
        if call.kind != "call" or call.name != "histogram_quantile":
            continue
        buckets = call.children[-1]
        picked = [n for n in buckets.walk() if n.kind in {"selector", "range"}]
        if not any(node.name.endswith(_BUCKET) for node in picked):
            yield from _no_buckets(facts, root, buckets, picked)
            continue
        yield from _lost(root, buckets)
        yield from _since_start(facts, root, buckets)
        yield from _one_bucket(root, picked)


def of_averages(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find means and sums of percentiles."""
    for node in root.walk():
        merging = node.kind == "aggregate" and node.name in _BLENDING
        over_time = node.kind == "call" and node.name in _BLENDING_OVER_TIME
        if not (merging or over_time):
            continue
        found = _percentile(facts, node.operand)
        if found is None:
            continue
        word = "mean" if node.name.startswith("avg") else "sum"
        yield Mistake(
            f"{node.name}{'()' if over_time else ''} of percentiles: {found.text}.",
            f"The {word} of percentiles is not a percentile of anything: each stands for another "
            "number of requests.",
            "Add up the buckets first, then take the quantile once."
            if merging
            else "Take the quantile of the buckets' rate over the whole window.",
            _merged(root, node) if merging else "",
        )


def of_shares(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find quantiles that are written in percent."""
    del facts
    for node in root.walk():
        takes = node.kind == "call" and node.name in {"histogram_quantile", "quantile_over_time"}
        takes = takes or (node.kind == "aggregate" and node.name == "quantile")
        share = node.children[0] if takes else None
        if share is None or share.number is None or 0 <= share.number <= 1:
            continue
        fits = 1 < share.number <= _PERCENT
        percent = Node("number", number=share.number / _PERCENT)
        yield Mistake(
            f"A quantile of {share.text}: it goes from 0 to 1.",
            f"The answer is {'+Inf' if share.number > 1 else '-Inf'}, whatever the data.",
            "The 95th percentile is the quantile 0.95.",
            replaced(root, share, percent).text if fits else "",
        )


def of_added_buckets(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find sums of buckets that are no longer told apart."""
    del facts
    for node in _outside_quantiles(root):
        if node.kind != "aggregate" or node.name not in _BLENDING or _keeps_le(node):
            continue
        inside = list(_outside_quantiles(node.operand))
        if any(part.kind == "aggregate" and not _keeps_le(part) for part in inside):
            continue  # that is where they were added up
        for part in inside:
            if part.name.endswith(_BUCKET) and not _one(part):
                yield Mistake(
                    f"{_head(node)} adds up the buckets of {part.name.removesuffix(_BUCKET)}.",
                    "Each bucket holds what the smaller ones hold, too: a request is counted once "
                    "in every bucket that it fits into.",
                    "_count has each request once.",
                    replaced(root, part, _count(part)).text,
                )


def _outside_quantiles(node: Node) -> Iterator[Node]:
    yield node
    if node.kind != "call" or node.name not in {*_QUANTILES, "histogram_fraction"}:
        for child in node.children:
            yield from _outside_quantiles(child)


def _one(node: Node) -> bool:
    return any((matcher.name, matcher.op) == (_LE, "=") for matcher in node.matchers)


def _count(node: Node) -> Node:
    name = f"{node.name.removesuffix(_BUCKET)}_count"
    return replace(node, name=name, matchers=tuple(m for m in node.matchers if m.name != _LE))


def _no_buckets(facts: Facts, root: Node, buckets: Node, picked: list[Node]) -> Iterator[Mistake]:
    told = set()
    for node in picked:
        family = node.name.removesuffix("_sum").removesuffix("_count")
        if f"{family}{_BUCKET}" not in facts.types or family in told:
            continue
        told.add(family)
        part = "is no part of it" if family != node.name else "has no series of its own"
        better = _of_buckets(buckets, family, facts.usual_window)
        if buckets.bare.kind == "selector":  # one answer for all is the usual question
            better = Node("aggregate", (better,), name="sum", grouping="by", labels=(_LE,))
        yield Mistake(
            f"histogram_quantile() needs the buckets of {family}, and {node.name} {part}.",
            "They are series of their own, with the label le.",
            "",
            replaced(root, buckets, better).text,
        )


def _of_buckets(node: Node, family: str, window: float, *, over_time: bool = False) -> Node:
    """Return an expression that is made of a histogram's buckets, as their rate, with le kept."""
    if node.kind in {"selector", "range"}:
        if not node.name.startswith(family):
            return node
        bucket = replace(node, name=f"{family}{_BUCKET}")
        if node.kind == "range" or over_time:
            return bucket
        return Node("call", (replace(bucket, kind="range", range_seconds=window),), name="rate")
    over_time = over_time or node.kind == "subquery"
    children = tuple(_of_buckets(c, family, window, over_time=over_time) for c in node.children)
    made = replace(node, children=children)
    return _with_le(made) if made.kind == "aggregate" and not _keeps_le(made) else made


def _lost(root: Node, buckets: Node) -> Iterator[Mistake]:
    """Find aggregations that merge buckets into one another."""
    for node in buckets.walk():
        if node.kind != "aggregate" or not any(n.name.endswith(_BUCKET) for n in node.walk()):
            continue
        if not _keeps_le(node):
            yield Mistake(
                f"{_head(node)} merges the buckets of each histogram: the label le is gone.",
                "histogram_quantile() has nothing to read then and gives nothing.",
                "Keep le beside the labels that the answer is to have.",
                replaced(root, node, _with_le(node)).text,
            )
        elif node.name in {"max", "min"}:
            yield Mistake(
                f"{node.name} of buckets: the buckets of different histograms end up in one.",
                "They no longer count the same requests, so the quantile is that of none of them.",
                "Add them up.",
                replaced(root, node, replace(node, name="sum")).text,
            )


def _since_start(facts: Facts, root: Node, buckets: Node) -> Iterator[Mistake]:
    """Find buckets that are taken as they are."""
    for node in _instants(buckets):
        if node.name.endswith(_BUCKET):
            window = replace(node, kind="range", range_seconds=facts.usual_window)
            yield Mistake(
                f"histogram_quantile() of {node.name} as it is: the buckets count since the start.",
                "The quantile is over everything since then, and hardly moves any more.",
                "Take the rate of the buckets, for the quantile of a window.",
                replaced(root, node, Node("call", (window,), name="rate")).text,
            )


def _instants(node: Node) -> Iterator[Node]:
    """Give the selectors whose values are taken as they are: neither over time nor subtracted."""
    over_time = any(child.bare.kind in {"range", "subquery"} for child in node.children)
    if node.kind == "selector":
        yield node
    elif not over_time and not (node.kind == "binary" and node.name == "-"):
        for child in node.children:
            yield from _instants(child)


def _one_bucket(root: Node, picked: list[Node]) -> Iterator[Mistake]:
    for node in picked:
        asked = [matcher for matcher in node.matchers if matcher.name == _LE]
        others = tuple(matcher for matcher in node.matchers if matcher.name != _LE)
        better = replaced(root, node, replace(node, matchers=others)).text
        if _one(node):
            yield Mistake(
                f"{node.text} is one bucket only.",
                "A quantile is found between buckets: of one it is NaN.",
                "Leave le out.",
                better,
            )
        elif not all(_lets_through(matcher, "+Inf") for matcher in asked):
            yield Mistake(
                f"{node.text} leaves out the bucket +Inf.",
                "It is the one that holds every observation: without it a quantile is NaN.",
                "Leave le out.",
                better,
            )


def _lets_through(matcher: Matcher, value: str) -> bool:
    """Whether a value fits a matcher; yes where that can't be told."""
    if matcher.op in {"=", "!="}:
        return (matcher.value == value) == (matcher.op == "=")
    try:
        return bool(re.fullmatch(matcher.value, value)) == (matcher.op == "=~")
    except re.error:  # Python's expressions are not quite the server's
        return True


def _percentile(facts: Facts, node: Node) -> Node | None:
    """Return a percentile that is part of a value: one that is only compared is not."""
    if node.kind == "call" and node.name in _QUANTILES:
        return node
    if node.kind in {"selector", "range"}:
        of_summary = facts.types.get(node.name) == "summary" and not node.name.endswith(
            ("_sum", "_count")
        )
        return node if of_summary else None
    if node.kind == "binary" and node.name in COMPARISONS and node.bool_modifier:
        return None
    if node.kind == "aggregate" and node.name in {"count", "group"}:
        return None
    return next((found for child in node.children if (found := _percentile(facts, child))), None)


def _merged(root: Node, aggregate: Node) -> str:
    """Return the expression that takes the quantile last, where that can be told."""
    call = aggregate.operand.bare
    if call.kind != "call" or call.name != "histogram_quantile" or aggregate.grouping == "without":
        return ""
    quantile, buckets = call.children
    inside = buckets.bare
    if inside.kind == "aggregate" and inside.name == "sum":
        if inside.grouping != "by" or not set(aggregate.labels) <= set(inside.labels):
            return ""
        buckets = inside.operand
    elif not (inside.kind == "call" and inside.name in OF_COUNTERS):
        return ""
    labels = (*(name for name in aggregate.labels if name != _LE), _LE)
    summed = Node("aggregate", (buckets,), name="sum", grouping="by", labels=labels)
    return replaced(root, aggregate, replace(call, children=(quantile, summed))).text


def _keeps_le(aggregate: Node) -> bool:
    if aggregate.name in {"topk", "bottomk", "limitk", "limit_ratio"}:
        return True
    return bool(aggregate.grouping) and (_LE in aggregate.labels) == (aggregate.grouping == "by")


def _with_le(aggregate: Node) -> Node:
    if aggregate.grouping == "without":
        return replace(aggregate, labels=tuple(n for n in aggregate.labels if n != _LE))
    return replace(aggregate, grouping="by", labels=(*aggregate.labels, _LE))


def _head(aggregate: Node) -> str:
    if not aggregate.grouping or (aggregate.grouping == "by" and not aggregate.labels):
        return aggregate.name
    return f"{aggregate.name} {aggregate.grouping} ({', '.join(aggregate.labels)})"
