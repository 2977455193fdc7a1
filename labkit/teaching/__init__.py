"""Exercises that are marked by their result: tasks, checks, hints, solutions, progress.

from labkit.teaching import exercise, check, hint, solution, progress, open_exercise
exercise("errors-1")
check("errors-1", "sum(rate(flask_requests_total[10m]))")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.teaching.desk import (
        check,
        check_cell,
        close,
        exercise,
        hint,
        last_verdict,
        open_exercise,
        progress,
        solution,
    )
    from labkit.teaching.exercises import all_exercises
    from labkit.teaching.verdict import NotYet, Unanswered, Verdict

__all__ = [
    "NotYet",
    "Unanswered",
    "Verdict",
    "all_exercises",
    "check",
    "check_cell",
    "close",
    "exercise",
    "hint",
    "last_verdict",
    "open_exercise",
    "progress",
    "solution",
]

_HOMES = {
    "NotYet": "verdict",
    "Unanswered": "verdict",
    "Verdict": "verdict",
    "all_exercises": "exercises",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'desk')}"), name)
