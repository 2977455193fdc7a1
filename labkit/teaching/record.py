"""Progress: what is solved, with how many attempts and hints, kept in one file of the user's."""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from labkit import locking
from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = "LABKIT_PROGRESS"
LOCK_SECONDS = 5.0
# Between two looks at an exercise this much counts as work on it; more is a break.
LONGEST_THOUGHT_SECONDS = 600.0

_VERSION = 1


@dataclass(frozen=True)
class Standing:
    """How far someone is with an exercise.

    Attributes:
        attempts: how many answers were checked until it was solved.
        hints: how many were looked at before it was solved.
        saw_solution: whether the solution was looked at before it was solved.
        seconds: how long it took so far; a break of more than ten minutes does not count.
        solved_at: when it was solved, in unix seconds; None while it is not.
        seen_at: when it was last looked at, in unix seconds.
    """

    attempts: int = 0
    hints: int = 0
    saw_solution: bool = False
    seconds: float = 0.0
    solved_at: float | None = None
    seen_at: float | None = None

    def seen(self, now: float) -> Standing:
        """Return it with the time since the last look counted."""
        since = 0.0 if self.seen_at is None else max(0.0, now - self.seen_at)
        thought = since if since <= LONGEST_THOUGHT_SECONDS and self.solved_at is None else 0.0
        return replace(self, seconds=self.seconds + thought, seen_at=now)


class Record:
    """The file that progress is kept in; several kernels may write it at once.

    Args:
        path: the file; by default the environment's LABKIT_PROGRESS, or a file in the user's
            state folder.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        chosen = path or os.environ.get(VARIABLE, "").strip()
        self.path = Path(chosen).expanduser() if chosen else _default()

    def read(self) -> Mapping[str, Standing]:
        """Return how far each exercise is that was ever looked at.

        Raises:
            LabError: the file is not a record of progress, or can't be read.
        """
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from error
        try:
            return _standings(told)
        except _Mistake as error:
            raise self._unusable(str(error)) from error

    def change(self, id_: str, how: Callable[[Standing], Standing]) -> Standing:
        """Change the standing of an exercise, in one step; return what it is now.

        Args:
            id_: the exercise.
            how: takes the standing, with the time since the last look counted, and gives the new.

        Raises:
            LabError: the file can't be read or written, or is held by another process.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_name(f".{self.path.name}.lock")
            with locking.locked(lock, seconds=LOCK_SECONDS):
                known = dict(self.read())
                known[id_] = how(known.get(id_, Standing()).seen(time.time()))
                self._write(known)
        except (OSError, TimeoutError) as error:
            raise LabError(
                f"Progress can't be kept in {self.path}.",
                evidence=str(error),
                next_step=f"name another file in {VARIABLE}; answers are checked all the same.",
            ) from error
        return known[id_]

    def _write(self, known: Mapping[str, Standing]) -> None:
        data = {
            "version": _VERSION,
            "exercises": {key: asdict(standing) for key, standing in sorted(known.items())},
        }
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
            Path(name).replace(self.path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink(missing_ok=True)
            raise

    def _unusable(self, why: str) -> LabError:
        return LabError(
            f"{self.path} is not a record of progress.",
            evidence=why,
            next_step=f"move it away to begin anew, or name another file in {VARIABLE}.",
        )

    def __repr__(self) -> str:
        return f"<Record {self.path}>"


def attempted(standing: Standing, *, right: bool) -> Standing:
    """Return a standing after one more answer; once it is solved, it stays as it is."""
    if standing.solved_at is not None:
        return standing
    return replace(
        standing,
        attempts=standing.attempts + 1,
        solved_at=standing.seen_at if right else None,
    )


def hinted(standing: Standing, number: int) -> Standing:
    """Return a standing after a hint; those after the solution are free."""
    if standing.solved_at is not None:
        return standing
    return replace(standing, hints=max(standing.hints, number))


def revealed(standing: Standing) -> Standing:
    """Return a standing after the solution was shown."""
    return standing if standing.solved_at is not None else replace(standing, saw_solution=True)


class _Mistake(Exception):
    """What is wrong with the content of a file."""


def _standings(told: Any) -> Mapping[str, Standing]:
    version = _field(told, "version")
    if version != _VERSION:
        raise _Mistake(f"it is of version {version}, not {_VERSION}")
    exercises = _mapping(_field(told, "exercises"), "exercises")
    return {id_: _standing(id_, each) for id_, each in exercises.items()}


def _standing(id_: str, told: Any) -> Standing:
    fields = _mapping(told, f"{id_}: it")
    known = {name: fields[name] for name in Standing.__dataclass_fields__ if name in fields}
    for name, value in known.items():
        if not _FITS[name](value):
            raise _Mistake(f"{id_}: {name} is {value!r}")
    return Standing(**known)


def _field(told: Any, name: str) -> Any:
    if name not in _mapping(told, "it"):
        raise _Mistake(f"it has no {name}")
    return told[name]


def _mapping(told: Any, what: str) -> Mapping[str, Any]:
    if isinstance(told, dict):
        return told
    kind = "nothing" if told is None else "a list" if isinstance(told, list) else repr(told)
    raise _Mistake(f"{what} is {kind}, not a mapping")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_amount(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]


def _is_time(value: object) -> bool:
    return value is None or _is_amount(value)


_FITS: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "attempts": _is_count,
        "hints": _is_count,
        "saw_solution": lambda value: isinstance(value, bool),
        "seconds": _is_amount,
        "solved_at": _is_time,
        "seen_at": _is_time,
    }
)


def _default() -> Path:
    from labkit.runfolder import state_path

    return state_path() / "progress.json"
