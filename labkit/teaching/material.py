"""The histories that exercises are about: by name, each with a hidden twin of another seed.

Small on purpose: both twins of one are built within seconds, at the first check of a machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from labkit.history import History
    from labkit.history.past import Family, Past

END = "2026-01-31T00:00Z"
AFTERNOON = "2026-01-30T15:00Z"  # a Friday's, when traffic hardly changes
SEED, HIDDEN_SEED = 7, 4711
_HISTOGRAM = "flask_request_duration_seconds"
_HOUR = 3600


@dataclass(frozen=True)
class Material:
    """A history that exercises share.

    Attributes:
        name: how exercises name it.
        words: what it is, for people.
        make: gives it, or its hidden twin; the moments of exercises hold for both.
        instances: how many instances of the app there are.
    """

    name: str
    words: str
    make: Callable[[bool], Past]
    instances: int


def material(name: str) -> Material:
    """Return a history's description.

    Raises:
        LabError: there is none of that name.
    """
    if name not in _MATERIALS:
        raise LabError(
            f"There is no material {name!r}.", next_step=f"take one of {', '.join(_MATERIALS)}."
        )
    return _MATERIALS[name]


@cache
def past(name: str, *, hidden: bool = False) -> Past:
    """Return a history by its name, or its hidden twin.

    Raises:
        LabError: there is none of that name.
    """
    return material(name).make(hidden)


class Part:
    """A part of a history: its last hours, fewer scrapes, or not all of its metrics.

    Args:
        whole: the history.
        hours: how many of its last hours.
        every: how many scrapes make one: only the last of so many is kept.
        without: families that are left out.
    """

    def __init__(
        self, whole: History, *, hours: float, every: int = 1, without: Sequence[str] = ()
    ) -> None:
        self.whole = whole
        self.hours = hours
        self.every = every
        self.without = tuple(without)

    @property
    def start(self) -> float:
        """When it begins, in unix seconds."""
        return max(self.whole.start, self.end - self.hours * _HOUR)

    @property
    def end(self) -> float:
        """When it ends, in unix seconds."""
        return self.whole.end

    @property
    def interval(self) -> float:
        """Seconds between two scrapes."""
        return self.whole.interval * self.every

    @property
    def families(self) -> Sequence[Family]:
        """The metrics that are left."""
        return [family for family in self.whole.families if family.name not in self.without]

    @property
    def truth(self) -> Any:
        """What happened, by the model itself; of the whole history."""
        return self.whole.truth

    @property
    def incidents(self) -> Any:
        """What went wrong in the whole history."""
        return self.whole.incidents

    @cached_property
    def digest(self) -> str:
        """What tells its samples from any other's."""
        words = f"{self.whole.digest} {self.hours} {self.every} {self.without}"
        return hashlib.sha256(words.encode()).hexdigest()

    def chunks(self) -> Iterator[_Chunk]:
        """Give consecutive chunks, the earliest first."""
        start_ms = round(self.start * 1000)
        seen = 0
        for chunk in self.whole.chunks():
            later = chunk.times_ms >= start_ms
            numbers = seen + later.cumsum() - 1
            seen += int(later.sum())
            kept = later & (numbers % self.every == self.every - 1)
            if kept.any():
                series = [
                    each._replace(values=each.values[kept])
                    for each in chunk.series
                    if each.family not in self.without
                ]
                yield _Chunk(chunk.times_ms[kept], series)

    def __repr__(self) -> str:
        return f"<Part of {self.whole!r}, a scrape every {self.interval:g} s>"


class _Chunk(NamedTuple):
    times_ms: NDArray[np.int64]
    series: Sequence[Any]


def _days(hidden: bool) -> Past:
    """Two days of three instances in which something is always a little wrong."""
    from labkit.history import BadInstance, ErrorBurst, History, SlowDependency, TrafficSpike

    more = 1.4 if hidden else 1.0
    spikes = [
        TrafficSpike(before, "6m", factor=4.0 if hidden else 6.0)
        for before in ("50m", "6h", "12h10m", "18h30m", "23h40m")
    ]
    return History(
        days=2,
        seed=HIDDEN_SEED if hidden else SEED,
        end=END,
        instances=3,
        # One in the hour before each moment at which exercises are marked.
        deploys=["1d20h", "1d8h", "23h25m", "18h15m", "11h55m", "5h45m", "35m"],
        incidents=[
            ErrorBurst("47h", "47h", ratio=0.03 * more),
            ErrorBurst("47h", "47h", ratio=0.02 * more, error_types=("validation_error",)),
            BadInstance("46h", "46h", instance="app-3", ratio=0.45 / more),
            SlowDependency("46h", "46h", factor=3.0 * more, share=0.5),
            *spikes,
        ],
        gaps_per_day=0.0,
        crashes_per_day=2.0,
    )


def _incident(hidden: bool) -> Past:
    """Two days, calm but for what goes wrong in the last hours of a busy afternoon."""
    from labkit.history import (
        BadEndpoint,
        BadInstance,
        ErrorBurst,
        History,
        Leak,
        RisingErrorType,
    )

    more = 1.3 if hidden else 1.0
    # Other times on the twin, so that a moment that was typed in is wrong there.
    failing, sick, rising = ("95m", "85m", "50m") if hidden else ("110m", "100m", "58m")
    return History(
        days=2,
        seed=HIDDEN_SEED + 1 if hidden else SEED + 1,
        end=AFTERNOON,
        instances=3,
        deploys=["1d14h", "20h10m", "10h40m"],
        incidents=[
            ErrorBurst("46h", "46h", ratio=0.001, error_types=("timeout_error",)),
            BadEndpoint("3h", "3h", endpoint="/health", ratio=0.02),
            BadEndpoint(failing, failing, endpoint="/health", ratio=0.3 * more),
            BadInstance(sick, sick, instance="app-3", ratio=0.6, traffic_share=0.12),
            RisingErrorType(rising, rising, error_type="database_error", ratio=0.015 * more),
            Leak("260m", "260m", factor=8.0 * more),
        ],
        gaps_per_day=0.0,
        crashes_per_day=0.0,
    )


def _month(hidden: bool) -> Past:
    """A month of one instance for budgets, a scrape every two minutes, without the histogram."""
    from labkit.history import BudgetDrip, ErrorBurst, History, Outage, TrafficSpike

    more = 1.5 if hidden else 1.0
    five = ("database_error", "timeout_error")
    whole = History(
        days=30,
        seed=HIDDEN_SEED + 2 if hidden else SEED + 2,
        end=END,
        requests_per_second=5.0,
        incidents=[
            ErrorBurst("27d11h", "3h", ratio=0.08 * more, error_types=five),
            Outage("22d5h", "20m"),
            ErrorBurst("16d14h", "1h30m", ratio=0.15 / more, error_types=five),
            TrafficSpike("12d3h", "5h", factor=3.0 * more),
            BudgetDrip("9d", "4d", ratio=0.003 * more),
            ErrorBurst("2d9h", "2h", ratio=0.12 * more, error_types=five),
            ErrorBurst("50m", "49m", ratio=0.11 * more, error_types=five),
        ],
    )
    return Part(whole, hours=30 * 24, every=2, without=[_HISTOGRAM])


def _live(hidden: bool) -> Past:
    """Four hours with a scrape every ten seconds, for queries that are meant for a live lab."""
    from labkit.history import BadEndpoint, ErrorBurst, History, Outage, SlowDependency

    more = 1.3 if hidden else 1.0
    whole = History(
        days=1,
        seed=HIDDEN_SEED + 3 if hidden else SEED + 3,
        end=END,
        interval=10,
        deploys=["3h10m"],
        incidents=[
            ErrorBurst("2h30m", "30m", ratio=0.35 * more),
            BadEndpoint("4h", "3h", endpoint="/health", ratio=0.2 * more),
            SlowDependency("4h", "3h", factor=6.0 * more),
            Outage("50m", "30m"),
            ErrorBurst("12m", "11m", ratio=0.3 * more),
        ],
        gaps_per_day=0.0,
        crashes_per_day=0.0,
    )
    return Part(whole, hours=4)


def _own(hidden: bool) -> Past:
    from labkit.teaching.own_app import OwnApp

    return OwnApp(HIDDEN_SEED if hidden else SEED)


_MATERIALS: Mapping[str, Material] = MappingProxyType(
    {
        each.name: each
        for each in (
            Material(
                "days",
                "two days of three instances, a scrape a minute, with restarts, 4xx and 5xx, "
                "a slow dependency and a sick instance",
                _days,
                3,
            ),
            Material(
                "incident",
                "two days of three instances, a scrape a minute, calm until an incident at the end",
                _incident,
                3,
            ),
            Material(
                "month",
                "a month of one instance, a scrape every two minutes, without the histogram",
                _month,
                1,
            ),
            Material("live", "four hours of one instance, a scrape every ten seconds", _live, 1),
            Material(
                "own",
                "two hours of a small app of someone's own, two instances, a scrape every 15 s",
                _own,
                2,
            ),
        )
    }
)
