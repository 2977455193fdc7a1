"""Notes: a sentence beside a result, in the notebook or on the terminal."""

from __future__ import annotations

import html
import sys

_BOX = (
    "border-left:4px solid #E69F00;padding:.3em .8em;margin:.3em 0;max-width:60em;"
    "white-space:pre-wrap"
)


class Note:
    """A sentence that a cell shows beside its result.

    Args:
        text: what to say, plain text.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<div style="{_BOX}">{html.escape(self.text)}</div>'


def tell(text: str) -> None:
    """Show a note where the person looks: under the cell, or on standard error."""
    if sys.modules.get("IPython") is not None:
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        if get_ipython() is not None:
            display(Note(text))  # type: ignore[no-untyped-call] # IPython has no type for it
            return
    print(text, file=sys.stderr)  # noqa: T201 - a note on a result is for the person at the terminal
