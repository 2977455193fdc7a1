"""The folder of one running lab: its logs, Prometheus's data, and who owns it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.locking import LifeLock, is_held

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWNER = "owner.json"
_PREFIX = "run-"


def state_path() -> Path:
    """Return the user's state folder of the lab (platformdirs), made if it is not there.

    Raises:
        LabError: it cannot be made.
    """
    import platformdirs

    path = platformdirs.user_state_path("observability-lab", appauthor=False)
    with kept_in(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Tell what the lab cannot keep in a folder, and what helps, where the system refuses it.

    Raises:
        LabError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        first = "make room on its disk" if full else "allow writing there"
        raise LabError(
            f"The lab cannot keep its files in {folder}.",
            evidence=str(error),
            next_step=f"{first}, or set XDG_STATE_HOME to another folder.",
        ) from error


def process_identity(pid: int) -> dict[str, float] | None:
    """Return what tells a process from a later one with the same number; None if it is gone.

    On Linux the time moves when the system's clock is set: that it differs proves no end.
    """
    import psutil

    try:
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return None


class RunFolder:
    """A folder that belongs to this process and goes away with the run.

    Folders whose owner is gone (a killed kernel) are removed when the next one is made.

    Args:
        parent: where to make it; the user's state folder by default.

    Raises:
        LabError: it cannot be made.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or state_path() / "runs"
        self._owner_pid = os.getpid()
        with kept_in(self._parent):
            self._parent.mkdir(parents=True, exist_ok=True)
            remove_orphans(self._parent)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
            self._sign()
        self._lock = LifeLock.take(self.path / _OWNER)

    def _sign(self) -> None:
        try:
            (self.path / _OWNER).write_text(json.dumps(process_identity(self._owner_pid)))
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def log(self, name: str) -> Path:
        """Return the path of a log in this folder."""
        return self.path / f"{name}.log"

    def close(self) -> None:
        """Remove the folder; a forked copy of this object leaves it alone."""
        if os.getpid() == self._owner_pid:
            if self._lock is not None:
                self._lock.free()  # Windows removes no file that is open
            shutil.rmtree(self.path, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<RunFolder {self.path}>"


def remove_orphans(parent: Path) -> list[Path]:
    """Remove the run folders whose owner no longer runs; return them."""
    orphans = [folder for folder in parent.glob(f"{_PREFIX}*") if not is_owned(folder)]
    for folder in orphans:
        shutil.rmtree(folder, ignore_errors=True)
    return orphans


def is_owned(folder: Path) -> bool:
    """Whether the process that made a run folder still runs."""
    try:
        owner = json.loads((folder / _OWNER).read_text())
    except (FileNotFoundError, ValueError):
        # Made a moment ago by another process that has not signed it yet, or half removed.
        return _age_seconds(folder) < 60  # noqa: PLR2004 - a minute to sign
    except OSError:
        return False
    same = owner is not None and process_identity(int(owner["pid"])) == owner
    return same or is_held(folder / _OWNER)  # in this order: a look must not forestall the owner


def _age_seconds(folder: Path) -> float:
    import time

    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
