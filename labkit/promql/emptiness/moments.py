"""Moments and spans of time in the words of a sentence."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_TWO = 2  # of a unit, from which on it is the one to speak in


def clock_time(moment: float, today: float) -> str:
    """Write a moment as ``12:03:04 UTC``, in local time, with its date where that is not today's.

    Args:
        moment: unix seconds.
        today: unix seconds of what counts as now.
    """
    there, here = _local(round(moment)), _local(round(today))
    return f"{there:%H:%M:%S %Z}" if there.date() == here.date() else f"{there:%F %H:%M:%S %Z}"


def dated(moment: float) -> str:
    """Write a moment as ``2023-11-14 22:13:20 UTC``, in local time.

    Args:
        moment: unix seconds.

    Raises:
        OverflowError, OSError, ValueError: it is beyond the calendar of this computer.
    """
    return f"{_local(moment):%Y-%m-%d %H:%M:%S %Z}"


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment).astimezone()


def lasting(seconds: float) -> str:
    """Write how long something lasts, about: ``0.3 s``, ``42 s``, ``5 min``, ``3 h``, ``2 days``.

    Args:
        seconds: how long; the sign does not count.
    """
    length = abs(seconds)
    for unit, name in ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min")):
        if length >= _TWO * unit:
            return f"{length / unit:.0f} {name}"
    return f"{length:.0f} s" if length >= _TWO else f"{length:.2g} s"
