"""What to do about a query that a Prometheus refuses, by the words that it refuses it with."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from labkit.promql.position import position

if TYPE_CHECKING:
    from collections.abc import Callable

    Remedy = Callable[[re.Match[str], str], str]

AT_THE_CARET = "change the query at the caret; lab.metrics() lists the names there are."
_AS_SAID = "change the query as the words above say."
_IN_PARTS = "the words above name the part; try the sides of an operator on their own."
_VARIABLES = (
    "$ has no meaning in PromQL; $__rate_interval, $__interval and $__range are the names that "
    "are filled in here."
)
_WINDOWED = "such as rate({0}) for a counter or avg_over_time({0}) for a gauge"
_MATCHER = re.compile(r"([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*([\w.+/*-]+)\s*[,}]")
_RANGE = re.compile(r"[\w:]*(?:\{[^}]*\})?\[[^\]]*\]")


def of_parsing(query: str, words: str) -> str:
    """Return what to do about a query that the server can't read.

    Args:
        query: as it was sent.
        words: the server's error message.
    """
    if "parse error" in words and ("$__" in query or "'$'" in words):
        return _VARIABLES
    fallback = _AS_SAID if position(query, words) is None else AT_THE_CARET
    return _first(_PARSING, query, words) or fallback


def of_execution(query: str, words: str) -> str:
    """Return what to do about a query that the server can read and not work out.

    Args:
        query: as it was sent.
        words: the server's error message.
    """
    return _first(_EXECUTION, query, words) or _IN_PARTS


def _first(remedies: dict[str, Remedy], query: str, words: str) -> str:
    for pattern, remedy in remedies.items():
        if (found := re.search(pattern, words)) and (said := remedy(found, query)):
            return said
    return ""


def _no_window(found: re.Match[str], query: str) -> str:
    function, got = found[1], found[2]
    if got != "instant vector":
        return f"{function}() takes a metric with a window, such as {function}(up[1m])."
    inside = _argument(query, function)
    if re.fullmatch(r"[\w:]+(?:\{[^{}]*\})?", inside):
        return f"{function}() needs a window: add [1m], as in {function}({inside}[1m])."
    return (
        f"{function}() needs a window: behind a metric's name [1m], behind an expression [5m:15s], "
        "which works it out every 15 s; a rate comes before a sum."
    )


def _argument(query: str, function: str) -> str:
    """Return what is written between the brackets of a function, where nothing is nested there."""
    found = re.search(rf"\b{re.escape(function)}\s*\(([^()]*)\)", query)
    return found[1].strip() if found else ""


def _window_left(_: re.Match[str], query: str) -> str:
    found = _RANGE.search(query)
    return (
        "what has a window goes into a function of it, "
        f"{_WINDOWED.format(found[0] if found else 'x[1m]')}; or leave the window out."
    )


def _range_drawn(found: re.Match[str], query: str) -> str:
    if found[1] == "string":
        return "a text has no course over time: ask for it without a range."
    window = _RANGE.search(query)
    return (
        "a chart needs one value a moment: put the window into a function, "
        f"{_WINDOWED.format(window[0] if window else 'x[1m]')}; or ask for its samples at one "
        "moment, without a range."
    )


def _unquoted(_: re.Match[str], query: str) -> str:
    for name, operator, value in _MATCHER.findall(query):
        if value:
            return f'quote the value: {name}{operator}"{value}".'
    return ""


def _unknown_function(found: re.Match[str], _: str) -> str:
    from labkit.promql.syntax.vocabulary import AGGREGATIONS, FUNCTIONS

    name = found[1].lower()
    if re.fullmatch(r"p\d{2,3}", name):
        return (
            "there are no functions for percentiles; write histogram_quantile(0."
            f"{name[1:]}, sum by (le) (rate(x_bucket[1m])))."
        )
    known = [*FUNCTIONS, *AGGREGATIONS]
    near = [name] if name in known else get_close_matches(name, known, n=3)
    if not near:
        return "Tab completes the names of the functions there are."
    return f"did you mean {' or '.join(f'{each}()' for each in near)}?"


def _without_partner(found: re.Match[str], _: str) -> str:
    side = found[1]
    other = "left" if side == "right" else "right"
    return (
        f"several series on the {side} fit one on the {other}: name more labels in on (…), add the "
        f"{side} side up by the labels that both have, as in sum by (job) (…), or, if it is the "
        f"{side} side that shall keep its series, write group_{side} (), with one partner each on "
        f"the {other}."
    )


def _grouping(*_: object) -> str:
    return (
        "several series on one side have the same partner on the other: write group_left () behind "
        "on (…) or ignoring (…) if those are on the left, group_right () if on the right, or add "
        "that side up first, as in sum by (job) (…)."
    )


def _said(text: str) -> Remedy:
    return lambda *_: text


_PARSING: dict[str, Remedy] = {
    r'expected type range vector in call to function "(\w+)", got ([\w ]+)': _no_window,
    r'invalid expression type "([\w ]+)" for range query': _range_drawn,
    r"expected type instant vector in .*, got range vector": _window_left,
    r"unexpected character inside braces|in label matching, expected string": _unquoted,
    r'unknown function with name "(\w+)"': _unknown_function,
    r"unclosed left (parenthesis|bracket)": lambda found, _: (
        f"close the bracket: {')' if found[1] == 'parenthesis' else ']'} is missing."
    ),
    r"unexpected end of input inside braces": _said("close the braces: } is missing."),
    r"unexpected right parenthesis": _said("take away one ), or put a ( before it."),
    r"unterminated quoted string": _said("close the quotes."),
    r"unexpected end of input": _said("the query breaks off: write what is missing at the caret."),
    r"unexpected \"=\" in label matching": _said('one = is enough: status="200".'),
    r"missing unit character in duration": _said("give the duration its unit, such as 5m or 30s."),
    r"ranges only allowed for vector selectors": _said(
        "a window stands behind a metric's name; behind an expression it is a subquery and needs a "
        "colon, as in [5m:15s]."
    ),
    r"comparisons between scalars must use BOOL": _said(
        "between two numbers a comparison needs bool, as in 1 > bool 0."
    ),
    r"at least one non-empty matcher": _said(
        'name a metric, or a label that is not empty, as in {job="flask"}.'
    ),
    r"binary expression must contain only scalar and instant vector types": _window_left,
    r"no expression found in input": _said("write an expression, such as up."),
}
_EXECUTION: dict[str, Remedy] = {
    r"duplicate series for the match group .* on the (left|right) hand-side": _without_partner,
    r"many-to-one matching must be explicit|grouping labels must ensure unique": _grouping,
    r"cannot contain metrics with the same labelset": _said(
        "two series of the answer would be alike: keep a label that tells them apart, or add them "
        "up first with sum by (…)."
    ),
}
