"""Feedback on which series a query gives: none, too many, or with other labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from labkit.teaching.verdict import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from labkit.promql.syntax.node import Node
    from labkit.teaching.case import Case
    from labkit.teaching.results import Labels

_MOST_NAMED = 4


def _kind(case: Case) -> Diagnosis | None:
    kinds = {result.kind for result in case.given}
    if "matrix" in kinds:
        return Diagnosis(
            "range",
            "This is a range vector: every sample in a window, several for each series. A "
            "function such as rate() or max_over_time() makes one value of them.",
        )
    if "string" in kinds:
        return Diagnosis("range", "This is a text; series with values were asked for.")
    return None


def _grouping(case: Case) -> Diagnosis | None:
    """A metric is grouped by a label that none of its series has."""
    if case.tree is None:
        return None
    from labkit.promql.emptiness.probe import Probe
    from labkit.promql.syntax.node import NAME, Matcher

    probe = Probe.of(case.ground.client, case.given[0].time)
    for node in case.tree.walk():
        metric = _only_metric(node) if node.kind == "aggregate" and node.grouping == "by" else ""
        there = probe.label_names([Matcher(NAME, "=", metric)]) if metric else []
        missing = set(node.labels) - {*there, NAME}
        if there and missing:
            return Diagnosis(
                "grouping",
                f"{metric} has no label {listed_names(missing)}: "
                f"by ({', '.join(node.labels)}) has nothing to tell its series apart by. It has "
                f"{listed_names(there)}.",
            )
    return None


def _only_metric(node: Node) -> str:
    """Return the metric that all below a node comes from, with its labels; empty if not one."""
    for each in node.walk():
        if each.kind == "binary" or each.name in {"label_replace", "label_join"}:
            return ""
    names = {each.name for each in node.walk() if each.kind in {"selector", "range"}}
    return names.pop() if len(names) == 1 else ""


def _empty(case: Case) -> Diagnosis | None:
    if any(result.series for result in case.given):
        return None
    from labkit.promql.emptiness import why_empty

    why = why_empty(case.ground.client, case.promql, case.given[0].time)
    return Diagnosis("empty", f"Nothing comes back. {why}")


def _doubled(case: Case) -> Diagnosis | None:
    if not any(result.doubled for result in case.given):
        return None
    return Diagnosis(
        "labels",
        "Several of these series have the same labels, apart from those that are the same on "
        "every series: aggregate them, as in sum by (…) (…).",
    )


def _labels(case: Case) -> Diagnosis | None:
    wanted: set[str] = set().union(*(result.names for result in case.expected))
    found: set[str] = set().union(*(result.names for result in case.given))
    if wanted == found:
        return None
    if not wanted:
        many = max(len(result.series) for result in case.given)
        return Diagnosis(
            "labels",
            f"One number was asked for, and this is {_count(many, 'series', 'series')}, told apart "
            f"by {listed_names(found)}: make one of them, as in sum(…).",
        )
    if not found:
        kept = sorted(wanted | ({"le"} if "histogram_quantile" in case.promql else set()))
        return Diagnosis(
            "labels",
            f"A value for each {listed_names(wanted)} was asked for, and this is one number: keep "
            f"that when you aggregate, as in sum by ({', '.join(kept)}) (…).",
        )
    words = []
    if missing := wanted - found:
        words.append(
            f"The label {listed_names(missing)} was asked for and is not there."
            if len(missing) == 1
            else f"The labels {listed_names(missing)} were asked for and are not there."
        )
    if extra := found - wanted:
        words.append(
            f"The label {listed_names(extra)} was not asked for: aggregate it away."
            if len(extra) == 1
            else f"The labels {listed_names(extra)} were not asked for: aggregate them away."
        )
    return Diagnosis("labels", " ".join(words))


def series(case: Case) -> Diagnosis | None:
    """Name the series that are missing, and those that were not asked for."""
    missing: dict[Labels, None] = {}
    extra: dict[Labels, None] = {}
    for expected, given in zip(case.expected, case.given, strict=True):
        missing |= dict.fromkeys(sorted(expected.series.keys() - given.series.keys(), key=sorted))
        extra |= dict.fromkeys(sorted(given.series.keys() - expected.series.keys(), key=sorted))
    if not missing and not extra:
        return None
    words = []
    if missing and all(not labels for labels in missing):
        words.append("At some of the moments there is nothing, where a value was asked for.")
    elif missing:
        words.append(f"Missing: {_named(missing)}.")
    if extra and all(not labels for labels in extra):
        always = all(frozenset() in result.series for result in case.given)
        words.append(
            "A value without labels is there, and none was asked for."
            if always
            else "At some of the moments there is a value where none was asked for."
        )
    elif extra:
        words.append(f"Not asked for: {_named(extra)}.")
    return Diagnosis("series", " ".join(words))


def _nan(case: Case) -> Diagnosis | None:
    if not any(math.isnan(given) for _, given in case.pairs()):
        return None
    return Diagnosis(
        "nan",
        "Some of these values are NaN, which is what 0/0 gives: a part that had no traffic, or a "
        "sum over nothing.",
    )


def _named(series: Iterable[Labels]) -> str:
    from labkit.promql.frames import series_text

    texts = [series_text(dict(labels)) for labels in series]
    more = len(texts) - _MOST_NAMED
    return ", ".join(texts[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def listed_names(names: Iterable[str]) -> str:
    """Return names as a sentence lists them."""
    found = sorted(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# The first that has something to say is heard.
LOOKS: tuple[Callable[[Case], Diagnosis | None], ...] = (
    _kind,
    _grouping,
    _empty,
    _doubled,
    _labels,
    _nan,
)
