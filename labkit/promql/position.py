"""Where in a query a server says the error is, and a caret under that place."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

_POSITION = re.compile(r"(?<!\d)(\d+):(\d+): parse error")
_AROUND = 48  # columns of a long line that are kept on either side of the caret


class Position(NamedTuple):
    """A place in a query; both numbers start at 1 and the column counts characters."""

    line: int
    column: int


def position(query: str, words: str) -> Position | None:
    """Return the place that a server's error message names, or None where it names none.

    Servers count columns in bytes of UTF-8; the answer counts characters. A place just after
    the last character ("unexpected end of input") is valid.

    Args:
        query: the query as it was sent.
        words: the server's error message, such as ``1:14: parse error: …``.
    """
    found = _POSITION.search(words)
    if found is None:
        return None
    line, column = int(found[1]), int(found[2])
    lines = query.split("\n")
    if not 1 <= line <= len(lines):
        return None
    before = lines[line - 1].encode()[: column - 1].decode(errors="ignore")
    return Position(line, len(before) + 1)


def caret(query: str, words: str) -> str:
    """Return the line of the query that an error is in with a caret under the place, and the words.

    Where the words name no place, the whole query comes back above them.
    """
    place = position(query, words)
    if place is None:
        return f"{query.strip()}\n{words}"
    line = query.split("\n")[place.line - 1]
    shown, column = _clip(line, place.column - 1)
    return f"{shown}\n{_blank(shown[:column])}^\n{words}"


def _clip(line: str, column: int) -> tuple[str, int]:
    """Cut a long line to what is around a column (counted from 0); return both."""
    first = max(0, column - _AROUND) if len(line) > 2 * _AROUND else 0
    last = first + 2 * _AROUND
    head = "…" if first else ""
    tail = "…" if last < len(line) else ""
    return head + line[first:last] + tail, column - first + len(head)


def _blank(text: str) -> str:
    """Return spaces as wide as a text is in a fixed-width font; tabs stay tabs."""
    return "".join("\t" if c == "\t" else " " * _width(c) for c in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
