"""The logs of the lab's parts: what went wrong there lately."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from labkit.checks.report import OK, WARNING, Finding
from labkit.prometheus.diagnosis import errors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LONGEST = 200
_SIGNS = (" ERROR ", " CRITICAL ", "Traceback (most recent call last)")
_LEVELS = ("error", "critical")


def logs(tails: Mapping[str, Callable[[], str]]) -> Iterator[Finding]:
    """Look for errors in the last lines of each log.

    Args:
        tails: for each log what gives its last lines.
    """
    found = {name: errors for name, tail in tails.items() if (errors := errors_of(tail()))}
    if not found:
        yield Finding("Logs", OK, f"no error in the last lines of {', '.join(tails)}")
        return
    seen = "; ".join(
        f"{name} ({len(errors)}): {errors[-1][:_LONGEST]}" for name, errors in found.items()
    )
    where = " and ".join(f'lab.logs("{name}")' for name in found)
    in_terminal = " and ".join(f"`labkit logs {name}`" for name in found)
    remedy = f"read on with {where}, or {in_terminal} in a terminal."
    yield Finding("Logs", WARNING, seen, remedy)


def errors_of(text: str) -> list[str]:
    """Return the errors in a log of the lab's, in plain words, each once.

    Requests that the app answered with an error are no errors of the log: faults are its trade.
    """
    others = (error for line in text.splitlines() if (error := _error_in(line)))
    return list(dict.fromkeys([*errors_in(text), *others]))


def _error_in(line: str) -> str | None:
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:  # the first line of a tail may be half a line
            return None
        failed = str(entry.get("level", "")).lower() in _LEVELS
        return str(entry.get("message", line)) if failed else None
    return line.strip() if any(sign in line for sign in _SIGNS) else None
