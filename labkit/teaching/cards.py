"""How tasks, hints, solutions, verdicts and progress look: as text, and as HTML for a notebook."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from labkit.teaching.exercises import LEVELS
from labkit.teaching.record import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Difference
    from labkit.teaching.verdict import Verdict

_TASK, _RIGHT, _NOT_YET, _HINT = "#0072B2", "#009E73", "#D55E00", "#E69F00"
_MOST_ROWS = 6
_MINUTE = 60
_CODE = re.compile(r"`([^`]+)`")
_PRE = (
    "margin:.4em 0;padding:.4em .6em;white-space:pre-wrap;color:inherit;border-radius:4px;"
    "background:rgba(128,128,128,.12);font-family:var(--jp-code-font-family,monospace)"
)
_CELL = (
    "text-align:left;padding:.15em 1.2em .15em 0;background:none;border:none;"
    "vertical-align:top;color:inherit"
)


@dataclass(frozen=True)
class Card:
    """A few paragraphs with a title, and a block of code where there is one.

    Attributes:
        title: one line.
        text: paragraphs, divided by empty lines; what stands in backticks is code.
        code: shown as it is.
        footer: one line at the end, in small type.
        colour: of the bar at its side.
    """

    title: str
    text: str
    code: str = ""
    footer: str = ""
    colour: str = _HINT

    def __str__(self) -> str:
        code = "\n".join(f"    {line}" for line in self.code.splitlines())
        return "\n\n".join(filter(None, [self.title, self.text, code, self.footer]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        code = f"<pre style='{_PRE}'>{html.escape(self.code)}</pre>" if self.code else ""
        footer = f"<div style='opacity:.75;font-size:.9em'>{_inline(self.footer)}</div>"
        return _box(
            self.colour, self.title, _paragraphs(self.text) + code + (footer if self.footer else "")
        )


@dataclass(frozen=True)
class Overview:
    """What is solved, hints and time, one line an exercise.

    Attributes:
        exercises: all there are.
        standings: how far each is that was looked at.
        path: the file that this is from.
    """

    exercises: Mapping[str, Exercise]
    standings: Mapping[str, Standing]
    path: Path

    @property
    def solved(self) -> int:
        """How many are solved."""
        return sum(self._of(key).solved_at is not None for key in self.exercises)

    def _of(self, key: str) -> Standing:
        return self.standings.get(key, Standing())

    def _title(self) -> str:
        seconds = sum(self._of(key).seconds for key in self.exercises)
        return f"{self.solved} of {len(self.exercises)} exercises solved, {_minutes(seconds)}"

    def _rows(self) -> Iterable[tuple[str, ...]]:
        notebook = ""
        for key, exercise in self.exercises.items():
            standing = self._of(key)
            place = exercise.notebook if exercise.notebook != notebook else ""
            notebook = exercise.notebook
            mark = "✓" if standing.solved_at is not None else "…" if standing.seen_at else " "
            yield place, mark, key, exercise.title, _told(standing)

    def __str__(self) -> str:
        lines = [self._title()]
        for place, mark, key, title, told in self._rows():
            lines += [place] if place else []
            lines.append(f"  {mark} {key:<12} {title}{f' ({told})' if told else ''}")
        return "\n".join([*lines, f"Kept in {self.path.resolve()}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr style='background:none'>"
            + "".join(f"<td style='{_CELL}'>{html.escape(text)}</td>" for text in row)
            + "</tr>"
            for row in self._rows()
        )
        table = f"<table style='margin:.3em 0;border:none'>{rows}</table>"
        path = html.escape(str(self.path.resolve()))
        kept = f"<div style='opacity:.75;font-size:.9em'>Kept in {path}</div>"
        return _box(_TASK, self._title(), table + kept)


def task_card(exercise: Exercise, standing: Standing | None) -> Card:
    """Return what an exercise asks for."""
    solved = standing is not None and standing.solved_at is not None
    parts = [exercise.task]
    if exercise.options:
        parts.append("\n".join(f"{each.key}) {each.text}" for each in exercise.options))
    level = f"Level {exercise.level}, {LEVELS[exercise.level]}"
    where = ""
    if exercise.history and not exercise.live:
        where = f' · the data: past = open_exercise("{exercise.id}")'
    return Card(
        f"{'✓ ' if solved else ''}{exercise.id}: {exercise.title}",
        "\n\n".join(parts),
        code=exercise.given,
        footer=f'{level} · answer: %%check {exercise.id}{where} · hint("{exercise.id}")',
        colour=_RIGHT if solved else _TASK,
    )


def hint_card(exercise: Exercise, number: int) -> Card:
    """Return a hint.

    Args:
        exercise: whose.
        number: 1 or 2.
    """
    more = f'There is one more: hint("{exercise.id}").'
    if number == len(exercise.hints):
        more = f'It is the last one; after it there is solution("{exercise.id}").'
    return Card(f"{exercise.id}: hint {number}", exercise.hints[number - 1], footer=more)


def solution_card(exercise: Exercise) -> Card:
    """Return the solution, and what there is to learn from it."""
    code = exercise.answer
    if exercise.options:
        right = next(each for each in exercise.options if each.key == exercise.answer)
        code = f"{right.key}) {right.text}"
    elif exercise.unit:
        code = f"{code} {exercise.unit}"
    return Card(f"{exercise.id}: the solution", exercise.explanation, code=code)


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as text."""
    head = _head(verdict)
    evidence = "\n".join(f"    {line}" for line in verdict.evidence.splitlines())
    return "\n".join(filter(None, [head, verdict.feedback, evidence, differences_text(verdict)]))


def verdict_html(verdict: Verdict) -> str:
    """Return a verdict as HTML."""
    parts = [_paragraphs(verdict.feedback)]
    if verdict.evidence:
        parts.append(f"<pre style='{_PRE}'>{html.escape(verdict.evidence)}</pre>")
    if verdict.differences:
        parts.append(_differences_html(verdict))
    colour = _RIGHT if verdict.right else _HINT if verdict.reason == "unanswered" else _NOT_YET
    return _box(colour, _head(verdict), "".join(parts))


def differences_text(verdict: Verdict) -> str:
    """Return the series that differ as a small table; empty where there are none."""
    if not verdict.differences:
        return ""
    rows = [_row(each) for each in _shown(verdict)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        f"    {series:<{widths[0]}}  yours {given:>{widths[1]}}  expected {expected:>{widths[2]}}"
        for series, given, expected in rows
    ]
    return "\n".join([_of_data(verdict), *lines])


def _differences_html(verdict: Verdict) -> str:
    head = "".join(
        f"<th style='{_CELL};font-weight:600'>{name}</th>" for name in ("Series", "Yours", "Asked")
    )
    rows = "".join(
        "<tr style='background:none'>"
        + "".join(f"<td style='{_CELL}'>{html.escape(text)}</td>" for text in _row(each))
        + "</tr>"
        for each in _shown(verdict)
    )
    return (
        f"<div style='margin-top:.4em'>{html.escape(_of_data(verdict))}</div>"
        f"<table style='margin:.2em 0;border:none'><tr style='background:none'>{head}</tr>{rows}"
        "</table>"
    )


def _shown(verdict: Verdict) -> list[Difference]:
    first = verdict.differences[0].time
    return [each for each in verdict.differences if each.time == first][:_MOST_ROWS]


def _of_data(verdict: Verdict) -> str:
    shown = _shown(verdict)
    at = datetime.fromtimestamp(shown[0].time, UTC)
    same_time = sum(each.time == shown[0].time for each in verdict.differences)
    more = f", {len(shown)} of {same_time}" if same_time > len(shown) else ""
    return f"What differs on {verdict.data}, at {at:%Y-%m-%d %H:%M:%S} UTC{more}:"


def _row(difference: Difference) -> tuple[str, str, str]:
    from labkit.promql.frames import series_text

    series = series_text(dict(difference.labels)) if difference.labels else "(no labels)"
    return series, _value(difference.given), _value(difference.expected)


_LARGE = 1e6


def _value(number: float | None) -> str:
    if number is None:
        return "—"
    if math.isnan(number):
        return "NaN"
    digits = 6 if abs(number) < _LARGE else 12  # a time has ten before the point
    return f"{number:.{digits}g}"


def _head(verdict: Verdict) -> str:
    exercise = verdict.exercise
    words = "right" if verdict.right else "no answer yet"
    if not verdict.right and verdict.reason != "unanswered":
        words = "not yet"
    return f"{'✓' if verdict.right else '·'} {exercise.id}, {exercise.title}: {words}"


def _told(standing: Standing) -> str:
    if standing.seen_at is None:
        return ""
    parts = []
    if standing.attempts:
        parts.append(_many(standing.attempts, "attempt"))
    if standing.hints:
        parts.append(_many(standing.hints, "hint"))
    if standing.saw_solution:
        parts.append("solution looked at")
    parts.append(_minutes(standing.seconds))
    return ", ".join(parts)


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= _MINUTE else f"{seconds:.0f} s"


def _box(colour: str, title: str, inside: str) -> str:
    return (
        f"<div style='border-left:4px solid {colour};padding:.3em .9em;margin:.4em 0;"
        "max-width:60em;color:var(--jp-content-font-color1,inherit)'>"
        f"<div style='font-weight:600;margin-bottom:.2em'>{html.escape(title)}</div>{inside}</div>"
    )


def _paragraphs(text: str) -> str:
    parts = [part.strip() for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]
    return "".join(f"<p style='margin:.3em 0'>{_inline(part)}</p>" for part in parts)


def _inline(text: str) -> str:
    """Escape a text; keep its lines where it is a list of options; set `code` as code."""
    escaped = _CODE.sub(
        lambda m: "<code style='background:none;color:inherit;padding:0'>" + m[1] + "</code>",
        html.escape(text, quote=False),
    )
    return re.sub(r"\n(?=\w\))", "<br>", escaped)
