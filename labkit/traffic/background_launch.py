"""Starting the process of background traffic, and ending it: that very one and no other."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, StartupTimeout
from labkit.processes import tail
from labkit.runfolder import process_identity
from labkit.traffic import background_state as files

if TYPE_CHECKING:
    import psutil

    from labkit.traffic.background_state import BackgroundStatus

START_SECONDS = 20.0
"""How long the process has to come up; a loaded machine starts Python slowly."""

STOP_SECONDS = 5.0
"""How long it has to end before it is killed; it takes less than one."""

_POLL_SECONDS = 0.02


def launch(folder: Path, status: BackgroundStatus, request: dict[str, Any]) -> None:
    """Start the process, write its name down, and wait until it sends.

    Raises:
        LabError: when it does not come up; nothing is left running.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        files.write_json(folder / files.REQUEST, request)
        (folder / files.OUTPUT).write_bytes(b"")
        status = _identified(dataclasses.replace(status, pid=_detach(folder)), folder)
        files.save(folder, status)  # until it finds its token there, it does nothing
        _await_running(folder, status)
    except BaseException as error:  # an interrupt as well: what nobody waited for must not run
        status = _latest(folder, status)
        if process := files.find_process(status):
            end(process, status, STOP_SECONDS)
        if isinstance(error, OSError):
            raise LabError(
                "The background traffic's files cannot be written.",
                evidence=str(error),
                next_step=f"see to the room on the disk and the permissions of {folder}.",
            ) from error
        raise
    finally:
        with contextlib.suppress(OSError):  # the same disk; there is nothing in it then
            (folder / files.REQUEST).unlink(missing_ok=True)


def _latest(folder: Path, status: BackgroundStatus) -> BackgroundStatus:
    """Return the state as the process itself has written it, with its own number, if it has."""
    with contextlib.suppress(files.Unreadable):
        found = files.load(folder)
        if found is not None and found.token == status.token:
            return found
    return status


def _detach(folder: Path) -> int:
    """Start the process in a session of its own, as nobody's child; return its number.

    On Windows this is the number of the environment's Python, which starts the real one.
    """
    detach = Path(__file__).with_name("detach.py")
    program = [sys.executable, "-P", "-m", "labkit.traffic.background_main", str(folder)]
    try:
        done = subprocess.run(
            [sys.executable, "-S", "-E", str(detach), str(folder / files.OUTPUT), *program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=START_SECONDS,
            check=True,
        )
        return int(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise LabError(
            "The process of the background traffic could not be started.",
            evidence=getattr(error, "stderr", "") or str(error),
            next_step="check the room on the disk and the limit on processes (ulimit -u).",
        ) from error


def _identified(status: BackgroundStatus, folder: Path) -> BackgroundStatus:
    identity = process_identity(status.pid)
    if identity is None:
        raise _not_started(folder, "")
    now = time.time()
    return dataclasses.replace(status, created=identity["created"], started_at=now, updated_at=now)


def _await_running(folder: Path, status: BackgroundStatus) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        now = files.look(folder)
        if now is None or now.token != status.token or not now.running:
            raise _not_started(folder, now.why if now else "")
        if now.state == "running":
            return
        if time.monotonic() > deadline:
            raise StartupTimeout(
                f"The background traffic did not start within {START_SECONDS:g} s.",
                evidence=tail(folder / files.OUTPUT, 20),
                next_step="look at the load of this machine, and try again.",
            )
        time.sleep(_POLL_SECONDS)


def _not_started(folder: Path, why: str) -> LabError:
    return LabError(
        "The process of the background traffic ended as soon as it was started.",
        evidence="\n".join(filter(None, [why, tail(folder / files.OUTPUT, 20)])),
        next_step=f"see what it says above; its files are in {folder}.",
    )


def end(process: psutil.Process, status: BackgroundStatus, timeout: float) -> None:
    """End the process that a state names, and nobody else's: psutil compares again."""
    import psutil

    try:
        process.terminate()
        if _gone(status, timeout):
            return
        process.kill()  # its worker ends by itself: it reads a pipe from it
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise LabError(
            f"Process {status.pid} of the background traffic cannot be ended.", evidence=str(error)
        ) from error
    if not _gone(status, STOP_SECONDS):
        raise LabError(
            f"Process {status.pid} of the background traffic does not end.",
            next_step="it may wait for a disk; look at it with ps.",
        )


def _gone(status: BackgroundStatus, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while files.find_process(status):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
