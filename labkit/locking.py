"""Locks that only one process has, and that the system frees when their holder ends."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

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
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process holds {path} for more than {seconds:g} s")
            if waiting:
                waiting()
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(file.fileno())


class LifeLock:
    """A lock in a file that shows others that this process lives, whatever the clock says.

    It is held until it is freed or the process ends; an object that nobody keeps frees nothing.
    The file can be read meanwhile.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take the lock in a file that is there; None where another has it or there are none."""
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDWR)
            with suppress(OSError):  # a file system that has no locks
                if _try_lock(descriptor):
                    return cls(descriptor)
            os.close(descriptor)
        return None

    def free(self) -> None:
        """Give it back. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process, this one as well, holds the lock in a file."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    except OSError:  # a file system that has no locks
        return False
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    _PLACE = 1 << 30  # beyond any content: what is locked here cannot be read either

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
