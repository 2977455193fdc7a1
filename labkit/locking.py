"""A lock that only one process has, and that the system frees when its holder ends."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_POLL_SECONDS = 0.02


@contextmanager
def locked(
    path: Path, *, seconds: float, waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Be the only process that holds the lock in this file.

    Args:
        path: the file; made if it is not there, and never removed: a waiter may have it open.
        seconds: how long to wait for another holder.
        waiting: called again and again while another one holds it.

    Raises:
        TimeoutError: when another one holds it for longer.
    """
    deadline = time.monotonic() + seconds
    with path.open("a+b") as file:
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process holds {path} for more than {seconds:g} s")
            if waiting:
                waiting()
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
