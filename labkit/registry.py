"""Which labs run: a small file for each in the user's state folder, so that others find them."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.locking import LifeLock, is_held
from labkit.runfolder import kept_in, process_identity, state_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_FOLDER = "running"
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("kind", "name", "url", "prometheus_url"), (str,)),
    **dict.fromkeys(("token", "folder"), (str, NoneType)),
    **dict.fromkeys(("created", "started_at"), (int, float)),
    "pid": (int,),
    "more": (dict,),
}
WITH_APP = ("lab", "up")


@dataclass(frozen=True)
class Entry:
    """Something that runs, as it announced itself.

    Attributes:
        kind: "lab" (in a notebook or script), "up" (`labkit up`) or "background" (traffic).
        name: what a person calls it.
        pid: the process that it lives and ends with.
        created: when that process was made, which tells it from a later one of the same number.
        url: the app's address; empty where there is none.
        prometheus_url: Prometheus's address; empty where there is none.
        token: what a change of the app's faults needs; None where it has none.
        folder: where its logs are; None where it has none.
        started_at: when it was announced, in Unix seconds.
        more: whatever else it said of itself.
        path: the file.
        lock: held by the process for as long as it is announced; None for everyone else.
    """

    kind: str
    name: str
    pid: int
    created: float
    url: str
    prometheus_url: str
    token: str | None = field(repr=False)
    folder: str | None
    started_at: float
    more: dict[str, Any]
    path: Path = field(repr=False, compare=False)
    lock: LifeLock | None = field(default=None, repr=False, compare=False)

    def withdraw(self) -> None:
        """Take the announcement back. Idempotent."""
        if self.lock is not None:
            self.lock.free()  # Windows removes no file that is open
        self.path.unlink(missing_ok=True)


def announce(
    kind: str,
    *,
    name: str | None = None,
    url: str = "",
    prometheus_url: str = "",
    token: str | None = None,
    folder: str | Path | None = None,
    pid: int | None = None,
    **more: Any,
) -> Entry:
    """Write down that something runs, for this user's eyes only; return the entry to withdraw.

    Args:
        kind: "lab", "up" or "background".
        name: what a person calls it; the kind by default.
        url: the app's address.
        prometheus_url: Prometheus's address.
        token: what a change of the app's faults needs.
        folder: where its logs are.
        pid: the process that it lives and ends with; this one by default.
        more: anything else, as plain data for JSON.

    Raises:
        LabError: when that process has ended already, or nothing can be written down.
    """
    number = os.getpid() if pid is None else pid
    identity = process_identity(number)
    if identity is None:
        raise LabError(f"Process {number} has ended, so there is nothing to announce.")
    entry = Entry(
        kind=kind,
        name=name or kind,
        pid=number,
        created=identity["created"],
        url=url,
        prometheus_url=prometheus_url,
        token=token,
        folder=None if folder is None else str(folder),
        started_at=time.time(),
        more=more,
        path=Path(),
    )
    fields = {key: value for key, value in asdict(entry).items() if key not in ("path", "lock")}
    path = _write({**fields, "host": platform.node()})
    return replace(entry, path=path, lock=LifeLock.take(path) if number == os.getpid() else None)


def running(kind: str | None = None) -> list[Entry]:
    """Return what runs on this machine, newest first; announcements of the dead are removed.

    Where the state folder cannot be made, nothing was announced.

    Args:
        kind: "lab", "up" or "background"; all by default.
    """
    try:
        folder = _folder()
    except LabError:
        return []
    found = [entry for path in folder.glob("*.json") if (entry := _living(path))]
    wanted = [entry for entry in found if kind in (None, entry.kind)]
    return sorted(wanted, key=lambda entry: entry.started_at, reverse=True)


def find_target(elsewhere: str = "") -> Entry:
    """Return the newest lab or `labkit up` that runs.

    Args:
        elsewhere: what to do about one that runs elsewhere, where something can be done.

    Raises:
        LabError: when none does; the message names the commands that start one.
    """
    for entry in running():
        if entry.kind in WITH_APP:
            return entry
    raise LabError(
        "Nothing is running here to work with.",
        next_step="start an app and Prometheus with `labkit up` in another terminal, or the "
        f"notebooks with `make lab`{elsewhere and f'; {elsewhere}'}.",
    )


def _folder() -> Path:
    folder = state_path() / _FOLDER
    with kept_in(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _write(data: dict[str, Any]) -> Path:
    """Write an entry in one step, so that no reader meets half of one."""
    # mkstemp makes a file that only this user can read, under a name that nobody else has.
    folder = _folder()
    with kept_in(folder):
        handle, name = tempfile.mkstemp(prefix=f"{data['kind']}-", suffix=".new", dir=folder)
        new = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        return new.replace(new.with_suffix(".json"))


def _living(path: Path) -> Entry | None:
    """Return the entry in a file; remove the file where its process is gone."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        host = data.pop("host")
        entry = _checked(Entry(**data, path=path))
        lives = _is_alive(entry.pid, entry.created) or is_held(path)
    except OSError:
        return None  # withdrawn meanwhile, or kept from us: it may be root's, or just being read
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        host, lives, entry = platform.node(), False, None
    if host != platform.node():
        return None  # a home folder that machines share: that machine looks after it
    if lives:
        return entry
    with suppress(OSError):  # Windows, while another process reads it: the next look removes it
        path.unlink(missing_ok=True)
    return None


def _checked(entry: Entry) -> Entry:
    """Return the entry, or raise TypeError where a field holds what this lab does not write."""
    for name, types in _TYPES.items():
        if not isinstance(getattr(entry, name), types):
            raise TypeError(f"{name} of {entry.path} is {getattr(entry, name)!r}")
    return entry


def _is_alive(pid: int, created: float) -> bool:
    """Tell whether that very process runs, not one that got its number later."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False  # gone, or another user's
