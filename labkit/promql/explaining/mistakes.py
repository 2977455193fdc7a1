"""The usual mistakes in a PromQL expression: what is wrong, why, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labkit.promql.explaining.functions import OF_COUNTERS, OF_GAUGES, OF_TWO_SAMPLES
from labkit.promql.explaining.spans import spoken
from labkit.promql.syntax.node import COMPARISONS, Node, replaced, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.explaining.facts import Facts

_FOR_GAUGES = {"rate": "deriv", "irate": "deriv", "increase": "delta", "resets": "changes"}
_FOR_COUNTERS = {
    "delta": "increase",
    "idelta": "increase",
    "deriv": "rate",
    "predict_linear": "",  # there is none
    "sum_over_time": "increase",
    "avg_over_time": "rate",
}
_OF_SAMPLES = frozenset({"sum_over_time", "avg_over_time"})
_MERGING = frozenset({"sum", "avg", "min", "max"})
_TWO, _FOUR = 2, 4  # scrapes


@dataclass(frozen=True)
class Mistake:
    """Something in an expression that is probably not meant.

    Attributes:
        what: is wrong, a sentence.
        why: it is wrong, or what comes of it.
        instead: what to do.
        query: the whole expression without the mistake; empty where it can't be told.
    """

    what: str
    why: str = ""
    instead: str = ""
    query: str = ""

    @property
    def words(self) -> str:
        """All but the query, as one text."""
        return " ".join(filter(None, [self.what, self.why, self.instead]))

    def __str__(self) -> str:
        return f"{self.words} Write: {self.query}" if self.query else self.words


def of_types(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find functions of counters that are given gauges, and the other way round."""
    for call, inside in _over_time(root, OF_COUNTERS | OF_GAUGES | _OF_SAMPLES):
        series = inside.operand.bare if inside.kind == "subquery" else inside
        if series.kind not in {"selector", "range"}:
            continue
        if call.name in OF_COUNTERS and facts.is_gauge(series):
            # An uptime falls with a restart only.
            if call.name != "resets" or "uptime" not in series.name:
                yield _of_gauge(root, call, series)
        elif call.name in _FOR_COUNTERS and facts.is_counter(series):
            yield _of_counter(root, call, series)


def _of_gauge(root: Node, call: Node, series: Node) -> Mistake:
    instead = (
        "For a gauge, deriv() gives the slope, delta() the change and avg_over_time() the level."
    )
    if call.name == "resets":
        instead = "changes() counts how often the value changed."
    return Mistake(
        f"{call.name}() of a gauge: {series.name} is no counter.",
        f"{call.name}() takes every fall of the value for a restart, which a gauge's need not be.",
        instead,
        replaced(root, call, replace(call, name=_FOR_GAUGES[call.name])).text,
    )


def _of_counter(root: Node, call: Node, series: Node) -> Mistake:
    better = _FOR_COUNTERS[call.name]
    query = replaced(root, call, replace(call, name=better)).text if better else ""
    if call.name in _OF_SAMPLES:
        return Mistake(
            f"{call.name}() of a counter: each sample of {series.name} is a total.",
            "It holds all that was counted before it, so that one event is in every later sample.",
            "increase() says how much was counted in the window, rate() how fast.",
            query,
        )
    return Mistake(
        f"{call.name}() of a counter: {series.name} begins again at 0 with a restart.",
        f"{call.name}() is for gauges and takes the restart for a fall.",
        f"{better}() corrects for it."
        if better
        else "rate() times the seconds ahead corrects for it.",
        query,
    )


def of_order(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find rates of sums, and rates of rates."""
    for call, inside in _over_time(root, OF_COUNTERS):
        if inside.kind == "range" and ":" in inside.name:
            yield from _of_recorded(facts, call, inside)
        if inside.kind != "subquery":
            continue
        within = inside.operand.bare
        if _rates(within):
            yield _rate_of_rate(call, f"what is inside {inside.text}")
        elif within.kind == "aggregate" and within.name in _MERGING:
            yield _sum_first(call, within.name, _swapped(root, call, inside))
        elif any(n.kind == "aggregate" and n.name in _MERGING for n in within.walk()):
            yield _sum_first(call, "an aggregation", "")


def of_windows(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find windows with too few scrapes in them."""
    query = _widened(root, facts).text
    told = set()
    for call, inside in _over_time(root, OF_TWO_SAMPLES):
        length, step = inside.range_seconds or 0, inside.step_seconds
        if inside in told or (inside.kind == "subquery" and not step):
            continue
        told.add(inside)
        if facts.shorter(length, _FOUR, step):
            never = facts.shorter(length, _TWO, step)
            yield _short(call, inside, step or facts.scrape_interval, query, never=never)


def of_alerts(facts: Facts, root: Node) -> Iterator[Mistake]:
    """Find comparisons of an irate()."""
    del facts
    for node in root.walk():
        if node.kind != "binary" or node.name not in COMPARISONS:
            continue
        for call in node.walk():
            if call.kind == "call" and call.name == "irate":
                yield Mistake(
                    "A comparison of irate(), which looks at two samples only.",
                    "It flickers from scrape to scrape, so that an alert starts over each time.",
                    "rate() looks at the whole window.",
                    replaced(root, call, replace(call, name="rate")).text,
                )
                break


def _over_time(root: Node, names: frozenset[str]) -> Iterator[tuple[Node, Node]]:
    """Give each call of such a function with its range or subquery."""
    for node in root.walk():
        if node.kind == "call" and node.name in names:
            for child in node.children:
                if child.bare.kind in {"range", "subquery"}:
                    yield node, child.bare


def _short(call: Node, inside: Node, apart: float, query: str, *, never: bool) -> Mistake:
    what = "step" if inside.step_seconds else "scrape"
    always = "" if inside.step_seconds else ", or $__rate_interval, which is never too short"
    return Mistake(
        f"The window of {inside.text} is shorter than {'two' if never else 'four'} {what}s, which "
        f"come every {spoken(apart).removeprefix('1 ')}.",
        f"{call.name}() needs two samples, and often finds fewer: then it gives nothing."
        if never
        else f"{call.name}() needs two samples, so a {what} that is late or missing leaves a gap.",
        f"Take {seconds(_FOUR * apart)} or more{always}.",
        query,
    )


def _of_recorded(facts: Facts, call: Node, inside: Node) -> Iterator[Mistake]:
    from labkit.promql.syntax.tree import Unparsed, parse

    expression = facts.probe.recorded(inside.name)
    try:
        recorded = parse(expression) if expression else None
    except Unparsed:
        return
    if recorded is None:
        return
    if _rates(recorded):
        yield _rate_of_rate(call, f"{inside.name}, which is recorded as {recorded.text},")
    elif recorded.kind == "aggregate" and recorded.name in _MERGING:
        yield _sum_first(call, f"{inside.name} is recorded as {recorded.text}: {recorded.name}", "")


def _rates(node: Node) -> bool:
    return any(n.kind == "call" and n.name in OF_COUNTERS for n in node.walk())


def _rate_of_rate(call: Node, what: str) -> Mistake:
    return Mistake(
        f"{call.name}() of a rate: {what} is one already.",
        "A rate goes up and down, and its falls are taken for restarts.",
        "Take avg_over_time() for its level, max_over_time() for its peak, deriv() for its slope.",
    )


def _sum_first(call: Node, what: str, query: str) -> Mistake:
    return Mistake(
        f"{what} comes before {call.name}().",
        "When one counter restarts, the aggregate falls, and that is taken for a restart of all "
        "of them: the answer jumps.",
        f"Take {call.name}() of each counter first, then aggregate.",
        query,
    )


def _swapped(root: Node, call: Node, subquery: Node) -> str:
    """Return the expression with the function inside the aggregation, where that can be told."""
    aggregate = subquery.operand.bare
    selector = aggregate.operand.bare
    if selector.kind != "selector" or selector.at or selector.offset_seconds:
        return ""
    moved = replace(subquery, kind="range", name=selector.name, matchers=selector.matchers)
    window = replace(moved, children=(), step_seconds=None)
    rated = replace(call, children=(window,))
    return replaced(root, call, replace(aggregate, children=(rated,))).text


def _widened(node: Node, facts: Facts) -> Node:
    """Return an expression whose windows hold four scrapes at least."""
    children = tuple(_widened(child, facts) for child in node.children)
    if node.kind == "call" and node.name in OF_TWO_SAMPLES:
        children = tuple(_enough(child, facts) for child in children)
    return replace(node, children=children)


def _enough(node: Node, facts: Facts) -> Node:
    if node.kind == "paren":
        return replace(node, children=(_enough(node.operand, facts),))
    if node.kind != "range" and not (node.kind == "subquery" and node.step_seconds):
        return node
    if not facts.shorter(node.range_seconds or 0, _FOUR, node.step_seconds):
        return node
    return replace(node, range_seconds=_FOUR * (node.step_seconds or facts.scrape_interval))
