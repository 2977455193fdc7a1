"""Incidents: what went wrong in a history, with a start, a length and a shape.

Each begins just after the last scrape at or before its start, and ends with the last scrape at or
before its end: a query at its start and one at its end have exactly it between them.
``truth.incidents`` has the times of these scrapes. ``instance`` is the one that it hits
("app-1"), all where it is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from labkit.history import definitions
from labkit.history.incident import Incident, check_known, check_share, check_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from labkit.history.incident import Place
    from labkit.history.load import Load

_FAILING = ("/health", "/slow")  # where the app itself has a way to fail and to succeed
_MOST_TIMES = 50.0
_LONGEST_LEAK = 15.0  # times 0.3 s, what /slow takes at most: below the top bucket of 5 s
_MOST_DRIP = 0.1  # of all requests, as /slow has 15 % of them


@dataclass(frozen=True)
class ErrorBurst(Incident):
    """Callers meet ``/error`` more often: the classic burst of errors of the live lab.

    Args:
        ratio: the share of all requests that it adds as errors, 0 to 1.
        error_types: which kinds, equally likely; the 4xx are ``validation_error`` (400) and
            ``permission_error`` (403).
        instance: which one it hits.
    """

    name: ClassVar[str] = "error burst"
    _endpoint: ClassVar[str | None] = "/error"
    ratio: float = 0.1
    error_types: tuple[str, ...] = tuple(definitions.MADE_ERRORS)
    instance: str | None = None

    def _check(self) -> None:
        check_share("ratio", self.ratio, 0.9)
        if isinstance(self.error_types, str) or not self.error_types:
            raise ValueError(f"error_types must be a tuple of names, not {self.error_types!r}")
        for kind in self.error_types:
            check_known("error_types", kind, definitions.MADE_ERRORS)

    def _cause(self) -> str:
        every = set(self.error_types) == set(definitions.MADE_ERRORS)
        kinds = "every kind" if every else ", ".join(self.error_types)
        share = _percent(self.ratio)
        return f"/error was called so often that {share} of all requests failed ({kinds})"

    def failures(self, load: Load, place: Place) -> None:
        """Add errors."""
        requests = load.total[place.slots] * (self.ratio / (1.0 - self.ratio))
        for kind in self.error_types:
            outcome = definitions.outcome_recording(kind)
            load.add(place.slots, outcome, requests / len(self.error_types))


@dataclass(frozen=True)
class SlowDependency(Incident):
    """Something that an endpoint waits for answers slowly.

    Args:
        factor: how many times as long its answers take, 1 to 50; more than the top bucket (5 s)
            lands in ``+Inf``.
        endpoint: whose answers.
        share: how many of them, 0 to 1.
        instance: which one it hits.
    """

    name: ClassVar[str] = "slow dependency"
    factor: float = 6.0
    endpoint: str = "/slow"
    share: float = 1.0
    instance: str | None = None

    def _check(self) -> None:
        check_times(self.factor, _MOST_TIMES)
        check_share("share", self.share, 1.0)
        check_known("endpoint", self.endpoint, ("/", *_FAILING))

    def _cause(self) -> str:
        part = "" if self.share == 1 else f"for {_percent(self.share)} of its requests "
        return f"what {self.endpoint} waits for took {self.factor:g} times as long {part}".rstrip()

    def latency(self, load: Load, place: Place) -> None:
        """Slow the endpoint down."""
        factor = np.full(len(place.progress), float(self.factor))
        load.slow(place.slots, self.endpoint, self.share, factor, place.number)


@dataclass(frozen=True)
class Timeouts(Incident):
    """``/slow`` gives up after its time-out with 504.

    Args:
        ratio: how often, 0 to 1.
        instance: which one it hits.
    """

    name: ClassVar[str] = "time-outs"
    _endpoint: ClassVar[str | None] = "/slow"
    ratio: float = 0.3
    instance: str | None = None

    def _check(self) -> None:
        check_share("ratio", self.ratio, 1.0)

    def _cause(self) -> str:
        return f"{_percent(self.ratio)} of the requests to /slow timed out"

    def failures(self, load: Load, place: Place) -> None:
        """Let answers time out."""
        load.fail(place.slots, "/slow", self.ratio)


@dataclass(frozen=True)
class BadEndpoint(Incident):
    """One endpoint fails.

    Args:
        endpoint: ``/health`` (503), ``/slow`` (504), or ``/``, where an exception in the view
            answers 500: its series are born with the incident, as the app foresees none.
        ratio: how often, 0 to 1.
        instance: which one it hits.
    """

    name: ClassVar[str] = "bad endpoint"
    endpoint: str = "/health"
    ratio: float = 0.2
    instance: str | None = None

    def _check(self) -> None:
        check_share("ratio", self.ratio, 1.0)
        check_known("endpoint", self.endpoint, ("/", *_FAILING))

    def _cause(self) -> str:
        return f"{_percent(self.ratio)} of the requests to {self.endpoint} failed"

    def failures(self, load: Load, place: Place) -> None:
        """Let the endpoint fail."""
        load.fail(place.slots, self.endpoint, self.ratio)


@dataclass(frozen=True)
class BadInstance(Incident):
    """One instance is sick: ``/health`` and ``/slow`` fail there and nowhere else.

    Args:
        instance: which one.
        ratio: how often they fail, 0 to 1.
        traffic_share: how much of its usual traffic it still gets, above 0 up to 1; what it
            does not get does not go elsewhere.
    """

    name: ClassVar[str] = "bad instance"
    instance: str = "app-1"
    ratio: float = 0.3
    traffic_share: float = 1.0

    def _check(self) -> None:
        check_share("ratio", self.ratio, 1.0)
        check_share("traffic_share", self.traffic_share, 1.0)

    def _cause(self) -> str:
        less = (
            "" if self.traffic_share == 1 else f", on {_percent(self.traffic_share)} of its traffic"
        )
        paths = " and ".join(_FAILING)
        return f"{_percent(self.ratio)} of the requests to {paths} failed on {self.instance}{less}"

    def traffic(self, load: Load, place: Place) -> None:
        """Send it less."""
        load.scale(place.slots, self.traffic_share)

    def failures(self, load: Load, place: Place) -> None:
        """Let its endpoints fail."""
        for endpoint in _FAILING:
            load.fail(place.slots, endpoint, self.ratio)


@dataclass(frozen=True)
class TrafficSpike(Incident):
    """More traffic of every kind comes.

    Args:
        factor: how many times the usual, 1 to 50.
        instance: which one gets it.
    """

    name: ClassVar[str] = "traffic spike"
    factor: float = 5.0
    instance: str | None = None

    def _check(self) -> None:
        check_times(self.factor, _MOST_TIMES)

    def _cause(self) -> str:
        return f"{self.factor:g} times the usual traffic came"

    def traffic(self, load: Load, place: Place) -> None:
        """Let more come."""
        load.scale(place.slots, self.factor)


@dataclass(frozen=True)
class Outage(Incident):
    """The app is down: ``up`` is 0, no other series has samples, and nothing counts requests.

    They fail before they reach the app, so that a ratio of its own counters does not know of
    them. Its counters start again at 0 when it is back.

    Args:
        instance: which one is down.
    """

    name: ClassVar[str] = "outage"
    instance: str | None = None

    def _cause(self) -> str:
        return f"{self.instance or 'every instance'} was down"


@dataclass(frozen=True)
class Leak(Incident):
    """Something leaks, so that ``/slow`` takes longer and longer, then it is over at once.

    Args:
        factor: how many times as long it takes in the end, growing evenly, 1 to 15: it stays
            below the top bucket (5 s).
        instance: which one leaks.
    """

    name: ClassVar[str] = "leak"
    _endpoint: ClassVar[str | None] = "/slow"
    factor: float = 8.0
    instance: str | None = None

    def _check(self) -> None:
        check_times(self.factor, _LONGEST_LEAK)

    def _cause(self) -> str:
        return f"a leak made /slow slower and slower, up to {self.factor:g} times"

    def latency(self, load: Load, place: Place) -> None:
        """Slow it down, a little more each time."""
        factor = 1.0 + (self.factor - 1.0) * place.progress
        load.slow(place.slots, "/slow", 1.0, factor, place.number)


@dataclass(frozen=True)
class BudgetDrip(Incident):
    """A few requests time out all the time: too few to page anyone, enough to spend a budget.

    Args:
        ratio: the share of all requests that ``/slow`` answers with 504, up to 0.1.
        instance: which one it hits.
    """

    name: ClassVar[str] = "budget drip"
    _endpoint: ClassVar[str | None] = "/slow"
    ratio: float = 0.005
    instance: str | None = None

    def _check(self) -> None:
        check_share("ratio", self.ratio, _MOST_DRIP)

    def _cause(self) -> str:
        return f"{_percent(self.ratio)} of all requests timed out in /slow"

    def failures(self, load: Load, place: Place) -> None:
        """Let a few time out."""
        _fail_of_all(load, place.slots, "/slow", load.total[place.slots] * self.ratio)


@dataclass(frozen=True)
class RisingErrorType(Incident):
    """An error type that never occurred before rises evenly from nothing.

    In a history with it, that type is missing from the calm.

    Args:
        error_type: which one.
        ratio: the share of all requests that record it in the end, up to 0.1.
        instance: which one it hits.
    """

    name: ClassVar[str] = "rising error type"
    error_type: str = "database_error"
    ratio: float = 0.03
    instance: str | None = None

    def _check(self) -> None:
        check_share("ratio", self.ratio, _MOST_DRIP)
        check_known("error_type", self.error_type, definitions.error_types())

    def _cause(self) -> str:
        return f"{self.error_type} rose from nothing to {_percent(self.ratio)} of all requests"

    @property
    def where(self) -> str:
        """The endpoint that records it."""
        return definitions.outcomes()[definitions.outcome_recording(self.error_type)].endpoint

    @property
    def silences(self) -> str:
        """The error type, outside of it."""
        return self.error_type

    def failures(self, load: Load, place: Place) -> None:
        """Let more and more record it."""
        requests = load.total[place.slots] * (self.ratio * place.progress)
        if self.where == "/error":
            load.add(place.slots, definitions.outcome_recording(self.error_type), requests)
        else:
            _fail_of_all(load, place.slots, self.where, requests)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _fail_of_all(load: Load, slots: slice, endpoint: str, requests: NDArray[np.float64]) -> None:
    """Let so many requests to an endpoint fail, or all where it has fewer."""
    succeeding = load.succeeding(slots, endpoint)
    enough = np.maximum(succeeding, requests)
    load.fail(slots, endpoint, np.divide(requests, enough, where=enough > 0, out=enough * 0.0))
