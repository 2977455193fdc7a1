"""What to call each series: the labels in which it differs, as text that any font can show."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from typing import TYPE_CHECKING

from matplotlib.font_manager import findfont, get_font

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

FAMILY = "DejaVu Sans"  # comes with matplotlib, so pictures look the same everywhere
LONGEST = 40  # characters of a name
_BETWEEN = " · "
_ANY_LENGTH = 100_000
_UNNAMED = {"", "value"}


def column_labels(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Return each column's labels: those of the query's answer, or its own name."""
    known = frame.attrs.get("labels", {})
    label = str(frame.columns.name or "")
    return [
        dict(known[column]) if column in known else {label: str(column)} for column in frame.columns
    ]


def differing(series: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the labels whose values are not the same in every series, sorted.

    A lone series keeps a single label, which is all that it can be called by.
    """
    keys = sorted({key for each in series for key in each})
    if len(series) == 1:
        return keys if len(keys) == 1 else []
    return [key for key in keys if len({each.get(key, "") for each in series}) > 1]


def names(series: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a name for each series: its values of the labels that differ."""
    keys = differing(series)
    return [_join([each.get(key, "") or "–" for key in keys]) for each in series]


def heading(series: Sequence[Mapping[str, str]]) -> str:
    """Return which labels the names are made of."""
    return clean(_join([key for key in differing(series) if key and key != "__name__"]))


def is_unnamed(series: Sequence[Mapping[str, str]]) -> bool:
    """Whether there is but one series, and nothing to call it by."""
    return len(series) == 1 and names(series)[0] in _UNNAMED


def clean(text: str, longest: int = LONGEST) -> str:
    """Return a text on one line: what a font can't show is escaped, the middle of a long one cut.

    Set it with ``parse_math=False``: a ``$`` in it is a dollar sign.
    """
    shown = "".join(character if _drawable(character) else _escape(character) for character in text)
    if len(shown) <= longest:
        return shown
    head = (longest - 1) * 2 // 3
    return f"{shown[:head]}…{shown[head + 1 - longest :]}"


def wrapped(text: str, width: int, lines: int = 2) -> str:
    """Return a text on a few lines, each as :func:`clean` makes it; the end of a long one is cut.

    Args:
        text: what is written.
        width: characters of a line.
        lines: how many there are at most.
    """
    whole = clean(" ".join(text.split()), _ANY_LENGTH)
    return "\n".join(
        textwrap.wrap(whole, width, max_lines=lines, placeholder=" …", break_on_hyphens=False)
    )


def _join(parts: Sequence[str]) -> str:
    return clean(_BETWEEN.join(parts), LONGEST)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


@lru_cache(maxsize=4096)
def _drawable(character: str) -> bool:
    return (
        character.isprintable() and get_font(findfont(FAMILY)).get_char_index(ord(character)) != 0
    )
