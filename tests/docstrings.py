"""Docstrings in Google's style, taken apart."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_HEADING = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Example|Examples|Note):$")
_ENTRY = re.compile(r"(\*{0,2}[\w.]+)(?: \([^)]*\))?: ?(.*)")


@dataclass
class Docstring:
    """A docstring's parts.

    Attributes:
        summary: its first paragraph, on one line.
        sections: the entries of Args, Attributes and Raises, by name; other sections are empty.
    """

    summary: str = ""
    sections: dict[str, dict[str, str]] = field(default_factory=dict)

    def entries(self, section: str) -> dict[str, str]:
        """Return what a section says of each name."""
        return self.sections.get(section, {})


def parse(text: str | None) -> Docstring:
    """Take a docstring apart; None gives an empty one."""
    if not text:
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    blank = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    found = Docstring(" ".join(lines[:blank]))
    section: dict[str, str] | None = None
    name = ""
    for line in lines[blank:]:
        if heading := _HEADING.match(line):
            section = found.sections.setdefault(heading[1], {})
        elif line and not line.startswith(" "):
            section = None
        elif section is not None and (entry := _ENTRY.match(line.removeprefix("    "))):
            name = entry[1].lstrip("*")
            section[name] = entry[2]
        elif section and name in section and line.startswith("        "):
            section[name] += f" {line.strip()}"
    return found
