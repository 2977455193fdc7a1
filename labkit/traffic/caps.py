"""How much traffic the lab will send at most, and the words when more is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

MAX_REQUESTS_PER_SECOND = 2_000.0
MAX_USERS = 500
MAX_SECONDS = 24 * 3600.0
# Leaves room under the usual 1,024 descriptors of a process, and under the app's 1,000
# connections for Prometheus to scrape it while everything else hangs.
MAX_IN_FLIGHT = 800


@dataclass(frozen=True)
class Caps:
    """The limits that all the runs of one worker share; give others only on purpose.

    Args:
        requests_per_second: the highest rate, over all runs. Closed loops are held to it too.
        users: the most users of closed loops, over all runs.
        seconds: the longest run; one without an end of its own ends then.
        in_flight: the most unanswered requests of one run; further ones are counted as dropped.
    """

    requests_per_second: float = MAX_REQUESTS_PER_SECOND
    users: int = MAX_USERS
    seconds: float = MAX_SECONDS
    in_flight: int = MAX_IN_FLIGHT

    def __post_init__(self) -> None:
        positive("requests_per_second", self.requests_per_second)
        whole("users", self.users)
        positive("seconds", self.seconds)
        whole("in_flight", self.in_flight)

    def check_rate(self, rate: float) -> None:
        """Raise ValueError where a rate in requests per second, over all runs, is too high."""
        if rate > self.requests_per_second * (1 + 1e-9):
            raise ValueError(
                f"the rate must be at most {self.requests_per_second:,g} requests per second "
                f"over all runs, and this makes it {rate:,g}"
            )

    def check_users(self, users: int) -> None:
        """Raise ValueError where there are too many users over all runs."""
        if users > self.users:
            raise ValueError(
                f"users (threads) must be from 1 to {self.users:,} over all runs, "
                f"and this makes it {users:,}"
            )

    def check_seconds(self, seconds: float) -> None:
        """Raise ValueError where a run would take too long."""
        if seconds > self.seconds:
            raise ValueError(
                f"seconds must be more than 0 and at most {self.seconds:,g}, not {seconds:,g}"
            )


def positive(name: str, value: float) -> float:
    """Return a number above zero as a float, or raise ValueError naming the range."""
    number = _number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be more than 0, not {value:g}")
    return number


def not_negative(name: str, value: float) -> float:
    """Return a number from zero up as a float, or raise ValueError naming the range."""
    number = _number(name, value)
    if number < 0:
        raise ValueError(f"{name} must be 0 or more, not {value:g}")
    return number


def whole(name: str, value: int) -> int:
    """Return a whole number from one up as an int, or raise ValueError naming the range."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
    return int(value)


def set_checked(instance: object, **values: object) -> None:
    """Set fields of a frozen dataclass to their checked form; for __post_init__ only."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def _number(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a number, not {value!r}")
    return float(value)
