"""What could come next in a query that is being typed, by its text and the server's names."""

from __future__ import annotations

import re
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from labkit.promql.options import OPTIONS, PLOTS
from labkit.promql.syntax.tokens import BINARY, CLOSE, COMPARISONS, OPEN, Token, is_open, tokens
from labkit.promql.syntax.vocabulary import (
    AGGREGATIONS,
    DURATION_UNITS,
    DURATIONS,
    FUNCTIONS,
    GROUPING,
    MATCHING,
    OPERATORS,
    SET_OPERATORS,
    VARIABLES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.promql.options import Typed
    from labkit.promql.syntax.vocabulary import Version

_MATCHERS = frozenset({"=", "!=", "=~", "!~"})
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


class Names(Protocol):
    """What a server has names for."""

    @property
    def version(self) -> Version | None:
        """The server's version; None where it is not known."""

    def metrics(self) -> Mapping[str, str]:
        """Return every metric with its type, which may be empty."""

    def labels(self, metric: str = "") -> Sequence[str]:
        """Return the labels of a metric, or of any."""

    def values(self, label: str, metric: str = "") -> Sequence[str]:
        """Return the values of a label in a metric's series, or in any."""


class Suggestion(NamedTuple):
    """Something that could be typed.

    Attributes:
        text: what takes the place of what was typed of it.
        kind: function, aggregation, keyword, label, value, duration, variable, or a metric's type.
    """

    text: str
    kind: str


def _of(kind: str, texts: Iterable[str]) -> list[Suggestion]:
    return [Suggestion(text, kind) for text in texts]


_BEHIND_OPERAND = _of("keyword", [*SET_OPERATORS, "offset", "atan2"])
# What can only be followed by these; by a bracket, where there are none.
_NEXT: Mapping[str, Sequence[Suggestion]] = MappingProxyType(
    {
        **dict.fromkeys(AGGREGATIONS, (*_of("keyword", GROUPING),)),
        **dict.fromkeys([*GROUPING, "on", "ignoring"], ()),
        "@": _of("function", ["start()", "end()"]),
    }
)


class Completion(NamedTuple):
    """What could come next.

    Attributes:
        start: where in the text the piece begins that a suggestion takes the place of; it ends at
            the cursor.
        suggestions: the likeliest first.
    """

    start: int
    suggestions: list[Suggestion]


def complete(promql: str, cursor: int, names: Names, variables: Sequence[str] = ()) -> Completion:
    """Return what could stand at a place in a query.

    Args:
        promql: the query, complete or not.
        cursor: the place, counted in characters.
        names: where the names come from.
        variables: the names that may follow a ``$``.
    """
    typed = list(tokens(promql[:cursor]))
    last = typed[-1] if typed else None
    if last is not None and (last.kind == "comment" or _is_dollar(last)):
        return _variables(last, cursor, variables)
    place = _Place(promql, typed, names)
    found = _matching(place.suggestions(), place.fragment)
    return Completion(cursor - len(place.fragment), found)


def of_option(typed: Typed, cursor: int, labs: Sequence[str] = ()) -> Completion:
    """Return what could stand for the option, or the value of one, that is being typed.

    Args:
        typed: the options up to the cursor.
        cursor: the place, counted in characters.
        labs: the names of the labs there are.
    """
    quoted = [name if re.fullmatch(r"\S+", name) else f'"{name}"' for name in labs]
    durations = _of("duration", DURATIONS)
    values = {
        "": _of("option", [f"--{name}" for name in OPTIONS]),
        "plot": _of("option", PLOTS),
        "on": _of("lab", quoted),
        "range": durations,
        "step": durations,
    }
    found = _matching(values.get(typed.open or "", []), typed.fragment)
    return Completion(cursor - len(typed.fragment), found)


class _Place:
    """Where the cursor is: which brackets are open, and what comes before."""

    def __init__(self, promql: str, typed: list[Token], names: Names) -> None:
        self._promql, self._names = promql, names
        before = [token for token in typed if token.kind not in {"space", "comment"}]
        last = typed[-1] if typed else None
        self._string = last if last and last.kind == "string" and is_open(last) else None
        self.fragment = ""
        if self._string is not None:
            self.fragment = before.pop().text[1:]
        elif last is not None and last.kind in {"word", "number"}:
            self.fragment = before.pop().text
        self._before = before
        self._open, self._opener = _brackets(before)

    def suggestions(self) -> Iterable[Suggestion]:
        """Return all that could stand here, whatever is typed of it."""
        bracket = self._before[self._open[-1]].text if self._open else ""
        if bracket == "{":
            return self._in_braces()
        if self._string is not None:
            return []
        if bracket == "[":
            return _durations(self.fragment)
        if bracket == "(" and self._word_before(self._open[-1]) in {**GROUPING, **MATCHING}:
            return self._labels_of_all(self._open[-1])
        return self._expression()

    def _in_braces(self) -> Iterable[Suggestion]:
        opened = self._open[-1]
        metric = self._word_before(opened)
        previous = self._text(-1)
        if previous in {"{", ","} and self._string is None:
            used = {a.text for a, b in self._pairs(opened) if b.text in _MATCHERS}
            return _of("label", [n for n in self._names.labels(metric) if n not in used])
        if previous in _MATCHERS and len(self._before) > opened + 2:
            return self._values(self._text(-2), previous, metric)
        return []

    def _values(self, label: str, operator: str, metric: str) -> Iterable[Suggestion]:
        if label == "__name__":
            values: Iterable[str] = self._names.metrics()
        else:
            values = self._names.values(label, metric)
        if self._string is None:
            return _of("value", [f'"{_escaped(v, operator, chr(34))}"' for v in values])
        if operator in {"=~", "!~"}:  # each branch of the expression is a value of its own
            self.fragment = re.split(r"[|(]", self.fragment)[-1]
        return _of("value", [_escaped(v, operator, self._string.text[0]) for v in values])

    def _labels_of_all(self, opened: int) -> Iterable[Suggestion]:
        """Return the labels of the metrics that the query names, without those in the list."""
        used = {token.text for token in self._before[opened:]}
        known = self._names.metrics()
        words = {token.text for token in tokens(self._promql) if token.kind == "word"}
        metrics = sorted(words & known.keys()) or [""]
        labels = {label for metric in metrics for label in self._names.labels(metric)}
        return _of("label", sorted(labels - used))

    def _expression(self) -> Iterable[Suggestion]:
        text = self._text(-1)
        if text in _NEXT:
            return _NEXT[text]
        if text == "offset":
            return _durations(self.fragment)
        if text == ")":
            return self._after_bracket()
        if text in {"", *OPEN, ",", "bool", "group_left", "group_right"}:
            return self._operands()
        if text in BINARY or text in OPERATORS:
            return self._right_side(text)
        return _BEHIND_OPERAND

    def _after_bracket(self) -> Iterable[Suggestion]:
        opener = self._opener[len(self._before) - 1]
        word = self._word_before(opener)
        if word in {"on", "ignoring"}:
            return [*_of("keyword", ["group_left", "group_right"]), *self._operands()]
        if word in {"group_left", "group_right"}:
            return self._operands()
        if word in GROUPING and opener > 1 and self._before[opener - 2].text in AGGREGATIONS:
            return []  # what is aggregated comes next, in brackets
        grouping = _of("keyword", GROUPING if word in AGGREGATIONS else ())
        return [*grouping, *_BEHIND_OPERAND]

    def _right_side(self, operator: str) -> Iterable[Suggestion]:
        modifiers = ["on", "ignoring", *(["bool"] if operator in COMPARISONS else [])]
        return [*self._operands(), *_of("keyword", modifiers)]

    def _operands(self) -> Iterable[Suggestion]:
        version = self._names.version
        for name, kind in sorted(self._names.metrics().items()):
            yield Suggestion(name, kind or "metric")
        yield from _of("aggregation", [n for n, w in AGGREGATIONS.items() if w.known_to(version)])
        yield from _of("function", [n for n, w in FUNCTIONS.items() if w.known_to(version)])

    def _pairs(self, opened: int) -> Iterable[tuple[Token, Token]]:
        inside = self._before[opened + 1 :]
        return pairwise(inside)

    def _word_before(self, index: int) -> str:
        before = self._before[index - 1] if index > 0 else None
        return before.text if before is not None and before.kind == "word" else ""

    def _text(self, index: int) -> str:
        return self._before[index].text if len(self._before) >= -index else ""


def _brackets(typed: Sequence[Token]) -> tuple[list[int], dict[int, int]]:
    """Return which brackets are open, and for each closing one the index of its opening one."""
    opened: list[int] = []
    partners: dict[int, int] = {}
    for index, token in enumerate(typed):
        if token.kind == "sign" and token.text in OPEN:
            opened.append(index)
        elif token.kind == "sign" and token.text in CLOSE:
            partners[index] = opened.pop() if opened else 0
    return opened, partners


def _is_dollar(token: Token) -> bool:
    if token.kind == "string" and is_open(token):
        return re.search(r"\$\{?\w+$", token.text) is not None
    return token.kind == "variable" and not token.text.endswith("}")


def _variables(token: Token, cursor: int, variables: Sequence[str]) -> Completion:
    typed = re.search(r"\$(\{?)\w*$", token.text)
    if token.kind == "comment" or typed is None:
        return Completion(cursor, [])
    if typed[1]:
        every = [f"${{{name}}}" for name in variables]
    else:
        every = [*(VARIABLES if token.kind == "variable" else ()), *(f"${n}" for n in variables)]
    found = [Suggestion(text, "variable") for text in every if text.startswith(typed[0])]
    return Completion(cursor - len(typed[0]), found)


def _durations(fragment: str) -> Iterable[Suggestion]:
    if fragment.isdigit():
        return _of("duration", [f"{fragment}{unit}" for unit in DURATION_UNITS])
    return [*_of("variable", VARIABLES), *_of("duration", DURATIONS)]


def _matching(suggestions: Iterable[Suggestion], fragment: str) -> list[Suggestion]:
    """Return those that begin with a fragment; if none does, those that contain it."""
    every = list(dict.fromkeys(suggestions))
    beginning = [each for each in every if each.text.startswith(fragment)]
    lower = fragment.lower()
    return beginning or [each for each in every if lower in each.text.lower()]


def _escaped(value: str, operator: str, quote: str) -> str:
    """Write a label's value as it stands between quotes behind an operator."""
    if operator in {"=~", "!~"}:
        value = _SPECIAL.sub(r"\\\g<0>", value)
    if quote == "`":
        return value
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace(quote, f"\\{quote}")
