"""An explanation of a PromQL expression: as text for a terminal, as HTML for a notebook."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labkit.promql.emptiness.moments import dated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from labkit.promql.explaining.mistakes import Mistake
    from labkit.promql.explaining.sizes import Size
    from labkit.promql.syntax.node import Node

_WIDTH = 100  # columns of the text
_LEAST = 40  # columns that a part has, however deep it is
_ROWS = 10  # of the result
_LITERAL = frozenset({"number", "string", "paren", "unary", "binary"})

_MUTED = "color:var(--jp-ui-font-color2,#767676)"
_LINE = "var(--jp-border-color1,#9E9E9E)"
_WARNING = "border-left:4px solid #E69F00;padding:.2em .8em;margin:.4em 0"


@dataclass(frozen=True)
class Step:
    """A part of an expression as it is shown.

    Attributes:
        node: the part.
        sentence: what it gives.
        size: how much that is now.
        depth: how far below the whole it is.
        last: whether it is the last part of the one above it.
    """

    node: Node
    sentence: str
    size: Size
    depth: int
    last: bool


@dataclass
class Explanation:
    """What an expression means, how much each part of it is, and what is wrong with it.

    Attributes:
        query: the expression as it was sent.
        result: what it is; see :meth:`labkit.promql.client.Client.query`.
        tree: the expression as a tree; None where the parser does not read it.
        steps: its parts in the order in which they are shown; numbers and texts are told by the
            sentence of the part that they belong to.
        mistakes: what is probably not meant.
        unchecked: what could not be looked at, and why.
        why_empty: why the result is empty; empty where it is not.
        why_nan: why a value of the result is NaN; empty where none is.
        unparsed: the parser's words where it does not read the expression.
    """

    query: str
    result: pd.DataFrame
    tree: Node | None = None
    steps: list[Step] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    why_empty: str = ""
    why_nan: str = ""
    unparsed: str = ""

    @property
    def warnings(self) -> list[str]:
        """The mistakes, each in a few sentences; what the server itself warned of comes last."""
        return [*map(str, self.mistakes), *self.result.attrs.get("warnings", ())]

    def __str__(self) -> str:
        return "\n".join(_as_text(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _as_html(self)


def drawn(root: Node) -> Iterator[tuple[Node, int, bool]]:
    """Give the parts that are shown, with their depth and whether they are the last of theirs.

    Parentheses, numbers and texts are left out, but for an expression that is nothing else.
    """
    yield from _drawn(root.bare, 0, last=True)


def _drawn(node: Node, depth: int, *, last: bool) -> Iterator[tuple[Node, int, bool]]:
    yield node, depth, last
    # The second argument of info() is written as a selector, but picks labels.
    children = node.children[:1] if node.name == "info" else node.children
    parts = [child.bare for child in children if not _literal(child)]
    for number, part in enumerate(parts, 1):
        yield from _drawn(part, depth + 1, last=number == len(parts))


def _literal(node: Node) -> bool:
    return all(part.kind in _LITERAL for part in node.walk())


def _told(made: Explanation) -> list[Mistake]:
    """Return the mistakes but for one that is why the result is empty, which is told there."""
    if not made.why_empty:
        return made.mistakes
    return [
        mistake
        for mistake in made.mistakes
        if mistake.what not in made.why_empty and made.why_empty not in mistake.what
    ]


def _asked(made: Explanation) -> str:
    attrs = made.result.attrs
    return f"{attrs['server']} at {dated(attrs['time'])}"


def _unparsed(made: Explanation) -> str:
    return (
        "The server answers this expression, but the parser of this lab does not read it "
        f"({made.unparsed}): there is no tree, and no mistake was looked for."
    )


def _unchecked(made: Explanation) -> str:
    return f"Not checked: {'; '.join(made.unchecked)}."


def _rows(made: Explanation) -> str:
    rows = len(made.result)
    return f"{rows:,} {'row' if rows == 1 else 'rows'}" + (
        f", the first {_ROWS}:" if rows > _ROWS else ":"
    )


def _as_text(made: Explanation) -> Iterator[str]:
    yield made.query.strip()
    yield f"on {_asked(made)}"
    yield ""
    yield from _tree_as_text(made.steps)
    if made.unparsed:
        yield from textwrap.wrap(_unparsed(made), _WIDTH)
    for mistake in _told(made):
        yield ""
        yield from _warning_as_text(mistake.words)
        if mistake.query:
            yield f"  Write: {mistake.query}"
    for warning in made.result.attrs.get("warnings", ()):
        yield ""
        yield from _warning_as_text(warning)
    if made.unchecked:
        yield ""
        yield from textwrap.wrap(_unchecked(made), _WIDTH)
    yield ""
    if made.result.empty:
        yield from textwrap.wrap(f"The result is empty. {made.why_empty}", _WIDTH)
    else:
        yield f"The result has {_rows(made)}"
        yield made.result.head(_ROWS).to_string(index=False)
        yield from textwrap.wrap(made.why_nan, _WIDTH)


def _warning_as_text(words: str) -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent="! ", subsequent_indent="  ", break_long_words=False
    )


def _tree_as_text(steps: list[Step]) -> Iterator[str]:
    open_at: dict[int, bool] = {}  # depth to whether more parts follow there
    for number, step in enumerate(steps):
        open_at[step.depth] = not step.last
        before = "".join("│   " if open_at[depth] else "    " for depth in range(1, step.depth))
        branch = before + ("" if not step.depth else "└── " if step.last else "├── ")
        follows = number + 1 < len(steps) and steps[number + 1].depth > step.depth
        below = before + ("" if not step.depth else "    " if step.last else "│   ")
        below += "│     " if follows else "      "
        size = f"  [{step.size}]" if str(step.size) else ""
        yield f"{branch}{_clipped(step.node.text, _WIDTH - len(branch))}{size}"
        yield from textwrap.wrap(
            step.sentence,
            max(_WIDTH, len(below) + _LEAST),
            initial_indent=below,
            subsequent_indent=below,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _clipped(text: str, longest: int) -> str:
    longest = max(longest, _LEAST)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _as_html(made: Explanation) -> str:
    # The class keeps MathJax from what stands between two dollar signs.
    parts = [
        '<div class="labkit-explanation mathjax_ignore tex2jax_ignore" style="max-width:70em;'
        'color:var(--jp-ui-font-color1,inherit);line-height:1.45">',
        f'<div style="{_MUTED}">{html.escape(_asked(made))}</div>',
    ]
    parts += _tree_as_html(made.steps) or [f"<div>{_highlighted(made.query.strip())}</div>"]
    if made.unparsed:
        parts.append(f'<p style="{_WARNING}">{html.escape(_unparsed(made))}</p>')
    parts += [_mistake_as_html(mistake) for mistake in _told(made)]
    for warning in made.result.attrs.get("warnings", ()):
        parts.append(f'<div style="{_WARNING}">{html.escape(warning)}</div>')
    if made.unchecked:
        parts.append(f'<p style="{_MUTED}">{html.escape(_unchecked(made))}</p>')
    return "".join([*parts, _result_as_html(made), "</div>"])


def _tree_as_html(steps: list[Step]) -> list[str]:
    parts = []
    for number, step in enumerate(steps):
        below = steps[number + 1].depth if number + 1 < len(steps) else 0
        parts.append(_step_as_html(step))
        parts.append("</div></details>" * (step.depth - below + 1))
    return parts


def _step_as_html(step: Step) -> str:
    margin = "margin:.5em 0 .5em 1.4em" if step.depth else "margin:.5em 0"
    size = (
        f'<span style="{_MUTED};white-space:nowrap"> · {step.size}</span>' if str(step.size) else ""
    )
    return (
        f'<details open style="{margin}"><summary style="cursor:pointer">'
        f"{_highlighted(step.node.text)}{size}</summary>"
        f'<div style="border-left:2px solid {_LINE};margin-left:.35em;padding-left:.9em">'
        f"<div>{html.escape(step.sentence)}</div>"
    )


def _mistake_as_html(mistake: Mistake) -> str:
    words = mistake.words.removeprefix(mistake.what)
    query = f'<div style="margin-top:.2em">{_highlighted(mistake.query)}</div>'
    return (
        f'<div style="{_WARNING}"><b>{html.escape(mistake.what)}</b>{html.escape(words)}'
        f"{query if mistake.query else ''}</div>"
    )


def _result_as_html(made: Explanation) -> str:
    if made.result.empty:
        why = html.escape(made.why_empty)
        return f'<div style="{_WARNING}"><b>The result is empty.</b> {why}</div>'
    table = made.result.head(_ROWS).to_html(index=False, border=0)
    why = f'<div style="{_WARNING}">{html.escape(made.why_nan)}</div>' if made.why_nan else ""
    return f'<div style="{_MUTED};margin-top:.6em">The result has {_rows(made)}</div>{table}{why}'


def _highlighted(promql: str) -> str:
    from labkit.promql.syntax.highlight import to_html

    return to_html(promql)
