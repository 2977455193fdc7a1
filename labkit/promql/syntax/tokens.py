"""The pieces of PromQL text, complete or half typed, and the queries that a cell is made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from labkit.promql.syntax.vocabulary import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN, CLOSE = "([{", ")]}"
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
BINARY = COMPARISONS | set("+-*/%^")
# A line that ends or begins with one of these is not a whole query.
_JOINING = BINARY | KEYWORDS.keys() | {"@", ","}

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:\\.|[^"\\\n])*(?:"|\\?(?=\n|$))|'(?:\\.|[^'\\\n])*(?:'|\\?(?=\n|$))|`[^`]*`?)
    |(?P<comment>\#[^\n]*)
    |(?P<variable>\$\{[^}\n]*\}?|\$\w*)
    |(?P<number>\d[\w.]*|\.\d\w*)
    |(?P<word>[^\W\d][\w:]*|:[\w:]+)
    |(?P<space>\s+)
    |(?P<sign>=~|!~|==|!=|>=|<=|.)
    """,
    re.VERBOSE,
)

_WHOLE_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`")


class Token(NamedTuple):
    """A piece of a query: where it is, and which kind it is of.

    Attributes:
        kind: string (its closing quote may be missing), comment, variable (``$…``), number
            (durations, too), word, space or sign.
        text: the piece itself.
        start: the place of its first character.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The place after its last character."""
        return self.start + len(self.text)


class Part(NamedTuple):
    """A query of a cell, with where it begins and ends there."""

    text: str
    start: int
    end: int


def tokens(promql: str) -> Iterator[Token]:
    """Cut a query into its pieces; together they are the whole text."""
    for found in _TOKEN.finditer(promql):
        yield Token(str(found.lastgroup), found[0], found.start())


def is_open(token: Token) -> bool:
    """Whether a string lacks its closing quote."""
    return not _WHOLE_STRING.fullmatch(token.text)


def query_at(cell: str, cursor: int) -> tuple[str, int] | None:
    """Return the query of a cell that a place is in, as typed, and the place in it.

    None within a comment. At a place where a query would begin, it is an empty one.
    """
    marked = f"{cell[:cursor]}x{cell[cursor:]}"  # so that what is about to be typed counts
    for part in queries(marked):
        if part.start <= cursor < part.end:
            place = cursor - part.start
            whole = marked[part.start : part.end]
            return whole[:place] + whole[place + 1 :], place
    return None


def queries(cell: str) -> list[Part]:
    """Return the queries of a cell: one a line, without comments.

    A query goes on in the next line while a bracket is open, where its line ends with an operator,
    and where the next line begins with one (or with ``by``, ``on``, ``offset`` and the like) and
    no blank line is between.
    """
    pieces = [token for token in tokens(cell) if token.kind not in {"space", "comment"}]
    if not pieces:
        return []
    groups = [[pieces[0]]]
    brackets = _Brackets()
    for token, following in zip(pieces, [*pieces[1:], None], strict=True):
        brackets.pass_over(token)
        if following is None:
            break
        if _ends_query(cell[token.end : following.start], token, following, brackets):
            brackets = _Brackets()
            groups.append([])
        groups[-1].append(following)
    return [_part(cell, group) for group in groups]


class _Brackets:
    """Which brackets are open, and what the one that was closed last was for."""

    def __init__(self) -> None:
        self.open: list[str] = []
        self.closed = ""
        self._before = ""

    def pass_over(self, token: Token) -> None:
        self.closed = ""
        if token.kind == "sign" and token.text in OPEN:
            self.open.append(self._before)
        elif token.kind == "sign" and token.text in CLOSE and self.open:
            self.closed = self.open.pop()
        self._before = token.text


def _ends_query(gap: str, token: Token, following: Token, brackets: _Brackets) -> bool:
    """Whether a query ends between two tokens that follow each other."""
    if "\n" not in gap or brackets.open or _joins(token):
        return False
    if brackets.closed in {"on", "ignoring", "group_left", "group_right"}:
        return False  # the right side is still to come
    if brackets.closed in {"by", "without"} and following.text == "(":
        return False  # what is aggregated is still to come
    blank_line = re.search(r"\n[ \t]*\n", gap)
    return bool(blank_line) or not _joins(following)


def _joins(token: Token) -> bool:
    return token.kind in {"word", "sign"} and token.text in _JOINING


def _part(cell: str, pieces: list[Token]) -> Part:
    start, end = pieces[0].start, pieces[-1].end
    lines = cell[start:end].split("\n")
    comments = [token for token in tokens(cell[start:end]) if token.kind == "comment"]
    text = cell[start:end]
    for comment in reversed(comments):
        text = text[: comment.start] + text[comment.end :]
    if len(lines) > 1:
        text = "\n".join(line.rstrip() for line in text.split("\n") if line.strip())
    return Part(text, start, end)
