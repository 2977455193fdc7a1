"""The process of background traffic: ``python -m labkit.traffic.background_main FOLDER``.

It sends until it is told to stop (SIGTERM), until its time is over, until nothing has answered
for long, or until its state file is gone or names another process, so that none can run that
nobody finds. It belongs to no terminal; its worker ends with it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.runfolder import process_identity
from labkit.traffic import background_state as files
from labkit.traffic.background_life import hold
from labkit.traffic.background_state import BackgroundStatus
from labkit.traffic.caps import Caps
from labkit.traffic.run import Worker
from labkit.traffic.shapes import Continuous

if TYPE_CHECKING:
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.stats import Stats

NAMED_SECONDS = 15.0
"""How long the one who started it has to write its name down."""

_TICK_SECONDS = 0.1
_SUMMARY_SECONDS = 10.0
_STOP_SECONDS = 0.4
_LARGEST_LOG_BYTES = 1_000_000  # the whole 24 h, with a line every 10 s

_log = logging.getLogger("labkit.background")


class Observer:
    """Follows a run's figures: what went wrong last, and since when nothing answers."""

    def __init__(self) -> None:
        self.last_error = ""
        self.last_error_at: float | None = None
        self.silent_since: float | None = None
        self._silent_from: float | None = None  # the same by a clock that nobody sets
        self._responses = 0
        self._unanswered = 0
        self._errors: Counter[str] = Counter()

    @property
    def silent_seconds(self) -> float:
        """For how long nothing has answered; 0 where all is well."""
        return 0.0 if self._silent_from is None else time.monotonic() - self._silent_from

    def see(self, stats: Stats) -> None:
        """Take in the figures as they are now."""
        self._see_errors(stats)
        unanswered = stats.failed + stats.timed_out
        if stats.responses > self._responses:
            if self.silent_since is not None:
                _log.info("answers again after %.0f s", self.silent_seconds)
            self.silent_since = self._silent_from = None
        elif unanswered > self._unanswered and self.silent_since is None:
            self.silent_since, self._silent_from = time.time(), time.monotonic()
            _log.warning("no answer: %s; goes on trying", self.last_error)
        self._responses, self._unanswered = stats.responses, unanswered

    def _see_errors(self, stats: Stats) -> None:
        errors = Counter({f"HTTP {code}": n for code, n in stats.by_status.items() if code >= 400})  # noqa: PLR2004 - errors
        errors.update(stats.errors_by_type)
        errors.update({"timed out": stats.timed_out, **stats.failed_by_reason})
        if grown := list(errors - self._errors):
            self.last_error, self.last_error_at = grown[-1], time.time()
        self._errors = errors


class Background:
    """Sends, watches, and writes down how it goes.

    Args:
        folder: its folder.
        status: its state so far.
        request: what was asked for, with what no state file should hold.
    """

    def __init__(self, folder: Path, status: BackgroundStatus, request: dict[str, Any]) -> None:
        self._folder = folder
        self._status = status
        self._request = request
        self._seconds: float = request["seconds"]
        self._observer = Observer()
        self._told_to_stop = False

    def stop(self, *_: object) -> None:
        """Have it end within a second; a signal handler."""
        self._told_to_stop = True

    def serve(self) -> None:
        """Send until one of its ends comes; the state file says which."""
        caps = Caps(seconds=self._seconds)
        with Worker(log=self._folder / files.OUTPUT, caps=caps) as worker:
            run = self._start(worker)
            state, why = self._watch(run)
            # What went wrong with the worker is in `why` already; a stuck one is ended below.
            with suppress(LabError):
                run.stop(_STOP_SECONDS)
        if self._owns_state():
            self._note(run.stats)
        self.end(state, why)

    def end(self, state: str, why: str) -> None:
        """Write down that it is over, and how, unless the file is another's by now."""
        level = logging.INFO if state in ("stopped", "finished") else logging.ERROR
        _log.log(level, "%s%s; %s", state, f": {why}" if why else "", self._status.figures())
        if self._owns_state():
            self._save(state=state, why=why)

    def _start(self, worker: Worker) -> TrafficRun:
        status = self._status
        run = worker.start(
            status.url,
            Continuous(status.intensity),
            mix=self._mix(),
            seed=status.seed,
            allow_remote=self._request["allow_remote"],
            timeout=self._request["timeout"],
            headers=self._request["headers"],
            verify=self._request["verify"],
        )
        now = time.time()
        what = (status.intensity, status.mix, run.seed, status.url, os.getpid())
        _log.info("started: %s, mix %s, seed %d, to %s (process %d)", *what)
        # Then only: what is said to run has said in its log that it does.
        self._save(state="running", seed=run.seed, started_at=now, ends_at=now + self._seconds)
        return run

    def _watch(self, run: TrafficRun) -> tuple[str, str]:
        """Return the state in which it ends, and why."""
        beat = time.monotonic()
        summary = beat + _SUMMARY_SECONDS
        while True:
            if ending := self._ending(run):
                return ending
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            if now >= beat:
                beat = now + files.HEARTBEAT_SECONDS
                if not self._owns_state():
                    return "stopped", "its state file is gone or names another process"
                self._note(run.stats)
            if now >= summary:
                summary = now + _SUMMARY_SECONDS
                self._summarise()

    def _ending(self, run: TrafficRun) -> tuple[str, str] | None:
        if self._told_to_stop:
            return "stopped", ""
        if run.error is not None:
            return "failed", str(run.error)
        if not run.running:
            return "finished", f"its time of {self._seconds:g} s was over"
        if self._observer.silent_seconds > self._status.give_up_seconds:
            return "gave up", (
                f"{self._status.url} has not answered for {self._status.give_up_seconds:g} s "
                f"({self._observer.last_error})"
            )
        return None

    def _mix(self) -> Any:
        from labkit.traffic.mixes import Mix

        return Mix(self._status.mix, tuple(self._status.weights))

    def _note(self, stats: Stats) -> None:
        """Bring the state file up to date."""
        self._observer.see(stats)
        names = ("sent", "responses", "timed_out", "failed", "cancelled", "in_flight", "rate")
        seen = ("last_error", "last_error_at", "silent_since")
        self._save(
            **{name: getattr(stats, name) for name in (*names, "by_status", "by_endpoint")},
            **{name: getattr(self._observer, name) for name in seen},
        )

    def _summarise(self) -> None:
        _log.info("%s", self._status.figures())
        output = self._folder / files.OUTPUT
        with suppress(OSError):  # not worth an end
            if output.stat().st_size > _LARGEST_LOG_BYTES:
                os.truncate(output, 0)  # all who write to it append

    def _owns_state(self) -> bool:
        try:
            found = files.load(self._folder)
        except files.Unreadable:
            return True  # damaged: the next save repairs it
        return found is not None and found.token == self._status.token

    def _save(self, **changes: Any) -> None:
        # When the system's clock is set, so is the time at which every process was made.
        created = (process_identity(os.getpid()) or {}).get("created", self._status.created)
        me: dict[str, Any] = {"pid": os.getpid(), "created": created, "updated_at": time.time()}
        self._status = dataclasses.replace(self._status, **me, **changes)
        with suppress(OSError):  # a full disk: the next one may find room
            files.save(self._folder, self._status)


def _await_name(folder: Path, token: str) -> BackgroundStatus | None:
    """Wait until the state file is of this start; None when nobody writes that.

    The number in it may be that of a process before this one: on Windows, an environment's
    Python starts another one.
    """
    deadline = time.monotonic() + NAMED_SECONDS
    while time.monotonic() < deadline:
        with suppress(files.Unreadable):
            found = files.load(folder)
            if found is not None and found.token == token:
                return found
        time.sleep(0.02)
    return None


def _take_request(folder: Path) -> dict[str, Any]:
    """Read what is asked for, and remove it: it may hold a password."""
    path = folder / files.REQUEST
    request: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return request


def _log_to(path: Path) -> None:
    logging.raiseExceptions = False  # a full disk is not worth a traceback for each line
    handler = RotatingFileHandler(
        path, maxBytes=_LARGEST_LOG_BYTES, backupCount=1, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.propagate = False
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)


def main(folder: Path) -> int:
    """Send, until an end comes; return the exit code."""
    _log_to(folder / files.LOG)
    request = _take_request(folder)
    hold(folder, request["token"])
    status = _await_name(folder, request["token"])
    if status is None:
        _log.error("ended at once: whoever started this process did not wait for it")
        return 1
    background = Background(folder, status, request)
    signal.signal(signal.SIGTERM, background.stop)
    signal.signal(signal.SIGINT, background.stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        background.serve()
    except LabError as error:
        background.end("failed", str(error))
        return 1
    except Exception as error:
        background.end("failed", f"{type(error).__name__}: {error}")
        raise  # its traceback goes to the output file
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
