"""What every incident has: where it lies in a history, and when it may change what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from labkit.history import timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from labkit.history.load import Load
    from labkit.history.timeline import Length, Moment, Timeline


@dataclass(frozen=True)
class Place:
    """Where an incident lies in a block of slots.

    Args:
        slots: those it covers.
        progress: how far it has come in each, above 0 up to 1 in its last one.
        number: of the incident in the history, from 0.
    """

    slots: slice
    progress: NDArray[np.float64]
    number: int


@dataclass(frozen=True)
class Incident:
    """What all incidents have.

    Args:
        start: "2d3h" or "0.5d" for so long before the history's end; ISO 8601 text or a datetime,
            with a time zone; or unix seconds.
        length: how long it lasts: "30m", "1d12h", "1.5h", or seconds.
    """

    name: ClassVar[str] = "incident"
    _endpoint: ClassVar[str | None] = None  # the one that it always hits
    start: Moment
    length: Length

    def __post_init__(self) -> None:
        """Check the arguments."""
        timeline.length_ms(self.length, f"the length of {type(self).__name__}")
        timeline.moment_ms(self.start, f"the start of {type(self).__name__}", 0)
        self._check()

    def _check(self) -> None:
        """Raise ValueError for a shape that makes no sense."""

    @property
    def cause(self) -> str:
        """What was wrong, one sentence without its full stop."""
        return self._cause()

    def _cause(self) -> str:
        raise NotImplementedError

    @property
    def where(self) -> str | None:
        """The endpoint that it hits; None for several."""
        return getattr(self, "endpoint", self._endpoint)

    @property
    def on(self) -> str | None:
        """The instance that it hits; None for all."""
        return getattr(self, "instance", None)

    @property
    def silences(self) -> str | None:
        """An error type that does not occur outside of it."""
        return None

    def window(self, scrapes: Timeline) -> tuple[int, int]:
        """Return the scrapes just after which it begins and with which it ends.

        Raises:
            ValueError: when it does not lie within the history.
        """
        name = type(self).__name__
        start = scrapes.moment_ms(self.start, f"the start of {name}")
        return scrapes.window(start, start + timeline.length_ms(self.length, "length"), name)

    def traffic(self, load: Load, place: Place) -> None:
        """Change how much comes; called for all incidents first."""

    def failures(self, load: Load, place: Place) -> None:
        """Change what fails; called when all traffic is known."""

    def latency(self, load: Load, place: Place) -> None:
        """Change how long answers take; called last."""


def check_share(name: str, value: float, most: float) -> None:
    """Refuse what is not a number above 0 up to a limit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise ValueError(f"{name} must be a number above 0 up to {most:g}, not {value!r}")


def check_times(factor: float, most: float) -> None:
    """Refuse what is not a number from 1 to a limit."""
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= most:
        raise ValueError(f"factor must be a number from 1 to {most:g}, not {factor!r}")


def check_known(name: str, value: str, accepted: Iterable[str]) -> None:
    """Refuse what is not one of some names."""
    known = list(accepted)
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
