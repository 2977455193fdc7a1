"""When: moments and lengths as people write them, and the scrapes of a history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from labkit.promql.steps import length_in_ms, unix_ms

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from numpy.typing import NDArray

# "2d3h" before the history's end; ISO 8601 or a datetime, with a time zone; or unix seconds.
Moment: TypeAlias = "str | datetime | float"
Length: TypeAlias = "str | timedelta | float"  # "1h30m", or seconds

_BEFORE = re.compile(r"\d[^T:-]*[a-zA-Z]")  # "2d3h", and what was meant as such
DAY_MS = 86_400_000
MINUTE_MS = 60_000
# A scrape is never on a whole minute, nor on a multiple of five seconds: at such times, where
# people and charts evaluate, the left-open ranges of Prometheus 3 and the closed ones of 2 hold
# the same samples.
OFFSET_MS = 17_000
BLOCK = 1440  # scrapes that are simulated at once; a day at one a minute


@dataclass(frozen=True)
class Timeline:
    """The scrapes of a history.

    A scrape sees what happened since the one before it: slot k is the time after scrape k - 1 up
    to scrape k.

    Args:
        end_ms: the history's end, in milliseconds of unix time, on a whole minute.
        days: how many days there are up to the end.
        interval_ms: from one scrape to the next.
    """

    end_ms: int
    days: int
    interval_ms: int

    @property
    def start_ms(self) -> int:
        """The history's start, on a whole minute."""
        return self.end_ms - self.days * DAY_MS

    @property
    def first_ms(self) -> int:
        """The first scrape: 17 s past the start, less whole intervals."""
        return self.start_ms + OFFSET_MS % self.interval_ms

    @property
    def scrapes(self) -> int:
        """How many scrapes there are."""
        return self.days * DAY_MS // self.interval_ms

    @property
    def blocks(self) -> int:
        """How many stretches of ``BLOCK`` scrapes there are."""
        return self.scrapes // BLOCK

    @cached_property
    def times_ms(self) -> NDArray[np.int64]:
        """Every scrape, in milliseconds of unix time."""
        return self.first_ms + self.interval_ms * np.arange(self.scrapes, dtype=np.int64)

    def at_or_before(self, ms: float) -> int:
        """Return the index of the last scrape at or before a time; -1 before the first."""
        return min(max(int((ms - self.first_ms) // self.interval_ms), -1), self.scrapes - 1)

    def at_or_after(self, ms: float) -> int:
        """Return the index of the first scrape at or after a time, or of the last there is."""
        return min(max(-int((self.first_ms - ms) // self.interval_ms), 0), self.scrapes - 1)

    def moment_ms(self, when: Moment, name: str) -> int:
        """Return a moment as milliseconds of unix time; see :func:`moment_ms`."""
        return moment_ms(when, name, self.end_ms)

    def window(self, start_ms: int, end_ms: int, name: str) -> tuple[int, int]:
        """Return the scrapes between which something happens: at or before both of its ends.

        So a query at its start and one at its end have exactly it between them.

        Raises:
            ValueError: when it does not begin within the history, or no scrape would see it.
        """
        first, last = max(self.at_or_before(start_ms), 0), self.at_or_before(end_ms)
        too_short = end_ms - start_ms < self.interval_ms
        if not self.start_ms <= start_ms < self.end_ms or too_short or first >= last:
            raise ValueError(
                f"{name} must begin within the history, from {iso(self.start_ms)} to the scrape "
                f"before the last of {iso(self.end_ms)}, and last one interval "
                f"({self.interval_ms // 1000} s) or more; it begins at {iso(start_ms)} and lasts "
                f"{(end_ms - start_ms) / 1000:g} s"
            )
        return first, last


def moment_ms(when: Moment, name: str, end_ms: int | None = None) -> int:
    """Return a moment as milliseconds of unix time.

    Args:
        when: "2d3h" for so long before the end; ISO 8601 text or a datetime, either with a time
            zone; or unix seconds.
        name: what it is called in an error.
        end_ms: the end that text such as "2d3h" counts from; None refuses such text.

    Raises:
        ValueError: for anything else.
    """
    try:
        if end_ms is not None and isinstance(when, str) and _BEFORE.fullmatch(when):
            return end_ms - length_in_ms(when)
        return unix_ms(when, name)
    except ValueError as error:
        before = "'2d3h' (so long before the history's end), " if end_ms is not None else ""
        raise ValueError(
            f"{name} must be {before}'2026-01-29T10:00Z' (with a time zone), a datetime with a "
            f"time zone, or unix seconds, not {when!r}"
        ) from error


def length_ms(length: Length, name: str) -> int:
    """Return a length of time in milliseconds.

    Raises:
        ValueError: when it is not positive, or neither a duration nor seconds.
    """
    try:
        return length_in_ms(length)
    except ValueError as error:
        raise ValueError(
            f"{name} must be a duration such as '30m' or '1d12h', or seconds, more than 0, "
            f"not {length!r}"
        ) from error


def iso(ms: float) -> str:
    """Write a time in UTC, to the second: ``2026-01-31T00:00:00Z``."""
    return f"{np.datetime64(int(ms) // 1000, 's')}Z"
