"""What a past has to give to be stored and served: a simulated one does, and a recorded one can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

# Bits of a NaN that is a sample, as Prometheus writes every one (value.NormalNaN in its source);
# any other NaN says that there is no sample.
SAMPLE_NAN_BITS = 0x7FF8000000000001


class Family(Protocol):
    """A metric."""

    @property
    def name(self) -> str:
        """Its name, with or without ``_total``."""
        ...

    @property
    def type(self) -> str:
        """Counter, gauge, histogram, …."""
        ...

    @property
    def help(self) -> str:
        """What it means."""
        ...


class Series(Protocol):
    """A series over the times of its chunk; NaN where a scrape had no sample of it.

    A sample that is itself not a number has the bits of `SAMPLE_NAN_BITS`.
    """

    @property
    def family(self) -> str:
        """The name of the metric it belongs to."""
        ...

    @property
    def name(self) -> str:
        """The name of its samples."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        ...

    @property
    def values(self) -> NDArray[np.float64]:
        """One for each time of the chunk."""
        ...


class Chunk(Protocol):
    """All series over a span of time; its times are whole milliseconds of unix time, rising."""

    @property
    def times_ms(self) -> NDArray[np.int64]:
        """When the scrapes were."""
        ...

    @property
    def series(self) -> Sequence[Series]:
        """What they found."""
        ...


class Past(Protocol):
    """Samples of some time, told chunk by chunk so that they never are in memory all at once."""

    @property
    def start(self) -> float:
        """When it begins, in unix seconds."""
        ...

    @property
    def end(self) -> float:
        """When it ends; what counts as now while it is served."""
        ...

    @property
    def interval(self) -> float:
        """Seconds between two scrapes."""
        ...

    @property
    def families(self) -> Sequence[Family]:
        """The metrics."""
        ...

    @property
    def digest(self) -> str:
        """What tells its samples from any other's, as hexadecimal digits."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Give consecutive chunks, the earliest first."""
        ...
