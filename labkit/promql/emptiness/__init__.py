"""Why an answer is empty, found by asking the server, in one or two sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.emptiness.absence import conditions, why_no_series
from labkit.promql.emptiness.lifetimes import why_no_sample, why_not_yet
from labkit.promql.emptiness.moments import clock_time
from labkit.promql.emptiness.nearest import clipped
from labkit.promql.emptiness.pacing import short_window
from labkit.promql.emptiness.pairing import why_no_pair
from labkit.promql.emptiness.probe import Probe
from labkit.promql.emptiness.silence import why_silent
from labkit.promql.emptiness.unmet import why_unmet
from labkit.promql.steps import default_step_ms, expand, unix_ms
from labkit.promql.syntax.node import COMPARISONS, NAME, Node, quoted
from labkit.promql.syntax.tree import Unparsed, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.client import Client
    from labkit.promql.steps import Instant

_SPAN_MS = 300_000  # what $__range is in an instant query

# What of a query that the parser does not read may be a selector.
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_TEXT = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`"
_BRACES = rf"\{{(?:{_TEXT}|[^}}\"'`])*\}}"
_NO_NAME = r"(?i:and|or|unless|bool|offset|inf|nan|atan2)\b"
_NAMED = rf"(?<![\w:])(?!{_NO_NAME})[a-zA-Z_:][\w:]*(?![\w:]|\s*\()(?:\s*{_BRACES})?"
_SELECTOR = re.compile(rf"{_TEXT}|\[[^\]]*\]|#[^\n]*|\b\d\w*|(?P<selector>{_NAMED}|{_BRACES})")


def why_empty(client: Client, promql: str, time: Instant | None = None) -> str:
    """Say why an expression gives nothing at a moment, in one or two sentences.

    It looks for the innermost part that is empty and asks the server about that: two dozen small
    questions at most.

    Args:
        client: where to ask.
        promql: the expression; Grafana's variables stand for what they do in
            :meth:`labkit.promql.client.Client.query`.
        time: the moment: an aware datetime or ISO 8601 text, or unix seconds; now by default.

    Returns:
        The reason, with a corrected query where one can be made. Where none is found, or the
        server does not answer, it says that.

    Raises:
        ValueError: for a time without a time zone, and for what is no time.
    """
    end = None if time is None else unix_ms(time, "time") / 1000
    pace = client.scrape_interval
    sent = expand(promql, step_ms=round(pace * 1000), span_ms=_SPAN_MS, scrape_interval=pace)
    return _reason(client, sent, None, end)


def why_empty_range(client: Client, promql: str, start: Instant, end: Instant) -> str:
    """Say why an expression gives nothing anywhere in a window, in one or two sentences.

    Args:
        client: where to ask.
        promql: the expression.
        start: the first moment: unix seconds or an aware datetime.
        end: the last one.

    Returns:
        The reason, as :func:`why_empty` has it.

    Raises:
        ValueError: for a time without a time zone, and for what is no time.
    """
    from_ms, to_ms = unix_ms(start, "start"), unix_ms(end, "end")
    sent = expand(
        promql,
        step_ms=default_step_ms(to_ms - from_ms, client.scrape_interval),
        span_ms=to_ms - from_ms,
        scrape_interval=client.scrape_interval,
    )
    return _reason(client, sent, from_ms / 1000, to_ms / 1000)


def _reason(client: Client, promql: str, start: float | None, end: float | None) -> str:
    try:
        probe = Probe.of(client, start, end)
        return _read_reason(probe, promql) or _general(probe, promql)
    except LabError as error:
        return f"Why it is empty could not be found out: {error.message}"


def _read_reason(probe: Probe, promql: str) -> str:
    try:
        tree = parse(promql)
    except Unparsed:
        return _unread_reason(probe, promql)
    if not probe.empty(tree):
        return "It is not empty any more: Prometheus has an answer by now. Ask again."
    return _explained(*_culprit(probe, tree))


def _culprit(probe: Probe, node: Node) -> tuple[Probe, Node]:
    """Return the innermost part that is empty although its own parts are not."""
    inner = probe
    if node.kind == "subquery":
        seen = probe.seen_by(node)
        inner = seen.during(seen.start - (node.range_seconds or 0.0), seen.end)
    for child in _needed(node):
        if inner.empty(child):
            return _culprit(inner, child)
    return probe, node


def _needed(node: Node) -> tuple[Node, ...]:
    """Return the parts that have to be there for a node to be there."""
    if node.kind == "binary" and node.name in {"or", "unless"}:
        return node.children[:1]  # both are empty where `or` is
    if node.kind == "aggregate":
        return node.children[-1:]
    if node.kind == "call" and node.name in {"absent", "absent_over_time"}:
        return ()
    return node.children


def _explained(probe: Probe, node: Node) -> str:
    node = node.bare
    if node.kind in {"selector", "range"}:
        return _selector_reason(probe, node)
    if node.kind == "binary":
        return _operator_reason(probe, node)
    return why_silent(probe, node)


def _selector_reason(probe: Probe, node: Node) -> str:
    seen = probe.seen_by(node)
    known = bool(probe.label_values(NAME, conditions(node)))
    if known and (reason := why_not_yet(seen, node)):
        return reason
    if known and node.kind == "range" and (reason := short_window(seen, node)):
        return reason
    # Recorded metrics have a colon in their names, by convention.
    if ":" in node.name and (reason := _rule_reason(seen, node.name)):
        return reason
    return why_no_sample(seen, node) if known else why_no_series(probe, node)


def _rule_reason(probe: Probe, name: str) -> str:
    """Say why a metric's recording rule gives nothing; empty if it does, or there is none."""
    rule = probe.recorded(name)
    tree = parse(rule) if rule else None
    if tree is None or not probe.empty(tree):
        return ""
    reason = _explained(*_culprit(probe, tree))
    return f"{name} is recorded by a rule that gives nothing either, {tree.text}. {reason}".strip()


def _operator_reason(probe: Probe, node: Node) -> str:
    left, right = node.children
    if not left.is_scalar and not right.is_scalar and (reason := why_no_pair(probe, node)):
        return reason
    if node.name in COMPARISONS and not node.bool_modifier:
        return why_unmet(probe, node)
    if probe.instant:
        return ""
    return (
        f"Both sides of {node.name} have series that fit each other, but never at the same moment."
    )


def _unread_reason(probe: Probe, promql: str) -> str:
    """Explain the first selector that gives nothing in a query that the parser does not read."""
    for node in _selectors(promql):
        if probe.empty(node):
            return _selector_reason(probe, node)
    return ""


def _selectors(promql: str) -> Iterator[Node]:
    for found in _SELECTOR.finditer(_GROUPING.sub(" ", promql)):
        if found["selector"] is None:
            continue
        try:
            yield parse(re.sub(_TEXT, _without_backticks, found["selector"]))
        except Unparsed:
            continue


def _without_backticks(text: re.Match[str]) -> str:
    """Return a string with the usual quotes: the parser does not read the raw ones."""
    return quoted(text[0][1:-1]) if text[0].startswith("`") else text[0]


def _general(probe: Probe, promql: str) -> str:
    when = f"at {clock_time(probe.end, probe.now)}"
    if not probe.instant:
        when = f"from {clock_time(probe.start, probe.now)} to {clock_time(probe.end, probe.now)}"
    return (
        f"{clipped(promql)} gives nothing {when}, and none of the usual reasons was found. Ask its "
        "parts on their own, from the inside."
    )
