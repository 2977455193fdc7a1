"""Python's variables in a query, written ``$name`` or ``${name}`` as in Grafana."""

from __future__ import annotations

import difflib
import keyword
import math
import numbers
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.promql.steps import duration
from labkit.promql.syntax.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Names of two underscores are Grafana's own, which the client fills in.
_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>(?!__)[^\W\d]\w*)(?::(?P<form>\w*))?\}|(?P<bare>(?!__)[^\W\d]\w*))"
)
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
_FORMS = ("raw", "csv", "pipe", "regex")
_MOST_NAMES = 12


def expand(promql: str, variables: Mapping[str, Any]) -> str:
    """Put variables' values into a query.

    Outside quotes a number or a text is put in as it is, a timedelta as a duration, a datetime as
    unix seconds, and a list with commas between, as ``by (…)`` takes it. Inside quotes a text is
    what the label is compared with, and a list becomes the regular expression ``(a|b)`` of its
    escaped elements, as Grafana has it
    (https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/).
    ``${name:raw}``, ``:csv``, ``:pipe`` and ``:regex`` choose the form; ``$__…``, ``$1`` and a
    lone ``$`` stay as they are.

    Args:
        promql: the query as typed.
        variables: what the names stand for.

    Raises:
        LabError: a name stands for nothing, or for something that has no form in PromQL.
    """
    result = []
    operator = ""
    for token in tokens(promql):
        if token.kind == "string":
            place = _Place(promql, variables, quote=token.text[0], operator=operator)
            result.append(_VARIABLE.sub(place.value, token.text))
        elif token.kind == "variable":
            result.append(_VARIABLE.sub(_Place(promql, variables).value, token.text))
        else:
            result.append(token.text)
        if token.kind != "space":
            operator = token.text
    return "".join(result)


def suitable(variables: Mapping[str, Any]) -> list[str]:
    """Return the names whose values can be put into a query, sorted."""
    return sorted(
        name
        for name, value in variables.items()
        if not name.startswith("_")
        and not keyword.iskeyword(name)
        and (_is_plain(value) or _is_list_of_plain(value))
    )


class _Place:
    """Where a variable stands: in which quotes, behind which operator."""

    def __init__(
        self, promql: str, variables: Mapping[str, Any], *, quote: str = "", operator: str = ""
    ) -> None:
        self._promql, self._variables = promql, variables
        self._quote, self._operator = quote, operator

    def value(self, found: re.Match[str]) -> str:
        """Return what a variable becomes here."""
        name, form = found["braced"] or found["bare"], found["form"]
        if name not in self._variables:
            if self._quote and re.search(rf"\(\?P?<{name}>", self._promql):
                return found[0]  # a group that label_replace's expression names
            raise _unknown(name, self._variables)
        if form is not None and form not in _FORMS:
            raise LabError(
                f"{found[0]}: there is no form {form!r}.",
                next_step=f"use one of {', '.join(_FORMS)}, or ${name} alone.",
            )
        return self._written(name, _content(name, self._variables[name]), form)

    def _written(self, name: str, content: str | list[str], form: str | None) -> str:
        form = form or self._usual(name, content)
        parts = [content] if isinstance(content, str) else content
        if form == "raw":
            return ",".join(parts)
        if form == "regex":
            parts = [_SPECIAL.sub(r"\\\g<0>", part) for part in parts]
        parts = [self._quoted(part) for part in parts]
        if form in {"regex", "pipe"}:
            joined = "|".join(parts)
            return f"({joined})" if form == "regex" and len(parts) > 1 else joined
        return (", " if not self._quote else ",").join(parts)

    def _usual(self, name: str, content: str | list[str]) -> str:
        """Return the form that is meant where none is named."""
        if not isinstance(content, list):
            return "csv"
        if not content:
            raise LabError(
                f"${name} is an empty list: there is nothing to put into the query.",
                next_step="give it at least one element.",
            )
        if self._quote and self._operator in {"=", "!="}:
            if len(content) == 1:
                return "csv"
            raise LabError(
                f"${name} is a list, and {self._operator} compares with one text.",
                next_step=f'match any of them: {"!~" if self._operator == "!=" else "=~"}"${name}"',
            )
        return "regex" if self._quote else "csv"

    def _quoted(self, text: str) -> str:
        if self._quote in {"", "`"}:
            return text
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
        return escaped.replace(self._quote, f"\\{self._quote}")


def _content(name: str, value: Any) -> str | list[str]:
    if _is_plain(value):
        return _text(value)
    elements = _elements(value)
    if elements is None or not all(_is_plain(element) for element in elements):
        raise LabError(
            f"${name} is of the type {type(value).__name__}, which has no form in PromQL.",
            next_step="use a number, a text, a timedelta, a datetime, or a list of them.",
        )
    return [_text(element) for element in elements]


def _text(value: Any) -> str:
    if isinstance(value, timedelta):
        return duration(round(value.total_seconds() * 1000))
    if isinstance(value, datetime):
        return f"{value.timestamp():.3f}"
    if isinstance(value, str):
        return value
    number = float(value)
    if isinstance(value, numbers.Integral) or not math.isfinite(number):
        return str(value)
    return repr(number)


def _is_plain(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return isinstance(value, str | timedelta) or (
        isinstance(value, numbers.Real) and not isinstance(value, bool)
    )


def _elements(value: Any) -> Sequence[Any] | None:
    """Return what a list, or what is like one (a column of a frame, say), holds."""
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    to_list = getattr(value, "tolist", None)  # numpy's arrays, pandas's columns
    elements = to_list() if callable(to_list) and not isinstance(value, type) else None
    return elements if isinstance(elements, list) else None


def _is_list_of_plain(value: Any) -> bool:
    if not isinstance(value, list | tuple | set | frozenset):
        return False  # what an array holds is looked at when it is used
    return bool(value) and all(_is_plain(element) for element in value)


def _unknown(name: str, variables: Mapping[str, Any]) -> LabError:
    known = suitable(variables)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    listed = ", ".join(f"${each}" for each in (near or known[:_MOST_NAMES]))
    if near:
        hint = f"did you mean {listed}?"
    elif known:
        hint = f"there are {listed}{' and more' if len(known) > _MOST_NAMES else ''}."
    else:
        hint = f"set it first: {name} = …"
    return LabError(f"There is no variable {name!r} for ${name}.", next_step=hint)
