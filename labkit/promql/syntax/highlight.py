"""PromQL in colours: as HTML for a notebook, light or dark, and for a terminal."""

from __future__ import annotations

import html
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pygments.lexer import bygroups, include, words  # type: ignore[import-untyped] # no types
from pygments.token import (  # type: ignore[import-untyped] # no types
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    Text,
)
from pygments_promql import PromQLLexer  # type: ignore[import-untyped] # no types

from labkit.promql.syntax.vocabulary import (
    AGGREGATIONS,
    FUNCTIONS,
    GROUPING,
    MATCHING,
    MODIFIERS,
    OPERATORS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# JupyterLab's own colours of code, which its themes change; the others suit light and dark alike.
_COLOURS: Mapping[Any, str] = MappingProxyType(
    {
        Keyword: "var(--jp-mirror-editor-keyword-color, #1F8A4C)",
        Name.Function: "var(--jp-mirror-editor-def-color, #3B7DD8)",
        Name.Label: "var(--jp-mirror-editor-property-color, #9A6FC0)",
        Name.Variable.Magic: "var(--jp-mirror-editor-meta-color, #9A6FC0)",
        Operator: "var(--jp-mirror-editor-operator-color, #9A6FC0)",
        Number: "var(--jp-mirror-editor-number-color, #1F8A4C)",
        String: "var(--jp-mirror-editor-string-color, #C2553F)",
        Comment: "var(--jp-mirror-editor-comment-color, #7B8794)",
    }
)
_ANSI: Mapping[Any, str] = MappingProxyType(
    {
        Keyword: "1;32",
        Name.Function: "34",
        Name.Label: "36",
        Name.Variable.Magic: "35",
        Operator: "35",
        Number: "32",
        String: "31",
        Comment: "90",
    }
)
_CODE = (
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);"
    "white-space:pre-wrap;background:none;padding:0;color:inherit"
)
_TEXTS = [
    (r'"(?:\\.|[^"\\\n])*"?', String),
    (r"'(?:\\.|[^'\\\n])*'?", String),
    (r"`[^`]*`?", String),
    (r"#[^\n]*", Comment.Single),
    (r"\$(?:\{[^}\n]*\}?|\w+)", Name.Variable.Magic),
    (r"\s+", Text),
]
_NUMBERS = [
    (r"(?:\d+(?:ms|[smhdwy]))+(?!\w)", Number),
    (r"0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", Number),
]
_LABEL = (r"[^\W\d]\w*", Name.Label)


def _any_of(names: Mapping[str, Any], token: Any, suffix: str = r"\b") -> tuple[Any, Any]:
    return (words(tuple(names), prefix=r"\b", suffix=suffix), token)


class Lexer(PromQLLexer):  # type: ignore[misc] # the library ships no types
    """pygments-promql's lexer with what it lacks.

    Later functions, escapes and three kinds of quotes, ``and`` only as a whole word, label lists
    behind ``on``, subqueries, and the lab's variables.
    """

    tokens = {  # noqa: RUF012 - pygments reads it from the class
        "texts": _TEXTS,
        "numbers": _NUMBERS,
        "root": [
            include("texts"),
            include("numbers"),
            (
                rf"\b({'|'.join([*GROUPING, *MATCHING])})(\s*)(\()",
                bygroups(Keyword, Text, Text),
                "names",
            ),
            _any_of({**GROUPING, **MATCHING, **MODIFIERS}, Keyword),
            _any_of(OPERATORS, Operator.Word),
            _any_of(AGGREGATIONS, Keyword, r"(?=\s*(?:\(|by\b|without\b))"),
            _any_of(FUNCTIONS, Name.Function, r"(?=\s*\()"),
            (r"(?i:inf|nan)\b", Number),
            (r"[^\W\d][\w:]*|:[\w:]+", Text),
            (r"=~|!~|[=!<>]=|[-+*/%^<>@]", Operator),
            (r"\{", Text, "labels"),
            (r"\[", Text, "range"),
            (r".", Text),
        ],
        "names": [(r"\)", Text, "#pop"), include("texts"), _LABEL, (r".", Text)],
        "labels": [
            (r"\}", Text, "#pop"),
            include("texts"),
            _LABEL,
            (r"=~|!~|!=|=", Operator),
            (r".", Text),
        ],
        "range": [(r"\]", Text, "#pop"), include("texts"), include("numbers"), (r".", Text)],
    }


def to_html(promql: str) -> str:
    """Return a query as a ``<code>`` element with JupyterLab's colours, everything escaped."""
    spans = (_span(text, colour) for colour, text in _coloured(promql, _COLOURS))
    return f'<code style="{_CODE}">{"".join(spans)}</code>'


def to_terminal(promql: str) -> str:
    """Return a query with the escape sequences that colour it on a terminal."""
    return "".join(
        f"\x1b[{code}m{text}\x1b[0m" if code else text for code, text in _coloured(promql, _ANSI)
    )


def _coloured(promql: str, colours: Mapping[Any, str]) -> Iterator[tuple[str, str]]:
    lexer = Lexer(stripnl=False, ensurenl=False)
    for kind, text in lexer.get_tokens(promql):
        yield next((colours[k] for k in reversed(kind.split()) if k in colours), ""), text


def _span(text: str, colour: str) -> str:
    escaped = html.escape(text, quote=False)
    return f'<span style="color:{colour}">{escaped}</span>' if colour else escaped
