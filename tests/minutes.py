"""The minutes of each notebook and section, estimated from its text, in docs/teaching.md.

python -m tests.minutes writes them there; a test fails while the page is behind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.notebook_cells import NOTEBOOKS, ROOT, cells, tags, words_in

PAGE = ROOT / "docs" / "teaching.md"
TRACKS = {
    "90 minutes": "00 01 02",
    "one day": "00 01 02 03 04 06 08",
    "three evenings": "00 01 02 | 03 04 05 | 06 07 08",
}
WORDS_A_MINUTE = 200
CELL_MINUTES = 0.5
PREDICTION_MINUTES = 1.0
EXERCISE_MINUTES = 3.0
_BEGIN, _END = "<!-- python -m tests.minutes -->\n", "<!-- end -->"


class Section(NamedTuple):
    name: str
    minutes: float
    exercises: int

    @property
    def in_all(self) -> float:
        return self.minutes + EXERCISE_MINUTES * self.exercises


def sections(notebook: Path) -> list[Section]:
    """Return the sections of a notebook with the minutes for one who reads, runs and thinks."""
    found: list[Section] = []
    for cell in cells(notebook):
        minutes, exercises = 0.0, 0
        if cell.cell_type == "markdown":
            if heading := re.search(r"^##? (.+)$", cell.source, re.MULTILINE):
                found.append(Section(heading[1] if found else "Start", 0.0, 0))
            minutes = words_in(cell.source) / WORDS_A_MINUTE
            minutes += PREDICTION_MINUTES * len(re.findall(r"> \*\*Predict", cell.source))
        elif "answer" in tags(cell):
            exercises = 1
        elif "solution" not in tags(cell):
            minutes = CELL_MINUTES
        last = found[-1]
        found[-1] = Section(last.name, last.minutes + minutes, last.exercises + exercises)
    return found


def text_minutes(notebook: Path) -> float:
    return sum(section.minutes for section in sections(notebook))


def exercise_minutes(notebook: Path) -> float:
    return EXERCISE_MINUTES * sum(section.exercises for section in sections(notebook))


def tables() -> str:
    """Return the tables: the tracks, then each notebook with its sections."""
    books = {path.name[:2]: path for path in NOTEBOOKS}
    lines = ["| track | notebooks | text | with all exercises |", "| --- | --- | --: | --: |"]
    for track, numbers in TRACKS.items():
        parts = [books[number] for number in re.findall(r"\d\d", numbers) if number in books]
        text = sum(map(text_minutes, parts))
        full = text + sum(map(exercise_minutes, parts))
        shown = numbers.replace(" | ", "; ")
        lines.append(f"| {track} | {shown} | {_time(text)} | {_time(full)} |")
    lines += [
        "",
        "| notebook | text | exercises | minutes a section |",
        "| --- | --: | --: | --- |",
    ]
    for path in NOTEBOOKS:
        parts_of = " · ".join(
            f"{section.name} {max(1, round(section.in_all))}" for section in sections(path)
        )
        text, work = round(text_minutes(path)), round(exercise_minutes(path))
        lines.append(f"| `{path.stem}` | {text} | {work} | {parts_of} |")
    return "\n".join(lines) + "\n"


def _time(minutes: float) -> str:
    whole = 5 * round(minutes / 5)
    return f"{whole // 60} h {whole % 60:02} min" if whole >= 60 else f"{whole} min"


def page() -> str:
    """Return docs/teaching.md with the tables as they should be."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{tables()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
