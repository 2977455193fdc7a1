"""The sign of life of background traffic: a lock, which no clock and no other process can undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit import locking

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "alive"


def hold(folder: Path, token: str) -> locking.LifeLock | None:
    """Hold the lock of a target's folder until this process ends.

    Args:
        folder: the target's.
        token: which start this process is of.

    Returns:
        The lock; None where there can be none (a full disk, say) or another process has it.
    """
    path = folder / _FILE
    try:
        path.touch()
        lock = locking.LifeLock.take(path)
        if lock is not None:
            path.write_text(token, encoding="utf-8")
    except OSError:
        return None
    return lock


def is_held(folder: Path, token: str) -> bool:
    """Whether the process of a certain start holds the lock, and so lives."""
    path = folder / _FILE
    try:
        return locking.is_held(path) and path.read_text(encoding="utf-8") == token
    except (OSError, ValueError):
        return False
