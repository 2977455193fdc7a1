"""Why no series is what a selector asks for: its name, or the values of its labels."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from labkit.errors import QueryError
from labkit.promql.emptiness.nearest import clipped, listed, nearest, nearest_names, values_listed
from labkit.promql.syntax.node import NAME, Matcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from labkit.promql.emptiness.probe import Probe
    from labkit.promql.syntax.node import Node

_ALERTS = {"ALERTS", "ALERTS_FOR_STATE"}
_TARGET_LABELS = ("instance", "job")
_MOST_LABELS = 8  # to look for a value in
_PLACEHOLDERS = re.compile(r"(?<=\d)[xX]{1,2}$")  # of a status: 5xx
_PATTERN = set(".*+?|[]()^$\\")


def conditions(node: Node) -> tuple[Matcher, ...]:
    """Return all that a selector asks for, the name of the metric first."""
    named = (Matcher(NAME, "=", node.name),) if node.name else ()
    return (*named, *node.matchers)


def subject(node: Node) -> str:
    """Return what a selector picks, without window, offset and @, for a sentence."""
    return clipped(plain(node).text, 100)


def plain(node: Node) -> Node:
    """Return a selector without its window, offset and @."""
    return replace(node, kind="selector", range_seconds=None, offset_seconds=0.0, at="")


def why_no_series(probe: Probe, node: Node) -> str:
    """Say why no series, at any time, is what a selector asks for.

    Args:
        probe: where to ask.
        node: a selector or range that no series fits.

    Raises:
        QueryError: as any query.
    """
    if node.name in _ALERTS:
        which = f" as {subject(node)}" if node.matchers else ""
        return (
            f"No alert was ever pending or firing{which}: {node.name} has a series only while one "
            "is; lab.alerts() lists them all."
        )
    # A selector has to ask for something: without a name, for any.
    scope = conditions(node)[:1] if node.name else (Matcher(NAME, "!=", ""),)
    if node.name and not probe.label_values(NAME, scope):
        return _no_such_metric(probe, node.name)
    for matcher in node.matchers:
        if not probe.label_values(NAME, (*scope, matcher)):
            return _no_such_value(probe, node, scope, matcher)
    return _never_together(probe, node, scope)


def not_scraped(probe: Probe) -> str:
    """Say which targets have not been scraped yet or are down; empty if all are well."""
    for target in probe.targets():
        if target["health"] == "down":
            return (
                f"The target {target_name(target)} is down, though, and what only it exposes is "
                f"not here: {clipped(target['lastError'], 200)}."
            )
        if target["health"] == "unknown":
            return f"The target {target_name(target)} has not been scraped yet."
    return ""


def target_name(target: Mapping[str, Any]) -> str:
    """Return a target's instance and job, as a sentence names it."""
    labels = target["labels"]
    instance, job = labels.get("instance", "without a name"), labels.get("job", "")
    return f"{instance} (job {job})" if job else str(instance)


def _no_such_metric(probe: Probe, name: str) -> str:
    known = probe.label_values(NAME)
    parts = [f"{name}{suffix}" for suffix in ("_bucket", "_count", "_sum")]
    if set(parts) <= set(known):
        return f"{name} is a histogram; its series are called {listed(parts)}."
    near = nearest_names(name, known)
    if near:
        return f"No metric is called {clipped(name)}. Did you mean {listed(near, 'or')}?"
    if known:
        like = f"nor anything like it; lab.metrics() lists the {len(known)} names there are."
    else:
        like = (
            "nor anything else: this Prometheus holds no sample yet. Its first scrape comes about "
            "5 s after it starts, if it has a target."
        )
    return f"No metric is called {clipped(name)}, {like} {not_scraped(probe)}".strip()


def _no_such_value(probe: Probe, node: Node, scope: tuple[Matcher, ...], matcher: Matcher) -> str:
    values = probe.label_values(matcher.name, scope)
    if matcher.name == NAME:
        return _no_such_name(values, matcher)
    if matcher.op in {"!=", "!~"} or not matcher.value:
        return _all_left_out(node.name or "every metric", matcher, values)
    if not values:
        return _no_such_label(probe, node.name, scope, matcher)
    there = f"the values of {matcher.name} are {values_listed(values)}"
    if len(values) == 1:
        there = f"the only value of {matcher.name} is {values_listed(values)}"
    if matcher.op == "=~":
        return _no_match(probe, scope, matcher, values, there)
    whose = f"{node.name} has never had a" if node.name else "There has never been a"
    missing = f"{whose} series with {clipped(str(matcher))}; {there}."
    if pattern := _as_pattern(probe, scope, matcher):
        return f"{missing} = compares the text as it stands; for a pattern write {pattern}."
    near = nearest(matcher.value, values)
    return f"{missing} Did you mean {_either(matcher, near)}?" if near else missing


def _as_pattern(probe: Probe, scope: tuple[Matcher, ...], matcher: Matcher) -> Matcher | None:
    """Return a regular expression that may have been meant by ``5..``, ``5xx`` or ``/api*``."""
    value = matcher.value
    meant = [value] if set(value) & _PATTERN else []
    meant += [_PLACEHOLDERS.sub(lambda found: "." * len(found[0]), value)]
    meant += [value.replace("*", ".*")]
    patterns = (replace(matcher, op="=~", value=text) for text in dict.fromkeys(meant))
    return next((p for p in patterns if str(p) != str(matcher) and _fits(probe, scope, p)), None)


def _no_such_name(names: Sequence[str], matcher: Matcher) -> str:
    near = nearest(matcher.value, names)
    like = f" Did you mean {listed(near, 'or')}?" if near else ""
    return f"No metric has a name that fits {clipped(str(matcher))}.{like}"


def _all_left_out(whose: str, matcher: Matcher, values: Sequence[str]) -> str:
    if not matcher.value and matcher.op in {"=", "=~"}:
        return (
            f'Every series of {whose} has the label {matcher.name}; {matcher.name}="" picks those '
            f"that do not. Its values are {values_listed(values)}."
        )
    if not values:
        return (
            f"No series of {whose} has a label {matcher.name}, so {clipped(str(matcher))} leaves "
            "all of them out."
        )
    which = "every value" if len(values) > 1 else "the only value"
    return (
        f"{clipped(str(matcher))} leaves out {which} that {matcher.name} has: "
        f"{values_listed(values)}."
    )


def _no_such_label(probe: Probe, name: str, scope: tuple[Matcher, ...], matcher: Matcher) -> str:
    if not name:
        return f"No series has a label {matcher.name}."
    labels = probe.label_names(scope)
    own = [label for label in labels if label not in _TARGET_LABELS]
    near = nearest(matcher.name, own, most=1)
    fitting = [
        label
        for label in [*near, *(label for label in own if label not in near)][:_MOST_LABELS]
        if _fits(probe, scope, replace(matcher, name=label))
    ]
    sentence = f"{name} has no label {matcher.name}; it has {listed(labels)}."
    if fitting:
        return f"{sentence} Did you mean {replace(matcher, name=fitting[0])}?"
    return f"{sentence} Did you mean {near[0]}?" if near else sentence


def _no_match(
    probe: Probe,
    scope: tuple[Matcher, ...],
    matcher: Matcher,
    values: Sequence[str],
    there: str,
) -> str:
    glob = replace(matcher, value=matcher.value.replace("*", ".*"))
    if "*" in matcher.value and ".*" not in matcher.value and _fits(probe, scope, glob):
        return (
            f"No value of {matcher.name} fits {clipped(str(matcher))}: * repeats what stands "
            f"before it, and any text is .*: write {glob}."
        )
    inside = _fits(probe, scope, replace(matcher, value=f".*(?:{matcher.value}).*"))
    if inside:
        return (
            f"A regular expression has to match the whole value, and "
            f"{clipped(str(matcher))} matches only a part of {values_listed(inside)}: "
            f"write {replace(matcher, value=_widened(matcher.value, inside))}."
        )
    missing = f"No value of {matcher.name} fits {clipped(str(matcher))}; {there}."
    if _PLACEHOLDERS.search(matcher.value) and (meant := _as_pattern(probe, scope, matcher)):
        return f"{missing} Any character is . there: write {meant}."
    near = nearest(matcher.value, values)
    return f"{missing} Did you mean {_either(matcher, near)}?" if near else missing


def _widened(pattern: str, values: Sequence[str]) -> str:
    """Return a pattern that matches whole values, where a plain one matches part of them."""
    if set(pattern) & _PATTERN:
        return f".*(?:{pattern}).*" if "|" in pattern else f".*{pattern}.*"
    if all(value.startswith(pattern) for value in values):
        rest = {len(value) - len(pattern) for value in values}
        dots = "." * rest.pop() if len(rest) == 1 and max(rest) <= 2 else ".*"  # noqa: PLR2004 - 5.. reads well, …… does not
        return f"{pattern}{dots}"
    if all(value.endswith(pattern) for value in values):
        return f".*{pattern}"
    return f".*{pattern}.*"


def _never_together(probe: Probe, node: Node, scope: tuple[Matcher, ...]) -> str:
    matchers = node.matchers
    if not matchers:  # they have come in the meantime
        return f"{subject(node)} is there by now. Ask again."
    last = next((m for m in reversed(matchers) if m.op in {"=", "=~"}), matchers[-1])
    others = tuple(matcher for matcher in matchers if matcher is not last)
    together = listed((clipped(str(m)) for m in matchers), most=4)
    sentence = f"No series of {node.name or 'any metric'} has {together} at once"
    values = probe.label_values(last.name, (*scope, *others))
    if not values:
        return f"{sentence}, though each of them is there."
    return (
        f"{sentence}: with {listed((clipped(str(m)) for m in others), most=3)}, {last.name} is "
        f"{values_listed(values, 'or')}."
    )


def _fits(probe: Probe, scope: tuple[Matcher, ...], matcher: Matcher) -> list[str]:
    """Return the values that fit a matcher; none where it is no regular expression."""
    try:
        return probe.label_values(matcher.name, (*scope, matcher))
    except QueryError:
        return []


def _either(matcher: Matcher, values: Sequence[str]) -> str:
    return listed((str(replace(matcher, value=value)) for value in values), "or")
