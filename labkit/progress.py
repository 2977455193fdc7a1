"""Say what is going on while something takes more than a second: in a cell, or on a terminal."""

from __future__ import annotations

import html
import sys
from typing import Any

_MEBIBYTE = 1 << 20


class Progress:
    """One line that changes, in the notebook's cell or on a terminal, and goes when it is done.

    Where there is neither (a script whose output is a file), it says nothing.
    """

    def __init__(self) -> None:
        self._cell: Any = None
        self._text = ""
        self._in_kernel = "ipykernel" in sys.modules and _shell_is_a_kernel()
        self._on_terminal = not self._in_kernel and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Replace the line."""
        if text == self._text:
            return
        self._text = text
        if self._in_kernel:
            self._show(f"<div style='opacity:.75'>⏳ {html.escape(text)}</div>", text)
        elif self._on_terminal:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()

    def stage(self, name: str, done: int, total: int | None) -> None:
        """Show how far a download or another long step is; ``done`` and ``total`` in bytes."""
        if total:
            size = f"{done / _MEBIBYTE:.0f} of {total / _MEBIBYTE:.0f} MB"
            self.say(f"{name}: {100 * done // total} % ({size})")
        else:
            self.say(f"{name} …")

    def _show(self, as_html: str, as_text: str) -> None:
        from IPython.display import display

        bundle = {"text/html": as_html, "text/plain": as_text}
        if self._cell is None:
            self._cell = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._cell.update(bundle, raw=True)

    def close(self) -> None:
        """Take the line away."""
        if self._cell is not None:
            self._cell.update({"text/html": "", "text/plain": ""}, raw=True)
            self._cell = None
        elif self._on_terminal and self._text:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        self._text = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _shell_is_a_kernel() -> bool:
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
