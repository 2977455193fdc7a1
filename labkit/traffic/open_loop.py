"""Open-loop load shapes: requests start when the shape says, whatever the app does.

Shapes are pure: no network, no clock. Times are seconds from the start of the run.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from labkit.traffic.caps import not_negative, positive, set_checked, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_SLACK = 1e-9  # a count that floating point left a hair above a whole number is that number
_RESOLUTION_SECONDS = 1e-7


@dataclass(frozen=True)
class OpenLoop(ABC):
    """A shape that asks for a rate: requests start when it says, whatever the app does."""

    name: ClassVar[str] = "open loop"

    @property
    @abstractmethod
    def duration(self) -> float:
        """How long it takes, in seconds."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many requests it starts."""

    @property
    @abstractmethod
    def peak_rate(self) -> float:
        """The highest rate it asks for, in requests per second."""

    @abstractmethod
    def starts(self) -> Iterator[float]:
        """Yield the intended start of each request, in order, in seconds from the start."""

    def then(self, following: OpenLoop) -> Chain:
        """Return this shape followed by another open-loop one.

        Raises:
            ValueError: when the other shape is a closed loop, which has users and no rate.
        """
        return Chain((self, following))


@dataclass(frozen=True)
class Controlled(OpenLoop):
    """Exactly so many requests, evenly spaced: request i of N starts at i·S/N.

    Args:
        requests: how many.
        seconds: over how long.
    """

    name: ClassVar[str] = "controlled"
    requests: int = 100
    seconds: float = 60.0

    def __post_init__(self) -> None:
        set_checked(self, requests=whole("requests", self.requests))
        set_checked(self, seconds=positive("seconds", self.seconds))

    def __str__(self) -> str:
        requests = "request" if self.requests == 1 else "requests"
        return f"{self.requests:,} {requests} in {self.seconds:.3g} s"

    @property
    def duration(self) -> float:
        """How long it takes, in seconds."""
        return self.seconds

    @property
    def count(self) -> int:
        """How many requests it starts."""
        return self.requests

    @property
    def peak_rate(self) -> float:
        """Its rate, in requests per second; a single request has none to speak of."""
        return self.requests / self.seconds if self.requests > 1 else 0.0

    def starts(self) -> Iterator[float]:
        """Yield the intended start of each request, in seconds from the start."""
        return (i * self.seconds / self.requests for i in range(self.requests))


@dataclass(frozen=True)
class Constant(OpenLoop):
    """A constant rate, which ``run.set_rate`` can change while it runs.

    Args:
        rate: requests per second.
        seconds: for how long.
    """

    name: ClassVar[str] = "constant"
    rate: float = 10.0
    seconds: float = 60.0

    def __post_init__(self) -> None:
        set_checked(
            self, rate=positive("rate", self.rate), seconds=positive("seconds", self.seconds)
        )

    def __str__(self) -> str:
        return f"{self.rate:g} requests a second for {self.seconds:.3g} s"

    @property
    def duration(self) -> float:
        """How long it takes, in seconds."""
        return self.seconds

    @property
    def count(self) -> int:
        """How many requests it starts."""
        return _ceil(self.rate * self.seconds)

    @property
    def peak_rate(self) -> float:
        """Its rate, in requests per second."""
        return self.rate

    def starts(self) -> Iterator[float]:
        """Yield the intended start of each request, in seconds from the start."""
        return (i / self.rate for i in range(self.count))


@dataclass(frozen=True)
class Ramp(OpenLoop):
    """A rate that changes in a straight line from one value to another.

    Args:
        start: requests per second at the beginning.
        end: requests per second at the end.
        seconds: how long the change takes.
    """

    name: ClassVar[str] = "ramp"
    start: float = 1.0
    end: float = 50.0
    seconds: float = 60.0

    def __post_init__(self) -> None:
        set_checked(
            self, start=not_negative("start", self.start), end=not_negative("end", self.end)
        )
        set_checked(self, seconds=positive("seconds", self.seconds))
        if self.start == self.end == 0:
            raise ValueError("start and end must not both be 0: that sends nothing")

    def __str__(self) -> str:
        return f"from {self.start:g} to {self.end:g} requests a second in {self.seconds:.3g} s"

    @property
    def duration(self) -> float:
        """How long it takes, in seconds."""
        return self.seconds

    @property
    def count(self) -> int:
        """How many requests it starts."""
        return _ceil((self.start + self.end) / 2 * self.seconds)

    @property
    def peak_rate(self) -> float:
        """The higher of its two ends, in requests per second."""
        return max(self.start, self.end)

    def starts(self) -> Iterator[float]:
        """Yield the intended starts: where the area under the line reaches 0, 1, 2, …."""
        slope = (self.end - self.start) / self.seconds
        yield 0.0
        for i in range(1, self.count):
            # The root of start·t + slope·t²/2 = i, in the form that is stable for small slopes.
            root = math.sqrt(max(0.0, self.start**2 + 2 * slope * i))
            yield 2 * i / (self.start + root)


@dataclass(frozen=True)
class Wave(OpenLoop):
    """A rate that swings between two values like a cosine, beginning at the low one.

    Args:
        low: the lowest rate, in requests per second.
        high: the highest rate, in requests per second.
        period: seconds from one low to the next.
        seconds: for how long.
    """

    name: ClassVar[str] = "wave"
    low: float = 1.0
    high: float = 20.0
    period: float = 30.0
    seconds: float = 120.0

    def __post_init__(self) -> None:
        set_checked(self, low=not_negative("low", self.low), high=positive("high", self.high))
        set_checked(self, period=positive("period", self.period))
        set_checked(self, seconds=positive("seconds", self.seconds))
        if self.high < self.low:
            raise ValueError(f"high must be at least low ({self.low:g}), not {self.high:g}")

    def __str__(self) -> str:
        return (
            f"between {self.low:g} and {self.high:g} requests a second, up and down in "
            f"{self.period:.3g} s, for {self.seconds:.3g} s"
        )

    @property
    def duration(self) -> float:
        """How long it takes, in seconds."""
        return self.seconds

    @property
    def count(self) -> int:
        """How many requests it starts."""
        return _ceil(self._area(self.seconds))

    @property
    def peak_rate(self) -> float:
        """The crest, in requests per second."""
        return self.high

    def starts(self) -> Iterator[float]:
        """Yield the intended starts: where the area under the wave reaches 0, 1, 2, …."""
        middle = (self.low + self.high) / 2
        swing = (self.high - middle) * self.period / math.tau  # how far the area leaves the line
        begin = 0.0
        yield begin
        for i in range(1, self.count):
            low, high = max(begin, (i - swing) / middle), (i + swing) / middle
            while high - low > _RESOLUTION_SECONDS:  # the area never falls
                half = (low + high) / 2
                low, high = (half, high) if self._area(half) < i else (low, half)
            begin = high
            yield begin

    def _area(self, seconds: float) -> float:
        """How many requests the wave asks for in its first seconds: the rate's integral."""
        middle, turn = (self.low + self.high) / 2, math.tau / self.period
        return middle * seconds - (self.high - middle) / turn * math.sin(turn * seconds)


@dataclass(frozen=True)
class Chain(OpenLoop):
    """Open-loop shapes one after the other; each begins its own count of requests."""

    name: ClassVar[str] = "chain"
    parts: tuple[OpenLoop, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if not isinstance(part, OpenLoop):
                raise ValueError(  # noqa: TRY004 - one kind of error for every bad shape
                    "then() joins shapes that have a rate and an end (Controlled, Constant, "
                    f"Ramp, Wave); {part!r} has users instead: start it as a run of its own"
                )
        set_checked(self, parts=tuple(chain.from_iterable(map(_flatten, self.parts))))

    @property
    def duration(self) -> float:
        """How long all parts take, in seconds."""
        return sum(part.duration for part in self.parts)

    @property
    def count(self) -> int:
        """How many requests the parts start."""
        return sum(part.count for part in self.parts)

    @property
    def peak_rate(self) -> float:
        """The highest rate of any part, in requests per second."""
        return max(part.peak_rate for part in self.parts)

    def starts(self) -> Iterator[float]:
        """Yield the intended start of each request, in seconds from the start of the first."""
        begin = 0.0
        for part in self.parts:
            for start in part.starts():
                yield begin + start
            begin += part.duration

    def __str__(self) -> str:
        return ", then ".join(map(str, self.parts))

    def __repr__(self) -> str:
        first, *rest = map(repr, self.parts)
        return first + "".join(f".then({part})" for part in rest)


def _flatten(part: OpenLoop) -> tuple[OpenLoop, ...]:
    return part.parts if isinstance(part, Chain) else (part,)


def _ceil(count: float) -> int:
    return math.ceil(count * (1 - _SLACK))
