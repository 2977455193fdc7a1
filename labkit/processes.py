"""Child processes that die with their parent, and their logs."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psutil

_GUARD = Path(__file__).with_name("guard.py")
_GUARD_ITSELF = str(_GUARD)
_WINDOWS = sys.platform == "win32"
_NEW_GROUP = 0x200  # CREATE_NEW_PROCESS_GROUP: the kernel's interrupt stays away from the child


def tail(path: Path, lines: int = 50) -> str:
    """Return the last lines of a log, or an empty string where there is none yet."""
    if lines <= 0:
        return ""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - 500 * lines))
            text = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


class ChildProcess:
    """A command that runs under a guard and ends when this process ends, however that happens.

    Its standard error goes to the log. So does its standard output, unless ``piped`` is true:
    then ``stdin`` and ``stdout`` are binary pipes to and from it.

    Args:
        command: the program and its arguments; no shell is involved.
        log: the file that takes its output; made, with its folder, if it is not there.
        piped: keep standard output as a pipe for the caller, who must drain it.
        grace_seconds: how long the child may take to end after SIGTERM before it is killed.
        env: its environment; this process's by default.

    Raises:
        LabError: when the guard cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        piped: bool = False,
        grace_seconds: float = 3.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.log = log
        self._grace_seconds = grace_seconds
        log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-S", "-E", str(_GUARD), str(grace_seconds), *command]
        try:
            with log.open("ab") as output:
                self._guard: subprocess.Popen[bytes] = subprocess.Popen(
                    guard,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if piped else output,
                    stderr=output,
                    bufsize=0,
                    env=dict(env) if env is not None else None,
                    start_new_session=not _WINDOWS,
                    creationflags=_NEW_GROUP if _WINDOWS else 0,
                )
        except OSError as error:
            raise LabError(
                f"{Path(command[0]).name} could not be started.",
                evidence=str(error),
                next_step="check the room on the disk and the limit on processes (ulimit -u).",
            ) from error

    @property
    def stdin(self) -> IO[bytes]:
        """The pipe to the child; closing it ends the child."""
        assert self._guard.stdin is not None  # noqa: S101 - Popen was given PIPE
        return self._guard.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The pipe from the child, where ``piped`` was asked for."""
        assert self._guard.stdout is not None, "not piped"  # noqa: S101 - a slip of the caller
        return self._guard.stdout

    @property
    def guard_pid(self) -> int:
        """The guard's process number."""
        return self._guard.pid

    @property
    def pid(self) -> int | None:
        """The child's process number, or None once it has ended."""
        import psutil

        try:
            found = _first_child(psutil.Process(self._guard.pid))
            while found and _GUARD_ITSELF in found.cmdline():  # on Windows, see below
                found = _first_child(found)
            while _WINDOWS and found and (real := _redirected(found)):
                found = real
        except psutil.NoSuchProcess:
            return None
        return found.pid if found else None

    def poll(self) -> int | None:
        """Return the exit code (128 + n for signal n), or None while the child runs."""
        return self._guard.poll()

    def wait(self, timeout: float) -> int:
        """Wait for the child to end by itself; return its exit code.

        Raises:
            subprocess.TimeoutExpired: when it still runs after ``timeout`` seconds.
        """
        return self._guard.wait(timeout)

    def tail(self, lines: int = 50) -> str:
        """Return the last lines of the log."""
        return tail(self.log, lines)

    def stop(self) -> int:
        """End the child and wait until it is gone; return its exit code. Idempotent."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        try:
            code = self._guard.wait(self._grace_seconds + 2.0)
        except subprocess.TimeoutExpired:
            code = self._kill()
        if self._guard.stdout is not None:
            self._guard.stdout.close()
        return code

    def _kill(self) -> int:
        """The guard itself hangs: end the child first, then the guard."""
        import psutil

        with suppress(psutil.NoSuchProcess):  # the guard has ended meanwhile
            for process in psutil.Process(self._guard.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # as this one, with its parent
                    process.kill()
        self._guard.kill()
        return self._guard.wait(5.0)

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        code = self.poll()
        state = "running" if code is None else f"ended with {code}"
        return f"<ChildProcess {Path(self.command[0]).name} {state}>"


# On Windows the Python of an environment starts the real one, with the same arguments, and waits
# for it: so the guard may be two processes, and so may a child that is Python.


def _first_child(process: psutil.Process) -> psutil.Process | None:
    children = process.children()
    return children[0] if children else None


def _redirected(process: psutil.Process) -> psutil.Process | None:
    """Return the process that this one only stands for; None where it is itself the real one."""
    child = _first_child(process)
    same = child is not None and child.cmdline()[1:] == process.cmdline()[1:]
    return child if same else None
