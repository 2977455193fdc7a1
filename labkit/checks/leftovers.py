"""Processes that an earlier run has left behind: none of a lab that lives, none of others."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.checks.report import OK, WARNING, Finding
from labkit.runfolder import is_owned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psutil

_GUARD = Path("labkit", "guard.py").parts
_WORKER = ("-m", "labkit.traffic.worker")
_FOLDER_OPTIONS = ("--config.file=", "--storage.tsdb.path=")


@dataclass(frozen=True)
class Leftover:
    """A process of a run whose owner is gone.

    Attributes:
        pid: its number.
        kind: guard, Prometheus or traffic worker.
        started_at: when it was made, in Unix seconds.
        folder: the run folder that it belongs to, which may be gone too.
    """

    pid: int
    kind: str
    started_at: float
    folder: Path

    def __str__(self) -> str:
        since = time.strftime("%d %b %H:%M", time.localtime(self.started_at))
        return f"{self.kind} (process {self.pid}, since {since})"


def leftovers(runs: Path) -> Iterator[Finding]:
    """Look for processes of earlier runs, and say how to end them.

    Args:
        runs: the folder of the run folders.
    """
    found = find(runs)
    if not found:
        yield Finding("Leftovers", OK, "no process of an earlier run")
        return
    yield Finding("Leftovers", WARNING, "; ".join(map(str, found)), f"end them: {command(found)}")


def command(found: Sequence[Leftover]) -> str:
    """Return the command that ends these processes, and no other one."""
    if sys.platform == "win32":
        return " ".join(["taskkill /F", *(f"/PID {process.pid}" for process in found)])
    return " ".join(["kill", *(str(process.pid) for process in found)])


def find(runs: Path) -> list[Leftover]:
    """Return the processes that belong to a run folder whose owner is gone.

    A process belongs to it by its command line or by its log, and only if it is one that the lab
    starts: an editor or a `tail` in such a folder is none.
    """
    import psutil

    runs, found = runs.resolve(), []
    for process in psutil.process_iter():
        try:
            leftover = _leftover(process, runs)
        except (psutil.Error, OSError):
            continue  # it has just ended, or is another user's
        if leftover is not None:
            found.append(leftover)
    return found


def _leftover(process: psutil.Process, runs: Path) -> Leftover | None:
    arguments = process.cmdline()
    kind = _kind(arguments)
    if kind is None:
        return None
    folder = _folder_in(_files_named(arguments), runs) or _folder_in(_files_open(process), runs)
    if folder is None or is_owned(folder):
        return None
    return Leftover(process.pid, kind, process.create_time(), folder)


def _kind(arguments: Sequence[str]) -> str | None:
    """Say which of the lab's processes has such a command line; None for any other."""
    if arguments[1:3] == ["-S", "-E"] and Path(*arguments[3:4]).parts[-2:] == _GUARD:
        return "guard"
    if tuple(arguments[2:4]) == _WORKER or tuple(arguments[1:3]) == _WORKER:
        return "traffic worker"
    if all(any(a.startswith(option) for a in arguments[1:]) for option in _FOLDER_OPTIONS):
        return "Prometheus"
    return None


def _files_named(arguments: Sequence[str]) -> Iterator[str]:
    for argument in arguments:
        for option in _FOLDER_OPTIONS:
            if argument.startswith(option):
                yield argument.removeprefix(option)


def _files_open(process: psutil.Process) -> Iterator[str]:
    """Give the files that a process writes its output to, even where they were removed."""
    streams = Path("/proc", str(process.pid), "fd")
    if streams.is_dir():
        for number in ("1", "2"):
            yield str((streams / number).readlink())
    else:
        yield from (file.path for file in process.open_files())


def _folder_in(paths: Iterator[str], runs: Path) -> Path | None:
    """Return the run folder that one of these paths lies in."""
    for path in map(Path, paths):
        if path.is_absolute() and runs in path.parents:
            return runs / path.relative_to(runs).parts[0]
    return None
