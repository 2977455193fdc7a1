"""``Background``: traffic that outlives the terminal or the notebook it was started from."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from labkit.errors import LabError
from labkit.locking import locked
from labkit.processes import tail
from labkit.traffic import background_state as files
from labkit.traffic.background_launch import START_SECONDS, STOP_SECONDS, end, launch
from labkit.traffic.background_state import BackgroundStatus
from labkit.traffic.caps import MAX_SECONDS, Caps, positive
from labkit.traffic.mixes import Mix, find_mix
from labkit.traffic.shapes import Continuous
from labkit.traffic.target import find_target, knock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Background", "BackgroundRunning", "BackgroundStatus"]

GIVE_UP_SECONDS = 600.0
"""For how long it goes on without any answer; an app may be restarted meanwhile."""

_PROBE_SECONDS = 5.0
_START_IT = "start it first (labkit up, or the notebook's labkit.start()), or give another address."
_LOCK_SECONDS = 2 * (START_SECONDS + STOP_SECONDS)
_KEPT_ENDED = 5  # targets whose state and log stay; a lab has another port each time


class BackgroundRunning(LabError):
    """Background traffic with other settings goes to this target already."""


class Background:
    """Traffic of one user to one target, from a process that belongs to no terminal or kernel.

    It goes on until it is stopped, for 24 hours at most, and gives up when nothing has answered
    for ten minutes. There is at most one for a target. It does not survive a reboot. Handles are
    made by ``start``, ``of`` and ``all``; any process of the same user can have one.

    Attributes:
        url: the target, in its one form: the host in small letters, the port given.
        fresh: whether the call that gave this handle started it.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        self.url = unquote(folder.name)
        self.fresh = fresh

    @classmethod
    def start(
        cls,
        url: str,
        *,
        intensity: str = "normal",
        mix: str | Mapping[str, float] | Mix = "everyday",
        seed: int | None = None,
        allow_remote: bool = False,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
        seconds: float = MAX_SECONDS,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> Self:
        """Start background traffic; what runs already with these settings is left as it is.

        Args:
            url: the base URL of the target, which must be there.
            intensity: "low", "normal" or "high", as for ``Continuous``.
            mix: "everyday", "errors", "timeouts", or ``{"/path": weight}``.
            seed: makes the draws of paths and waits repeatable.
            allow_remote: whether the target may be another machine.
            timeout: how many seconds a request may take before it counts as timed out.
            headers: sent with each request; kept in no file.
            verify: whether TLS certificates are checked, or the file of the authority to trust.
            seconds: when it ends by itself, at most 24 hours.
            give_up_seconds: how long without an answer makes it end.

        Raises:
            BackgroundRunning: when one with other settings goes to this target.
            TargetRefused: when the URL will not do, leads elsewhere or nothing listens there.
            ValueError: when the intensity, the mix or a number will not do.
            LabError: when its process does not start.
        """
        chosen = find_mix(mix)
        Caps().check_seconds(positive("seconds", seconds))
        target = find_target(url, allow_remote=allow_remote)
        status = BackgroundStatus(
            url=target.url,
            state="starting",
            intensity=Continuous(intensity).intensity,
            mix=chosen.name,
            weights=list(chosen.weights),
            seed=None if seed is None else int(seed),
            token=secrets.token_hex(8),
            give_up_seconds=positive("give_up_seconds", give_up_seconds),
        )
        request = {
            "token": status.token,
            "seconds": float(seconds),
            "allow_remote": allow_remote,
            "timeout": positive("timeout", timeout),
            "headers": dict(headers or {}),
            # The process has another working directory.
            "verify": str(Path(verify).resolve()) if isinstance(verify, str) else verify,
        }
        folder = files.folder_of(url)
        with _lock():
            if running := _running(folder):
                _check_same(running, status)
                return cls(folder)
            knock(target, seconds=_PROBE_SECONDS, next_step=_START_IT)
            launch(folder, status, request)
            _prune(keep=folder)
        return cls(folder, fresh=True)

    @classmethod
    def of(cls, url: str) -> Self | None:
        """Return the one of a target, running or ended; None where there is no trace of one.

        Raises:
            TargetRefused: when the URL will not do.
        """
        folder = files.folder_of(url)
        return cls(folder) if (folder / files.STATE).exists() else None

    @classmethod
    def all(cls) -> list[Self]:
        """Return all there are traces of, running or ended, the latest first."""
        return [cls(folder) for folder in _folders() if (folder / files.STATE).exists()]

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.status().running

    @property
    def log(self) -> Path:
        """Its log: starts, ends, outages, and the counts every ten seconds; at most 2 MB."""
        return self._folder / files.LOG

    def status(self) -> BackgroundStatus:
        """Return what it does and has done; the counts are at most a second old."""
        try:
            found = files.look(self._folder)
        except files.Unreadable as error:
            return BackgroundStatus(self.url, "unreadable", f"{error.message}\n{error.evidence}")
        return found or BackgroundStatus(self.url, "stopped", "there is no trace of it")

    def logs(self, lines: int = 50) -> str:
        """Return the last lines of its log."""
        text = tail(self.log, lines)
        missing = lines - len(text.splitlines())
        older = tail(self.log.with_name(f"{files.LOG}.1"), missing)
        return "\n".join(filter(None, [older, text]))

    def stop(self, timeout: float = STOP_SECONDS) -> BackgroundStatus:
        """End it and wait until it is gone; return its last figures. Idempotent.

        Only the very process that was started is ended; where its number is another's by now,
        that one is left alone.

        Args:
            timeout: how many seconds it has; it takes less than one. Then it is killed.

        Raises:
            LabError: when it cannot be ended.
        """
        with _lock():
            status = self.status()
            process = files.find_process(status) if status.running else None
            if process is None:
                return status
            end(process, status, timeout)
            return self._note_end(status.token)

    def _note_end(self, token: str) -> BackgroundStatus:
        """Complete the state of one that could not: on Windows, or before it was up."""
        status = self.status()
        if status.state == "crashed" and status.token == token:
            status = dataclasses.replace(
                status, state="stopped", why="it did not end by itself and was killed"
            )
            with contextlib.suppress(OSError):  # a full disk: it is gone all the same
                files.save(self._folder, status)
        return status

    def __repr__(self) -> str:
        return str(self.status())

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Have one start or stop at a time, of all processes of this user."""
    try:
        with locked(files.root() / "lock", seconds=_LOCK_SECONDS):
            yield
    except TimeoutError as error:
        raise LabError(
            "Another process is starting or stopping background traffic, and does not finish.",
            evidence=str(error),
            next_step="end that process, and try again.",
        ) from error


def _running(folder: Path) -> BackgroundStatus | None:
    try:
        status = files.look(folder)
    except files.Unreadable:
        damaged = folder / files.STATE
        damaged.replace(damaged.with_suffix(".damaged"))
        return None
    return status if status is not None and status.running else None


def _check_same(running: BackgroundStatus, wanted: BackgroundStatus) -> None:
    pairs = {
        "intensity": (running.intensity, wanted.intensity),
        "mix": (running.weights, wanted.weights),
        "seed": (running.seed, running.seed if wanted.seed is None else wanted.seed),
    }
    if differing := [name for name, (is_now, asked) in pairs.items() if is_now != asked]:
        raise BackgroundRunning(
            f"Background traffic goes to {running.url} already, with another "
            f"{' and '.join(differing)}.",
            evidence=str(running),
            next_step="stop it first: labkit background stop",
        )


def _prune(keep: Path) -> None:
    """Remove the traces of all but the last few that have ended."""
    ended = [f for f in _folders() if f != keep and not Background(f).running]
    for folder in ended[_KEPT_ENDED:]:
        shutil.rmtree(folder, ignore_errors=True)


def _folders() -> list[Path]:
    """Return the folders of all targets, those written to last first."""
    folders = [path for path in files.root().iterdir() if path.is_dir()]
    return sorted(folders, key=_last_written, reverse=True)


def _last_written(folder: Path) -> float:
    """Return when the state file was last written; 0 where there is none."""
    try:
        return (folder / files.STATE).stat().st_mtime
    except FileNotFoundError:
        return 0.0
