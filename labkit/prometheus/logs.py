"""Prometheus's log: bounded in size, and read from a place on."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 8 << 20
KEPT_BYTES = 1 << 20
LOOK_SECONDS = 10.0


def text_after(path: Path, start: int) -> str:
    """Return what a log holds after its first ``start`` bytes; all of it, if it was cut since."""
    try:
        with path.open("rb") as log:
            log.seek(start if start <= log.seek(0, os.SEEK_END) else 0)
            return log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


class LogLimit:
    """Cuts a log down to its newest part whenever it has grown too large, until it is closed.

    The writer does not notice: it appends, so it goes on at the new end. On Windows the child's
    handle does not append, and nothing is cut.

    Args:
        path: the log.
        most_bytes: the size at which it is cut.
        kept_bytes: how much of its end stays.
        look_seconds: how often it is looked at.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_bytes: int = MOST_BYTES,
        kept_bytes: int = KEPT_BYTES,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._kept_bytes = kept_bytes
        self._look_seconds = look_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="log-limit", daemon=True)
        if sys.platform != "win32":
            self._thread.start()

    def _watch(self) -> None:
        while not self._closed.wait(self._look_seconds):
            cut(self._path, self._most_bytes, self._kept_bytes)

    def close(self) -> None:
        """Stop looking, and wait until the thread is gone. Idempotent."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(5.0)


def cut(path: Path, most_bytes: int, kept_bytes: int) -> None:
    """Keep only the last lines of a log that is larger than ``most_bytes``.

    What is written during the cut, some microseconds, may be lost. Where the disk has no room for
    what is kept, or the log can't be opened, so be it: this is no reason to stop looking.
    """
    try:
        with path.open("r+b") as log:
            if log.seek(0, os.SEEK_END) <= most_bytes:
                return
            log.seek(-kept_bytes, os.SEEK_END)
            log.readline()  # from the next whole line on
            kept = log.read()
            log.truncate(0)
        with path.open("ab") as log:
            log.write(b"... older lines were cut off\n" + kept)
    except OSError:
        return
