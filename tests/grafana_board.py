"""What an exported dashboard asks, for the tests."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """An expression of a panel, and whether it is asked over a range of time."""

    title: str
    promql: str
    over_time: bool


def asked(board: str | dict[str, Any]) -> list[Asked]:
    """Return every expression in the JSON of a dashboard, the annotations' too."""
    made = json.loads(board) if isinstance(board, str) else board
    found = [
        Asked(panel["title"], target["expr"], target["range"])
        for panel in made["panels"]
        for target in panel["targets"]
    ]
    return found + [Asked(a["name"], a["expr"], True) for a in made["annotations"]["list"]]
