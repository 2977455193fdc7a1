"""What a PromQL expression means: its parts with a sentence and their size, and its mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.emptiness.nan import why_nan
from labkit.promql.explaining import counters, misses, mistakes, percentiles, ratios
from labkit.promql.explaining.explanation import Explanation, Step, drawn
from labkit.promql.explaining.facts import Facts
from labkit.promql.explaining.sentences import sentence
from labkit.promql.explaining.sizes import sizes
from labkit.promql.syntax.tree import Unparsed, parse

__all__ = ["CHECKS", "Explanation", "explain"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.promql.client import Client
    from labkit.promql.explaining.mistakes import Mistake
    from labkit.promql.steps import Instant
    from labkit.promql.syntax.node import Node

    Check = Callable[[Facts, Node], Iterable[Mistake]]

# What each check looks for, in the order in which mistakes are told.
CHECKS: tuple[tuple[str, Check], ...] = (
    ("the types of the metrics", mistakes.of_types),
    ("the order of rate and sum", mistakes.of_order),
    ("the windows", mistakes.of_windows),
    ("the buckets of histograms", percentiles.of_buckets),
    ("means of percentiles", percentiles.of_averages),
    ("quantiles from 0 to 1", percentiles.of_shares),
    ("sums of buckets", percentiles.of_added_buckets),
    ("series divided by themselves", ratios.of_ratios),
    ("counters as they are", counters.of_raw_counters),
    ("sums of counters as they are", counters.of_summed_counters),
    ("counters younger than their window", counters.of_young_counters),
    ("comparisons of irate", mistakes.of_alerts),
    ("what the selectors pick", misses.of_selectors),
    ("the labels that are grouped by", misses.of_labels),
    ("the labels of an operator's sides", misses.of_sides),
)


def explain(client: Client, promql: str, time: Instant | None = None) -> Explanation:
    """Return what an expression means, as a tree with a sentence and a size for each part.

    Args:
        client: where to ask: the expression itself, then a few dozen small questions.
        promql: the expression; Grafana's variables stand for what they do in
            :meth:`labkit.promql.client.Client.query`.
        time: the moment: an aware datetime or ISO 8601 text, or unix seconds; now by default.

    Returns:
        The explanation. Where the parser does not read what the server answers, it holds the
        result, and says so.

    Raises:
        QueryError: the server refuses the expression or is not reached; its words, with a caret
            under the place.
        ValueError: for a time without a time zone, and for what is no time.
    """
    result = client.query(promql, time)
    sent, when = str(result.attrs["query"]), float(result.attrs["time"])
    made = Explanation(sent, result)
    if result.empty:
        from labkit.promql.emptiness import why_empty

        made.why_empty = why_empty(client, sent, when)
    made.why_nan = why_nan(client, result)
    try:
        tree = parse(sent)
    except Unparsed as error:
        made.unparsed = error.evidence.splitlines()[-1]
        return made
    made.tree = tree
    shown = list(drawn(tree))
    known = sizes(client, [node for node, _, _ in shown], when)
    made.steps = [
        Step(node, sentence(node), known[node], depth, last) for node, depth, last in shown
    ]
    _check(made, Facts(client, when), tree)
    return made


def _check(made: Explanation, facts: Facts, tree: Node) -> None:
    for what, check in CHECKS:
        try:
            found = list(check(facts, tree))
        except LabError as error:
            made.unchecked.append(f"{what} ({error.message.rstrip('.')})")
        else:
            made.mistakes += [one for one in dict.fromkeys(found) if one not in made.mistakes]
