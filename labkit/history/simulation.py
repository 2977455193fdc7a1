"""One simulated instance: what it answered between two scrapes, and how long that took."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.history import chance, latency
from labkit.history.definitions import ENDPOINTS, outcomes
from labkit.history.incident import Place
from labkit.history.load import Load
from labkit.history.rhythm import PEAK, relative_traffic
from labkit.history.timeline import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from labkit.history.incident import Incident
    from labkit.history.lifetimes import Presence
    from labkit.history.load import Lane
    from labkit.history.timeline import Timeline

_AT_ONCE = 400_000  # requests whose latencies are drawn in one go; bounds the memory


class Placed(NamedTuple):
    """An incident and where it lies.

    Attributes:
        incident: what happened.
        first: the scrape just after which it began.
        last: the scrape with which it ended.
    """

    incident: Incident
    first: int
    last: int


class Instance:
    """One instance of the app, simulated block by block; any block can be had without the others.

    Args:
        name: its label.
        number: from 1.
        seed: the history's.
        timeline: the scrapes.
        presence: when it is up.
        requests_per_second: what reaches it in the mean of a calm week.
        incidents: all of the history, with those of other instances; the place in the list is
            an incident's number.
    """

    def __init__(
        self,
        name: str,
        number: int,
        *,
        seed: int,
        timeline: Timeline,
        presence: Presence,
        requests_per_second: float,
        incidents: Sequence[Placed],
    ) -> None:
        self.name = name
        self.presence = presence
        self._number = number
        self._seed = seed
        self._timeline = timeline
        self._requests_a_slot = requests_per_second * timeline.interval_ms / 1000
        self._incidents = incidents
        self._totals: dict[int, NDArray[np.int64]] = {}
        self._recent: tuple[int, NDArray[np.int32]] | None = None  # one block: 12 MB

    @cached_property
    def counts(self) -> NDArray[np.int32]:
        """How many requests ended in each way in each slot: outcomes by scrapes."""
        found = np.zeros((len(outcomes()), self._timeline.scrapes), np.int32)
        for block in range(self._timeline.blocks):
            for lane, counts in self._drawn(block):
                found[lane.outcome, block * BLOCK : (block + 1) * BLOCK] += counts
        return found

    def latencies(self, block: int) -> NDArray[np.int32]:
        """Return how many requests took each latency: slots by endpoints by values."""
        if self._recent is None or self._recent[0] != block:
            self._recent = None  # before the next one is made, so that there are never two
            self._recent = block, self._latencies(block)
        if block not in self._totals:
            self._totals[block] = self._recent[1].sum(axis=0, dtype=np.int64)
        return self._recent[1]

    def latency_totals(self, first: int, last: int) -> NDArray[np.int64]:
        """Return how many requests took each latency in some slots: endpoints by values.

        Args:
            first: the first slot.
            last: the slot after the last.
        """
        total = np.zeros((len(ENDPOINTS), latency.VALUES), np.int64)
        for block in range(first // BLOCK, -(-last // BLOCK)):
            begin = max(first - block * BLOCK, 0)
            end = min(last - block * BLOCK, BLOCK)
            if (begin, end) != (0, BLOCK):
                total += self.latencies(block)[begin:end].sum(axis=0, dtype=np.int64)
                continue
            if block not in self._totals:
                self.latencies(block)
            total += self._totals[block]
        return total

    def in_progress(self, block: int, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many requests were being worked on at each scrape of a block.

        As many as Little's law expects, rate times mean latency, as a Poisson count.

        Args:
            block: which one.
            seconds: the sum of the latencies in each of its slots.
        """
        slots = slice(block * BLOCK, (block + 1) * BLOCK)
        up_seconds = self.presence.share[slots] * (self._timeline.interval_ms / 1000)
        busy = np.divide(seconds, up_seconds, where=up_seconds > 0, out=np.zeros(BLOCK))
        return chance.poisson(self._stream(chance.IN_PROGRESS, block), busy)

    def _stream(self, use: int, block: int, lane: int = 0) -> np.random.Philox:
        return chance.stream(self._seed, self._number, use, block, lane)

    def _drawn(self, block: int) -> Iterator[tuple[Lane, NDArray[np.int64]]]:
        """Yield what there is to count in a block, and the counts."""
        slots = slice(block * BLOCK, (block + 1) * BLOCK)
        for lane in self._load(block).lanes(self.presence.share[slots]):
            yield (
                lane,
                chance.poisson(self._stream(chance.COUNTS, block, lane.number), lane.expected),
            )

    def _load(self, block: int) -> Load:
        slots = slice(block * BLOCK, (block + 1) * BLOCK)
        middle = self._timeline.times_ms[slots] - self._timeline.interval_ms // 2
        relative = relative_traffic(self._seed, middle)
        silent = {placed.incident.silences for placed in self._incidents} - {None}
        load = Load(
            relative * self._requests_a_slot,
            np.minimum(relative / PEAK, 1.0),
            silent,  # type: ignore[arg-type] # None was taken out
        )
        placed = list(self._places(block))
        for incident, place in placed:
            incident.traffic(load, place)
        for incident, place in placed:
            incident.failures(load, place)
        for incident, place in placed:
            incident.latency(load, place)
        return load

    def _places(self, block: int) -> Iterator[tuple[Incident, Place]]:
        """Yield the incidents that hit this instance in a block, and where."""
        for number, (incident, first, last) in enumerate(self._incidents):
            begin = max(first + 1 - block * BLOCK, 0)
            end = min(last + 1 - block * BLOCK, BLOCK)
            if begin < end and incident.on in (None, self.name):
                passed = np.arange(begin, end) + (block * BLOCK - first)
                yield incident, Place(slice(begin, end), passed / (last - first), number)

    def _latencies(self, block: int) -> NDArray[np.int32]:
        found = np.zeros((BLOCK, len(ENDPOINTS), latency.VALUES), np.int32)
        for lane, counts in self._drawn(block):
            outcome = outcomes()[lane.outcome]
            table = latency.shape(outcome.endpoint, outcome.status)
            generator = self._stream(chance.LATENCIES, block, lane.number)
            endpoint = ENDPOINTS.index(outcome.endpoint)
            for slots in _portions(counts):
                drawn = table[chance.words(generator, int(counts[slots].sum()))]
                found[slots, endpoint] += _spread(drawn, counts[slots], lane.steps[slots])
        return found


def _portions(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Yield stretches of slots with about as many requests as are drawn at once."""
    portion = np.cumsum(counts) // _AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(portion)) + 1).tolist(), len(counts)]
    for first, last in pairwise(edges):
        yield slice(first, last)


def _spread(
    drawn: NDArray[np.uint16], counts: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many of the latencies drawn fall on each value in each slot.

    Args:
        drawn: indices of values, slot after slot.
        counts: how many are each slot's.
        steps: how many places slower they are there; beyond the last value they take that.
    """
    values = drawn + np.repeat(steps, counts)
    np.minimum(values, latency.VALUES - 1, out=values)
    values += np.repeat(np.arange(len(counts)) * latency.VALUES, counts)
    spread = np.bincount(values, minlength=len(counts) * latency.VALUES)
    return spread.reshape(len(counts), latency.VALUES)
