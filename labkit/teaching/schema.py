"""Reading exercises from their files, with errors that name the file and the exercise."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.promql.steps import step_in_ms
from labkit.teaching.exercises import Exercise, Option, Tolerance, Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_ID = re.compile(r"[a-z]+(?:-[a-z]+)*-\d+")
_KINDS = ("query", "number", "choice", "rule", "rule-test")
_LEVELS = (1, 2, 3)
_HINTS = 2
_NEEDED = {"id", "level", "kind", "title", "task", "hints", "explanation"}
_MAY = {
    "query": {
        *("answer", "also_right", "wrong", "history", "moments", "quiet"),
        *("any_labels", "names", "live", "share", "tolerance"),
    },
    "rule": {"answer", "also_right", "wrong", "given", "history", "moments", "quiet"},
    "number": {"answer", "also_right", "wrong", "tolerance", "unit"},
    "choice": {"options"},
    "rule-test": {"answer", "also_right", "wrong", "given", "mutants"},
}
_MUST = {
    "query": {"answer", "also_right", "wrong"},
    "rule": {"answer", "also_right", "wrong"},
    "number": {"answer", "wrong", "tolerance"},
    "choice": {"options"},
    "rule-test": {"answer", "also_right", "wrong", "given", "mutants"},
}


class _Mistake(Exception):
    """What is wrong with a definition."""


def read(path: Path) -> list[Exercise]:
    """Return the exercises in a file.

    Args:
        path: a YAML file with ``notebook``, ``history`` and ``moments`` (which its exercises
            share unless they have their own) and the list ``exercises``; `Exercise` says what
            the fields of each mean.

    Raises:
        LabError: it is not YAML, or a field is missing, unknown or of the wrong kind.
    """
    import yaml

    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise LabError(
            f"{path.name} is not YAML.", evidence=str(error), next_step="correct that line."
        ) from error
    where = path.name
    try:
        _mapping(told, {"notebook", "exercises"}, {"history", "moments"})
        shared = {key: told[key] for key in ("notebook", "history", "moments") if key in told}
        found = []
        for number, each in enumerate(_list(told["exercises"], "exercises"), 1):
            id_ = each.get("id") if isinstance(each, dict) else None
            where = f"{path.name}: {id_ or f'exercise {number}'}"
            found.append(_exercise(each, shared))
    except _Mistake as error:
        raise LabError(f"{where}: {error}.", next_step="correct that file.") from error
    return found


def _exercise(told: Any, shared: Mapping[str, Any]) -> Exercise:
    _mapping(told, _NEEDED, set().union(*_MAY.values()))
    kind = told["kind"]
    if kind not in _KINDS:
        raise _Mistake(f"kind is {kind!r}; it is one of {', '.join(_KINDS)}")
    _mapping(told, _NEEDED | _MUST[kind], _MAY[kind])
    if told["level"] not in _LEVELS:
        raise _Mistake(f"level is {told['level']!r}; it is 1, 2 or 3")
    if not _ID.fullmatch(str(told["id"])):
        raise _Mistake("an id is words and a number, such as errors-2")
    hints = [_text(hint, "hints") for hint in _list(told["hints"], "hints")]
    if len(hints) != _HINTS:
        raise _Mistake(f"there are {len(hints)} hints; there must be two")
    options = _options(told.get("options", {})) if kind == "choice" else ()
    on_data = kind in {"query", "rule"}
    return Exercise(
        id=told["id"],
        notebook=_text(shared["notebook"], "notebook"),
        level=told["level"],
        kind=kind,
        title=_text(told["title"], "title"),
        task=_text(told["task"], "task"),
        answer=_right(options) if options else _text(told["answer"], "answer"),
        also_right=tuple(_text(each, "also_right") for each in told.get("also_right", ())),
        wrong=tuple(_wrong(each) for each in _list(told.get("wrong", []), "wrong")),
        hints=(hints[0], hints[1]),
        explanation=_text(told["explanation"], "explanation"),
        history=_text(told.get("history", shared.get("history")), "history") if on_data else "",
        moments=_moments(told.get("moments", shared.get("moments"))) if on_data else (),
        quiet=_moments(told["quiet"]) if "quiet" in told else (),
        any_labels=_is(bool, told.get("any_labels", False), "any_labels"),
        names=_is(bool, told.get("names", False), "names"),
        live=_is(bool, told.get("live", False), "live"),
        tolerance=_tolerance(told.get("tolerance", {})),
        share=_is(bool, told.get("share", False), "share"),
        unit=_text(told["unit"], "unit") if "unit" in told else "",
        options=options,
        given=_text(told["given"], "given") if "given" in told else "",
        mutants=tuple(_mutant(each) for each in told.get("mutants", ())),
    )


def _mapping(told: Any, needed: set[str], may: set[str]) -> None:
    if not isinstance(told, dict):
        raise _Mistake(f"here belong fields ({', '.join(sorted(needed))}), not {told!r}")
    if missing := sorted(needed - told.keys()):
        raise _Mistake(f"{', '.join(missing)} is missing")
    if unknown := sorted(map(str, told.keys() - needed - may)):
        raise _Mistake(
            f"there is no field {', '.join(unknown)} here; there are "
            f"{', '.join(sorted(needed | may))}"
        )


def _list(told: Any, name: str) -> list[Any]:
    return list(_is(list, told, name))


def _is(kind: type | tuple[type, ...], told: Any, name: str) -> Any:
    if not isinstance(told, kind):
        raise _Mistake(f"{name} is {told!r}, which does not belong there")
    return told


def _text(told: Any, name: str) -> str:
    """Return a text that is not empty; numbers are taken as they are written."""
    if isinstance(told, int | float) and not isinstance(told, bool):
        return f"{told:.12g}"
    if not isinstance(told, str) or not told.strip():
        raise _Mistake(f"{name} must be text, not {told!r}")
    return told.strip()


def _wrong(told: Any) -> Wrong:
    _mapping(told, {"answer", "feedback"}, {"refused"})
    refused = _text(told["refused"], "refused") if "refused" in told else ""
    try:
        re.compile(refused)
    except re.error as error:
        raise _Mistake(f"refused is no regular expression: {error}") from error
    return Wrong(_text(told["answer"], "answer"), _text(told["feedback"], "feedback"), refused)


def _options(told: Any) -> tuple[Option, ...]:
    made = []
    for key, each in _is(dict, told, "options").items():
        _mapping(each, {"text"}, {"wrong"})
        wrong = _text(each["wrong"], "wrong") if "wrong" in each else ""
        made.append(Option(str(key), _text(each["text"], "text"), wrong))
    return tuple(made)


def _right(options: tuple[Option, ...]) -> str:
    right = [option.key for option in options if not option.feedback]
    if len(right) != 1:
        raise _Mistake("exactly one of the options has no `wrong`: the right one")
    return right[0]


def _mutant(told: Any) -> tuple[str, str]:
    _mapping(told, {"rules", "feedback"}, set())
    return _text(told["rules"], "rules"), _text(told["feedback"], "feedback")


def _tolerance(told: Any) -> Tolerance:
    _mapping(told, set(), {"relative", "absolute"})
    numbers = {name: float(_is((int, float), value, name)) for name, value in told.items()}
    if any(math.isnan(value) or value < 0 for value in numbers.values()):
        raise _Mistake("a tolerance is 0 or more")
    return Tolerance(**numbers)


def _moments(told: Any) -> tuple[int, ...]:
    try:
        found = tuple(
            0 if each in {0, "0s"} else round(step_in_ms(each) / 1000)
            for each in _list(told, "moments")
        )
    except (ValueError, TypeError) as error:
        raise _Mistake(f"moments are durations such as 2h30m: {error}") from error
    return found
