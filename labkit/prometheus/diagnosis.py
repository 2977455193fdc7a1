"""Why a Prometheus refused or ended, in plain words, and what to do about it."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LEVEL_ERROR = re.compile(r"\blevel=error\b", re.IGNORECASE)
_CRASH = re.compile(r"panic: |fatal error: |unexpected fault address|\[signal SIG")  # Go's words
_FIELD = re.compile(r'\b(?:msg|err)=("(?:[^"\\]|\\.)*"|\S+)')
_LEAST_ROOM_BYTES = 20_000_000
_BAD_CONFIG = re.compile(r"loading groups failed|error loading (?:config|rule)", re.IGNORECASE)


def errors_in(text: str) -> list[str]:
    """Return the errors in a log of either line of Prometheus, in plain words, each once."""
    found = (_error_in(line) for line in text.splitlines())
    return list(dict.fromkeys(error for error in found if error))


def _error_in(line: str) -> str | None:
    if _LEVEL_ERROR.search(line):
        return ": ".join(map(_plain, _FIELD.findall(line)))
    return line if _CRASH.match(line) else None


def _plain(value: str) -> str:
    """Undo the quoting of a value in logfmt."""
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:  # Go quotes a few characters that JSON does not
        return value[1:-1]


def remedy(words: str, data: Path) -> str:
    """Return what to do about a Prometheus that ended, from what it said and where its data is."""
    if _free_bytes(data) < _LEAST_ROOM_BYTES:
        return f"make room on the disk of {data.parent}, and start again."
    if _BAD_CONFIG.search(words):
        return "correct the rules or the configuration that it names."
    return "read its words above; `labkit prometheus` shows which binary is used."


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
