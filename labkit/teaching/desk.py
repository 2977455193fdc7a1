"""The names that people type: a task, a check, a hint, the solution, and how far they are."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.teaching.cards import Card, Overview, hint_card, solution_card, task_card
from labkit.teaching.exercises import all_exercises, find
from labkit.teaching.marking import is_empty, mark
from labkit.teaching.record import Record, attempted, hinted, revealed
from labkit.teaching.servers import Servers, lab_for
from labkit.teaching.verdict import NotYet, Unanswered, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from labkit.lab import Lab
    from labkit.teaching.exercises import Exercise
    from labkit.teaching.record import Standing

_HINTS = 2
_servers = Servers()
_asked: set[str] = set()  # whose solution was asked for once in this process
_lock = threading.Lock()
_verdicts: dict[str, Verdict] = {}  # the last one on each exercise in this process


def exercise(id: str) -> Card:  # noqa: A002 - what people call it
    """Show the task of an exercise.

    Args:
        id: such as ``errors-2``.

    Raises:
        LabError: there is no such exercise.
    """
    found = find(id)
    return task_card(found, _note(found, lambda standing: standing))


def check(id: str, answer: object = "") -> Verdict:  # noqa: A002 - what people call it
    """Check an answer, and say what helps if it is not right.

    Args:
        id: the exercise, such as ``errors-2``.
        answer: PromQL, a number, the letter of an option, or the text of a rules file.

    Raises:
        LabError: there is no such exercise, or it can't be marked here; a wrong answer raises
            nothing: its verdict says so.
    """
    found = find(id)
    lab = lab_for(found, _labs())
    grounds = []
    if found.kind in {"query", "rule"} and not is_empty(answer):
        grounds = _servers.grounds(found, lab)
    promtool = _servers.promtool if found.kind in {"rule", "rule-test"} else None
    verdict = mark(found, answer, grounds, promtool)
    _verdicts[found.id] = verdict
    if verdict.reason != "unanswered":
        _note(found, partial(attempted, right=verdict.right))
    return verdict


def check_cell(id: str, text: str) -> Verdict:  # noqa: A002 - what people call it
    """Check the answer in a cell; what is not right yet makes the cell fail, so that a run ends.

    Args:
        id: the exercise.
        text: what stands in the cell.

    Raises:
        Unanswered: there is no answer yet.
        NotYet: it is not right, with what helps.
        LabError: as :func:`check`.
    """
    verdict = check(id, text)
    if verdict.right:
        return verdict
    name = verdict.exercise.id
    if verdict.reason == "unanswered":
        raise Unanswered(
            f"{name} waits for your answer: “{verdict.exercise.title}”. All is well up to here.",
            next_step=f'write it under %%check {name} and run the cell again; hint("{name}") '
            "helps.",
        )
    raise NotYet(
        verdict.feedback,
        evidence=_evidence(verdict),
        next_step=f'change it and run the cell again; hint("{name}") helps.',
    )


def last_verdict(id: str) -> Verdict:  # noqa: A002 - what people call it
    """Return what came of the last check of an exercise in this kernel; graders ask for it.

    Args:
        id: the exercise, such as ``errors-2``.

    Raises:
        LabError: there is no such exercise.
        Unanswered: it was not checked in this kernel.
    """
    found = find(id)
    if found.id not in _verdicts:
        raise Unanswered(
            f"{found.id} was not checked in this kernel.",
            next_step=f"run the cell with %%check {found.id}.",
        )
    return _verdicts[found.id]


def hint(id: str, number: int | None = None) -> Card:  # noqa: A002 - what people call it
    """Give a hint: the first, then the second, which says more.

    Args:
        id: the exercise.
        number: 1 or 2; by default the next one that was not looked at yet.

    Raises:
        LabError: there is no such exercise.
        ValueError: there is no hint of that number.
    """
    found = find(id)
    if number not in {None, 1, _HINTS}:
        raise ValueError(f"there are two hints, 1 and 2, not {number!r}")
    before = _note(found, lambda standing: standing)
    seen = before.hints if before is not None else 0
    wanted = number or min(seen + 1, _HINTS)
    _note(found, lambda standing: hinted(standing, wanted))
    return hint_card(found, wanted)


def solution(id: str, *, sure: bool = False) -> Card:  # noqa: A002 - what people call it
    """Show the solution; unless it is solved, the first call asks whether you want that.

    Args:
        id: the exercise.
        sure: show it at once. Calling it twice does so, too.

    Raises:
        LabError: there is no such exercise.
    """
    found = find(id)
    standing = _note(found, lambda before: before)
    solved = standing is not None and standing.solved_at is not None
    with _lock:
        asked = found.id in _asked
        _asked.add(found.id)
    if not (sure or asked or solved):
        return Card(
            f"{found.id}: the solution",
            "Try once more? A hint costs less than the solution: "
            f'hint("{found.id}"). Your progress will say that you looked. To see it, call '
            f'solution("{found.id}") again.',
        )
    _note(found, revealed)
    return solution_card(found)


def progress(path: str | Path | None = None) -> Overview:
    """Show what is solved, how many attempts and hints it took, and how long.

    Args:
        path: another file than the usual one, which is in the user's state folder or where
            LABKIT_PROGRESS says.

    Raises:
        LabError: the file is not a record of progress.
    """
    record = Record(path)
    return Overview(all_exercises(), record.read(), record.path)


def open_exercise(id: str) -> Lab:  # noqa: A002 - what people call it
    """Open the data of an exercise as a lab, to query and draw it; the same one if it is open.

    Args:
        id: the exercise.

    Raises:
        LabError: it has no data, or they can't be built.
    """
    from labkit.opening import open_history
    from labkit.teaching.material import past

    found = find(id)
    if not found.history:
        raise LabError(f"{found.id} needs no data.", next_step=f'exercise("{found.id}")')
    name = f"exercises: {found.history}"
    for lab in _labs():
        if lab.name == name:
            lab.come_forward()
            return lab
    return open_history(past(found.history), name=name)


def close() -> None:
    """End the servers that answers are marked on; the next check starts them again. Idempotent."""
    _servers.close()


def _labs() -> list[Lab]:
    from labkit.opening import opened

    return opened()


def _note(of: Exercise, how: Callable[[Standing], Standing]) -> Standing | None:
    """Write progress down; where that is not possible, say so and go on."""
    from labkit.notes import tell

    try:
        return Record().change(of.id, how)
    except LabError as error:
        tell(str(error))
        return None


def _evidence(verdict: Verdict) -> str:
    from labkit.teaching.cards import differences_text

    return "\n".join(filter(None, [verdict.evidence, differences_text(verdict)]))
