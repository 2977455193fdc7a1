"""What background traffic writes down about itself, and who it is: a folder for each target.

``state.json`` is rewritten twice a second by the process that sends. Whether that process still
runs is told by its number *and* the time at which it was made: a number alone may meanwhile be
another's. That time moves when the clock is set, so the process holds a lock as well.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import math
import os
import time
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from labkit.errors import LabError, TargetRefused
from labkit.runfolder import kept_in, state_path
from labkit.traffic.background_life import is_held
from labkit.traffic.target import find_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psutil

STATE = "state.json"
REQUEST = "request.json"
LOG = "background.log"
OUTPUT = "output.log"

HEARTBEAT_SECONDS = 0.5
"""How often a running one rewrites its state."""

LIVE = ("starting", "running")
ENDED = ("stopped", "finished", "gave up", "failed", "crashed", "unreadable")
_LONGEST_NAME = 200  # file systems take 255 bytes
_BOOT_SLACK_SECONDS = 5.0
_COUNTS = ("sent", "responses", "timed_out", "failed", "cancelled", "in_flight")


class Unreadable(LabError):
    """A state file does not hold a state."""


@dataclass(frozen=True)
class BackgroundStatus:
    """What background traffic does and has done; a snapshot.

    Attributes:
        url: the target.
        state: "starting", "running", "stopped", "finished" (its time was over), "gave up" (no
            answer for long), "failed" (the log says why), "crashed" (its process ended without a
            word) or "unreadable" (its state file is damaged).
        why: how it ended, where there is more to say.
        intensity: "low", "normal" or "high".
        mix: the name of the mix.
        weights: the mix, as pairs of a path and its weight.
        seed: what the draws began from.
        pid: the number of its process.
        created: when that process was made, in Unix seconds.
        token: tells this start from the others.
        started_at: when it started, in Unix seconds.
        updated_at: when it last wrote this, in Unix seconds; once it has ended, when it did.
        ends_at: when it ends by itself, in Unix seconds.
        give_up_seconds: for how long it goes on without an answer.
        rate: responses per second since the start.
        sent, responses, timed_out, failed, cancelled, in_flight: requests, as in ``Stats``.
        by_status: responses by HTTP status.
        by_endpoint: responses by path.
        last_error: the last thing that went wrong: "connection refused", "HTTP 503", ….
        last_error_at: when, in Unix seconds.
        silent_since: since when nothing has answered, in Unix seconds; None where all is well.
    """

    url: str
    state: str
    why: str = ""
    intensity: str = ""
    mix: str = ""
    weights: list[tuple[str, float]] = field(default_factory=list, repr=False)
    seed: int | None = None
    pid: int = 0
    created: float = 0.0
    token: str = field(default="", repr=False)
    started_at: float = 0.0
    updated_at: float = 0.0
    ends_at: float = 0.0
    give_up_seconds: float = 0.0
    rate: float = 0.0
    sent: int = 0
    responses: int = 0
    timed_out: int = 0
    failed: int = 0
    cancelled: int = 0
    in_flight: int = 0
    by_status: dict[int, int] = field(default_factory=dict)
    by_endpoint: dict[str, int] = field(default_factory=dict)
    last_error: str = ""
    last_error_at: float | None = None
    silent_since: float | None = None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state in LIVE

    @property
    def problem(self) -> str:
        """What someone should know who thinks that all is well; empty where it is."""
        if self.running and self.silent_since is not None:
            until = self.silent_since + self.give_up_seconds
            return (
                f"nothing has answered since {clock(self.silent_since)} ({self.last_error}); it "
                f"tries until {clock(until)}. An app that was started again may be at another "
                "port: stop this one and start it there"
            )
        return "" if self.running else self.why

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; ``pid`` is None once it has ended."""
        data = dataclasses.asdict(self)
        del data["token"], data["created"]
        ended_at = None if self.running else self.updated_at or None
        return data | {
            "running": self.running,
            "pid": self.pid if self.running else None,
            "ended_at": ended_at,
        }

    def lines(self) -> list[str]:
        """Return it in words, the most important first."""
        if not self.started_at:
            return list(filter(None, [f"Background traffic to {self.url}: {self.state}", self.why]))
        what = f"{self.intensity}, mix {self.mix}, seed {self.seed}"
        pid = f", process {self.pid}" if self.running else ""
        error = ""
        if self.last_error and self.last_error_at:
            error = f"last error: {self.last_error}, at {clock(self.last_error_at)}"
        head = f"Background traffic to {self.url}: {self._when()}"
        return list(filter(None, [head, what + pid, self.figures(), error, self.problem]))

    def figures(self) -> str:
        """Return the counts on one line."""
        statuses = ", ".join(f"{code} × {n:,}" for code, n in sorted(self.by_status.items()))
        others = ((name, getattr(self, name)) for name in ("timed_out", "failed", "cancelled"))
        return ", ".join(
            [
                f"{self.sent:,} sent",
                *(f"{count:,} {name.replace('_', ' ')}" for name, count in others if count),
                f"{self.responses:,} responses ({self.rate:.2f}/s)"
                + f": {statuses}" * bool(statuses),
            ]
        )

    def _when(self) -> str:
        seconds = (time.time() if self.running else self.updated_at) - self.started_at
        if self.running:
            return f"{self.state} since {clock(self.started_at)} ({_duration(seconds)})"
        return f"not running; {self.state} at {clock(self.updated_at)} after {_duration(seconds)}"

    def __str__(self) -> str:
        first, *rest = self.lines()
        return "\n".join([first, *(f"  {line}" for part in rest for line in part.splitlines())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, *rest = map(escape, self.lines())
        return f"<div><b>{first}</b><br>{'<br>'.join(rest)}</div>"


def normalise(url: str) -> str:
    """Return the one form of a target's URL: host in small letters, port given, no last slash.

    Raises:
        TargetRefused: when it is not the URL of a target.
    """
    parts = urlsplit(find_target(url, allow_remote=True).url)
    host = (parts.hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        host = f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004 - IPv6
    except ValueError:
        pass  # a name
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def root() -> Path:
    """Return the folder of all background traffic of this user, made if it is not there."""
    path = state_path() / "background"
    with kept_in(path):
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def folder_of(url: str) -> Path:
    """Return the folder of a target; it may not be there yet.

    Raises:
        TargetRefused: when the URL will not do.
    """
    name = quote(normalise(url), safe="")
    if len(name) > _LONGEST_NAME:
        raise TargetRefused(
            f"The URL has {len(name)} characters, which is too long to be kept.",
            next_step=f"give one of at most {_LONGEST_NAME}.",
        )
    return root() / name


def load(folder: Path) -> BackgroundStatus | None:
    """Return what the state file says, true or not any more; None where there is none.

    Raises:
        Unreadable: when it holds something else.
    """
    path = folder / STATE
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(
            f"The state of background traffic to {unquote(folder.name)} cannot be read, and "
            "nothing repairs it, so nothing runs there.",
            evidence=f"{path}: {error}",
            next_step="start the traffic again, which sets the file aside.",
        ) from error


def save(folder: Path, status: BackgroundStatus) -> None:
    """Write the state file in one step.

    Raises:
        OSError: the disk is full, or on Windows another process reads it just now.
    """
    write_json(folder / STATE, dataclasses.asdict(status))


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file in one step that only this user can read."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(data, file)
    new.replace(path)


def look(folder: Path) -> BackgroundStatus | None:
    """Return how things are: what the state file says, compared with what runs.

    Raises:
        Unreadable: when the state file is damaged and nothing repairs it.
    """
    status = _load_patiently(folder)
    if status is None or not status.running or find_process(status):
        return status
    again = _load_patiently(folder)  # it may have ended in the meantime, and said so
    if again is None or again.token != status.token or not again.running:
        return again
    return dataclasses.replace(again, state="crashed", why=_cause(again))


def find_process(status: BackgroundStatus) -> psutil.Process | None:
    """Return the process that a state names; None when it is gone or the number is another's."""
    import psutil

    if not status.pid:
        return None  # it has none yet; number 0 is the system's
    try:
        process = psutil.Process(status.pid)
        same = process.create_time() == status.created or is_held(
            folder_of(status.url), status.token
        )
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.Error, ValueError, TargetRefused):
        return None  # gone, or another user's, or of no target


def _load_patiently(folder: Path) -> BackgroundStatus | None:
    """Load; a damaged file is given the time in which a running process writes it anew."""
    deadline = time.monotonic() + 3 * HEARTBEAT_SECONDS
    while True:
        try:
            return load(folder)
        except Unreadable:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _parse(data: dict[str, Any]) -> BackgroundStatus:
    data["by_status"] = {int(code): int(count) for code, count in data["by_status"].items()}
    data["by_endpoint"] = {str(path): int(n) for path, n in data["by_endpoint"].items()}
    data["weights"] = [(str(path), float(weight)) for path, weight in data["weights"]]
    status = BackgroundStatus(**data)
    numbers = [status.pid, *(getattr(status, name) for name in _COUNTS)]
    figures = [status.created, status.started_at, status.updated_at, status.ends_at, status.rate]
    times = [*figures, status.give_up_seconds, status.last_error_at or 0, status.silent_since or 0]
    good = (
        status.state in LIVE + ENDED
        and all(isinstance(text, str) for text in (status.url, status.token, status.why))
        and all(isinstance(number, int) for number in numbers)
        and all(isinstance(t, int | float) and math.isfinite(t) for t in times)
    )
    if not good:
        raise ValueError("not a state")
    return status


def _cause(status: BackgroundStatus) -> str:
    import psutil

    if status.created < psutil.boot_time() - _BOOT_SLACK_SECONDS:
        return "this machine was restarted"
    return "its process ended without a word: it was killed, or the machine ran out of memory"


def clock(moment: float | None) -> str:
    """Return a local time, with the date where it is not today's; nothing for None."""
    if moment is None:
        return ""
    then = datetime.fromtimestamp(moment).astimezone()
    today = datetime.now().astimezone().date() == then.date()
    return f"{then:%H:%M:%S}" if today else f"{then:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{max(0.0, seconds):.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004
