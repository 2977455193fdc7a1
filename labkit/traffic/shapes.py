"""Load shapes: what to send when. The open-loop ones are in ``open_loop.py``.

Shapes are pure: no network, no clock. Times are seconds from the start of the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.traffic.caps import positive, set_checked, whole
from labkit.traffic.open_loop import Chain, Constant, Controlled, OpenLoop, Ramp, Wave

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

__all__ = [
    "Chain",
    "ClosedLoop",
    "Constant",
    "Continuous",
    "Controlled",
    "OpenLoop",
    "Ramp",
    "Shape",
    "Spike",
    "Wave",
    "from_dict",
    "to_dict",
]

# How long the one user of a continuous run waits after each answer, in seconds: from, to.
THINK_SECONDS: dict[str, tuple[float, float]] = {
    "low": (2.0, 5.0),
    "normal": (0.5, 2.0),
    "high": (0.1, 0.5),
}


@dataclass(frozen=True)
class ClosedLoop(ABC):
    """A shape that has users: each sends its next request when the last one has ended."""

    name: ClassVar[str] = "closed loop"

    @property
    @abstractmethod
    def duration(self) -> float | None:
        """How long it takes, in seconds; None for until it is stopped."""

    @property
    @abstractmethod
    def users(self) -> int:
        """How many users there are, and so the most requests in flight."""

    @abstractmethod
    def think_seconds(self, generator: random.Random) -> Iterator[float]:
        """Yield how long a user waits after each answer, without end."""


@dataclass(frozen=True)
class Spike(ClosedLoop):
    """So many users at once, each sending the next request when the last one ends.

    Args:
        threads: how many users.
        seconds: for how long.
    """

    name: ClassVar[str] = "spike"
    threads: int = 5
    seconds: float = 30.0

    def __post_init__(self) -> None:
        set_checked(self, threads=whole("threads", self.threads))
        set_checked(self, seconds=positive("seconds", self.seconds))

    @property
    def duration(self) -> float:
        """How long it takes, in seconds."""
        return self.seconds

    @property
    def users(self) -> int:
        """How many users there are."""
        return self.threads

    def __str__(self) -> str:
        return (
            f"{self.threads:,} {'user' if self.threads == 1 else 'users'} for {self.seconds:.3g} s"
        )

    def think_seconds(self, generator: random.Random) -> Iterator[float]:  # noqa: ARG002 - fixed
        """Yield zeros: these users never wait."""
        return repeat(0.0)


@dataclass(frozen=True)
class Continuous(ClosedLoop):
    """One user who goes on until stopped, and waits a while after each answer.

    Args:
        intensity: how long the waits are: "low" 2–5 s, "normal" 0.5–2 s, "high" 0.1–0.5 s.
    """

    name: ClassVar[str] = "continuous"
    intensity: str = "normal"

    def __post_init__(self) -> None:
        if self.intensity not in THINK_SECONDS:
            known = ", ".join(map(repr, THINK_SECONDS))
            raise ValueError(f"intensity must be one of {known}, not {self.intensity!r}")

    @property
    def duration(self) -> None:
        """None: it goes on until it is stopped."""
        return

    @property
    def users(self) -> int:
        """One."""
        return 1

    def __str__(self) -> str:
        return f"one user, {self.intensity} intensity"

    def think_seconds(self, generator: random.Random) -> Iterator[float]:
        """Yield evenly distributed waits, in seconds."""
        shortest, longest = THINK_SECONDS[self.intensity]
        while True:
            yield generator.uniform(shortest, longest)


Shape = OpenLoop | ClosedLoop
_KINDS: dict[str, type[OpenLoop | ClosedLoop]] = {
    kind.name: kind for kind in (Controlled, Constant, Ramp, Wave, Chain, Spike, Continuous)
}


def to_dict(shape: Shape) -> dict[str, Any]:
    """Return a shape as plain data for JSON."""
    if isinstance(shape, Chain):
        return {"kind": shape.name, "parts": [to_dict(part) for part in shape.parts]}
    return {"kind": shape.name, **asdict(shape)}


def from_dict(data: Mapping[str, Any]) -> Shape:
    """Return the shape that ``to_dict`` described.

    Raises:
        ValueError: when the kind or a field is not known, or a number is out of range.
    """
    kind = _KINDS.get(str(data.get("kind")))
    given = {name: value for name, value in data.items() if name != "kind"}
    if kind is None or not set(given) <= {field.name for field in fields(kind)}:
        raise ValueError(f"not a shape: {dict(data)!r}")
    if kind is Chain:
        given["parts"] = tuple(from_dict(part) for part in given["parts"])
    return kind(**given)
