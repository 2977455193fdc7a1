"""Windows, offsets and moments of an expression in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.promql.emptiness.moments import dated

if TYPE_CHECKING:
    from labkit.promql.syntax.node import Node

_UNITS = (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000))
_LATER = "after the moment of the question"
_ENDS = {"start()": "the start of the query's range", "end()": "the end of the query's range"}


def spoken(seconds: float) -> str:
    """Write a length of time in words: ``1 minute 30 seconds``."""
    left = round(abs(seconds) * 1000)
    parts = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}{'' if number == 1 else 's'}")
    if left or not parts:
        parts.append(f"{left} ms")
    return " ".join(parts)


def moment(node: Node) -> str:
    """Return which moment a part is about, by its ``offset`` and ``@``; empty for the question's.

    Such as ``1 hour ago`` or ``5 minutes before 2023-11-14 22:13:20 UTC``.
    """
    fixed = _ENDS.get(node.at) or (_clock(float(node.at)) if node.at else "")
    if not node.offset_seconds:
        return fixed
    back = node.offset_seconds > 0
    if fixed:
        return f"{spoken(node.offset_seconds)} {'before' if back else 'after'} {fixed}"
    return f"{spoken(node.offset_seconds)} {'ago' if back else _LATER}"


def window(node: Node) -> str:
    """Return the window of a range or subquery: ``the last 5 minutes``."""
    length = spoken(node.range_seconds or 0)
    one = length in {f"1 {unit}" for unit, _ in _UNITS}
    if one:
        length = length.removeprefix("1 ")
    when = moment(node)
    if not when:
        return f"the last {length}"
    if node.at:
        return f"the {length} up to {when}"
    ends = "ended" if node.offset_seconds > 0 else "ends" if one else "end"
    return f"the {length} that {ends} {when}"


def _clock(seconds: float) -> str:
    try:
        return dated(seconds)
    except (OverflowError, OSError, ValueError):  # beyond the calendar of this computer
        return f"{seconds:g} unix seconds"
