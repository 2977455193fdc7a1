"""Answers that are right by luck: typed in, or without the point of the exercise."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.errors import QueryError
from labkit.promql.syntax.node import COMPARISONS, Node, replaced
from labkit.promql.syntax.tree import parse
from labkit.teaching import rules
from labkit.teaching.results import same

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labkit.teaching.exercises import Exercise, Tolerance
    from labkit.teaching.results import Ground

R = "flask_requests_total"
R5 = 'flask_requests_total{status=~"5.."}'
E = "flask_errors_total"
BUCKET = "flask_request_duration_seconds_bucket"


def ratio(window: str, by: str = "", of: str = R5) -> str:
    """Write the ratio of a counter to all requests."""
    by = f" by ({by}) " if by else ""
    return f"sum{by}(rate({of}[{window}])) / sum{by}(rate({R}[{window}]))"


def page(long: str, short: str, threshold: str) -> str:
    """Write the condition of a page."""
    return f"{ratio(long)} > {threshold} and {ratio(short)} > {threshold}"


def slow(quantile: str = "0.95", window: str = "1m", threshold: str = "0.5") -> str:
    """Write the condition of slow answers."""
    buckets = f"sum by (le) (rate({BUCKET}[{window}]))"
    return f"histogram_quantile({quantile}, {buckets}) > {threshold}"


def first_above(ratio_: str) -> str:
    """Write the first minute in which a ratio is above 1 %."""
    return f"min_over_time(timestamp({ratio_} > 0.01)[1d:1m])"


BUSY = f"and sum by (endpoint) (rate({R}[10m])) > 1.5"
RISE = "sum by ({0}) (rate({1}[10m])) - sum by ({0}) (rate({1}[10m] offset {2}))"
HEALTH = 'flask_requests_total{status=~"5..", endpoint="/health"}'

# Each was right once: a number or a name typed in, or a query that happened to fit. Those of
# rules are their expressions.
LUCKY = (
    ("own-3", "30"),
    ("own-3", "vector(30)"),
    ("own-3", "count(mine_requests_total)"),
    ("own-3", 'max(count by (__name__) ({job="mine"}))'),
    ("own-3", 'count by (__name__) ({__name__="mine_requests_total"})'),
    ("own-3", 'topk(1, count by (job) ({job="mine", __name__="mine_requests_total"}))'),
    ("slo-4", page("1h", "5m", "0.05")),
    ("slo-4", page("1h", "5m", "6 * 0.005")),
    ("slo-4", page("1h", "5m", "0.0144")),
    ("slo-4", page("1h", "5m", "0.144")),
    ("slo-4", page("1h", "30m", "14.4 * 0.005")),
    ("slo-4", page("1h", "10m", "14.4 * 0.005")),
    *(
        ("join-6", f"({ratio('10m', 'endpoint')} > {threshold}) {BUSY}")
        for threshold in ("0", "0.01", "0.02", "0.05")
    ),
    ("join-6", f"{ratio('10m', 'endpoint')} {BUSY}"),
    ("errors-5", f"{ratio('10m', 'instance')} > 0.03"),
    ("errors-5", f"{ratio('10m', 'instance')} > 0.10"),
    ("errors-5", f"topk(1, {ratio('10m', 'instance')})"),
    (
        "errors-5",
        'sum by (instance) (rate(flask_requests_total{status=~"5..", instance="app-3"}[10m])) '
        f"/ sum by (instance) (rate({R}[10m]))",
    ),
    ("alert-6", slow(window="5m")),
    ("alert-6", slow(window="2m")),
    ("alert-6", slow(threshold="0.3")),
    ("alert-6", slow(threshold="1")),
    ("alert-6", slow(quantile="0.9")),
    ("alert-6", slow(quantile="0.99")),
    ("alert-6", f"histogram_quantile(0.95, sum by (le) ({BUCKET})) > 0.5"),
    ("find-2", RISE.format("endpoint", HEALTH, "2h")),
    (
        "find-3",
        'sum by (instance) (rate(flask_requests_total{status=~"5..", instance="app-3"}[10m])) '
        f"/ sum by (instance) (rate({R}[10m]))",
    ),
    ("find-3", f"{ratio('10m', 'instance')} > 0.1"),
    ("find-3", f"topk(1, {ratio('10m', 'instance', E)})"),
    ("find-4", RISE.format("error_type", E + '{error_type="database_error"}', "1h")),
    ("join-1", f'sum by (endpoint) ({R}{{endpoint="/"}})'),
    (
        "own-5",
        'label_replace(sum(rate(mine_requests_total{instance="mine-1"}[2m])), "version", "1.4.0", '
        '"", "") or label_replace(sum(rate(mine_requests_total{instance="mine-2"}[2m])), '
        '"version", "1.5.0", "", "")',
    ),
    ("find-1", first_above(ratio("5m", of=E))),
    ("find-1", first_above(ratio("10m"))),
    ("join-3", f"max_over_time(sum(rate({R}[2m]))[2h:1m])"),
    ("alert-3", f"absent(sum(rate({R}[1m])) > 0)"),
)

# What is made from a reference and gives the same, because it says the same of these data: a
# window that reaches beyond their beginning, or one that is shorter and holds the event as well.
HONEST = frozenset(
    {
        (
            "count-3",
            'max by (instance) (resets(flask_requests_total{endpoint="/", status="200"}[4d]))',
        ),
        ("find-1", first_above(ratio("5m")).replace("[1d:", "[12h:")),
        ("slo-1", f"sum(increase({R5}[60d])) / sum(increase({R}[60d]))"),
        ("slo-2", f"1 - sum(increase({R5}[60d])) / sum(increase({R}[60d])) / 0.005"),
    }
)


def made(exercise: Exercise, grounds: Sequence[Ground]) -> Iterator[str]:
    """Give answers made from the reference that should not be right."""
    root = parse(expression(exercise))
    for result in grounds[0].expected(root.text):
        if len(result.series) == 1:
            (value,) = result.series.values()
            yield f"{value!r}"
            yield f"vector({value!r})"
    yield from (tree.text for tree in _without_comparisons(root))
    yield from (tree.text for tree in _with_other_windows(root))
    yield from _with_names_typed_in(root, grounds[0])


def is_right(exercise: Exercise, answer: str, grounds: Sequence[Ground]) -> bool:
    """Return whether an expression gives what the reference gives, wherever it is marked."""
    tolerance = tolerance_of(exercise)
    try:
        return all(
            same(ground.expected(expression(exercise)), ground.given(answer), tolerance)
            for ground in grounds
        )
    except QueryError:
        return False


def expression(exercise: Exercise) -> str:
    """Return the reference, or the expression of the rule that it is."""
    return rules.read(exercise.answer)[0].expr if exercise.kind == "rule" else exercise.answer


def tolerance_of(exercise: Exercise) -> Tolerance:
    """Return how far off a value may be."""
    if exercise.kind == "rule":
        return rules.read(exercise.answer)[0].tolerance
    return exercise.tolerance


def _without_comparisons(root: Node) -> Iterator[Node]:
    """Leave a comparison out, and halve and double its threshold."""
    for node in root.walk():
        if node.kind != "binary" or node.name not in COMPARISONS:
            continue
        left, right = node.children
        if not right.is_scalar:
            continue
        yield replaced(root, node, left)
        if right.number == 0:
            continue
        for factor in (0.5, 2.0):
            times = Node("binary", (right, Node("number", number=factor)), name="*")
            yield replaced(root, node, replace(node, children=(left, times)))


def _with_other_windows(root: Node) -> Iterator[Node]:
    windows = {node.range_seconds for node in root.walk() if node.range_seconds}
    for window in sorted(windows):
        for factor in (0.5, 2.0):
            yield _window(root, window, window * factor)


def _window(node: Node, old: float, new: float) -> Node:
    children = tuple(_window(child, old, new) for child in node.children)
    seconds = new if node.range_seconds == old else node.range_seconds
    return replace(node, children=children, range_seconds=seconds)


def _with_names_typed_in(root: Node, ground: Ground) -> Iterator[str]:
    """Pick by name what the reference picks by rank, by comparison or as a difference of sets."""
    for node in root.walk():
        if node.kind == "aggregate" and node.name in {"topk", "bottomk"}:
            whole = replaced(root, node, node.operand)
        elif node.kind == "binary" and node.name in {*COMPARISONS, "unless", "and"}:
            whole = replaced(root, node, node.children[0])
        else:
            continue
        for result in ground.expected(root.text)[:1]:
            for labels in result.series:
                names = ", ".join(name for name, _ in sorted(labels))
                typed = "vector(1)"
                for name, value in sorted(labels):
                    typed = f'label_replace({typed}, "{name}", "{value}", "", "")'
                if labels and len(result.series) == 1:
                    yield f"({whole.text}) and on ({names}) {typed}"
