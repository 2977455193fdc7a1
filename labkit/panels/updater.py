"""The threads of a panel: one changes its widgets, another does what takes long."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Action = Callable[[], object]

IDLE_SECONDS = 0.25
_LEAST_REST_SECONDS = 0.1  # between two frames, so that cells and buttons get their turn
_CLOSE_SECONDS = 15.0


class Updater:
    """A thread that does what it is asked, one after the other; only it changes widgets.

    Args:
        name: of the thread.
        failed: takes what an action raised.
        idle: done when nothing was asked for a quarter of a second.
    """

    def __init__(
        self, name: str, failed: Callable[[Exception], object], idle: Action | None = None
    ) -> None:
        self._failed = failed
        self._idle = idle
        self._asked: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def ask(self, action: Action) -> None:
        """Queue an action; return at once."""
        self._asked.put(action)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                action: Action | None = self._asked.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                action = self._idle
            if action is not None:
                _attempt(action, self._failed)

    def close(self) -> None:
        """End the thread after what it does now. Idempotent."""
        self._closing.set()
        _join(self._thread)


class Ticker:
    """A thread that does something every so many seconds; what comes too late is left out.

    Args:
        name: of the thread.
        work: what is done.
        seconds: from one time to the next; asked anew each time.
        failed: takes what the work raised.

    Attributes:
        skipped: how many times were left out because the one before was still going on.
    """

    def __init__(
        self,
        name: str,
        work: Action,
        *,
        seconds: Callable[[], float],
        failed: Callable[[Exception], object],
    ) -> None:
        self.skipped = 0
        self._work = work
        self._seconds = seconds
        self._failed = failed
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def now(self) -> None:
        """Do it as soon as possible, rather than when it is time."""
        self._wake.set()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing:
            if self._wake.wait(max(0.0, due - time.monotonic())):
                self._wake.clear()
                due = time.monotonic()
            if not self._closing:
                _attempt(self._work, self._failed)
                due = self._next(due)

    def _next(self, due: float) -> float:
        """Return when it is time again, and count the times that have passed."""
        period, now = self._seconds(), time.monotonic()
        passed = max(0, int((now - due) / period))
        self.skipped += passed
        return max(due + (passed + 1) * period, now + _LEAST_REST_SECONDS)

    def close(self) -> None:
        """End the thread after what it does now. Idempotent."""
        self._closing = True
        self._wake.set()
        _join(self._thread)


def _attempt(action: Action, failed: Callable[[Exception], object]) -> None:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - a thread has no caller; whatever it is, it is shown
        failed(error)


def _join(thread: threading.Thread) -> None:
    if thread is not threading.current_thread():
        thread.join(_CLOSE_SECONDS)
