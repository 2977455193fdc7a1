"""Ctrl-C, SIGTERM and a closed terminal end a command in an orderly way."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], None]

# What each system has: Windows knows no SIGHUP, and others no SIGBREAK.
_ENDING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]
_SAME_WISH_SECONDS = 1.0  # a key that is held or hit twice asks but once
_SIGNALS = 128  # the shell's convention: a command ended by signal n has exit code 128 + n


class Ending:
    """Whether the command was asked to end, and by which signal.

    Attributes:
        event: set when it was.
        number: the signal; None before.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number: int | None = None
        self._asked_at = 0.0
        self._finishing = False

    def note(self, number: int) -> None:
        """Take in a signal: the first asks, one that comes a second later breaks off.

        Raises:
            KeyboardInterrupt: to break off.
        """
        if self._finishing:
            return
        if not self.asked:
            self.number, self._asked_at = number, time.monotonic()
            self.event.set()
        elif time.monotonic() > self._asked_at + _SAME_WISH_SECONDS:
            raise KeyboardInterrupt

    def finish(self) -> None:
        """Ignore signals from now on: what is left, such as a summary, is soon done."""
        self._finishing = True

    @property
    def asked(self) -> bool:
        """Whether it was asked to end."""
        return self.event.is_set()

    @property
    def exit_code(self) -> int:
        """0, or what the shell expects of a command that a signal ended: 130 after Ctrl-C."""
        return 0 if self.number is None else _SIGNALS + self.number


@contextmanager
def noting(*, last: bool = False) -> Iterator[Ending]:
    """Note the first ending signal instead of acting on it; a later one breaks off.

    Args:
        last: whether the command is over afterwards: once asked to end, it is not killed by a
            signal that comes while Python itself ends, so that its exit code stays.
    """
    ending = Ending()
    try:
        with _handling(lambda number, _: ending.note(number)):
            yield ending
    finally:
        if last and ending.asked:
            _ignore()


@contextmanager
def interrupting() -> Iterator[None]:
    """Let the first ending signal, whichever, be a KeyboardInterrupt; later ones are ignored.

    So what cleans up after the first is not itself broken off.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        _ignore()
        raise KeyboardInterrupt

    with _handling(interrupt):
        yield


def _ignore() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _ENDING}
    # `nohup` has a command ignore the closing of its terminal, and a shell script has one in the
    # background ignore Ctrl-C: what was ignored stays ignored.
    taken = [number for number in _ENDING if before[number] is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
