"""How many requests of each kind an instance can expect: calm, and what incidents make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.history import definitions, latency

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_BUSIEST_STEPS = 4  # at the busiest hour answers take 15 % longer than at night
SLOWED = 64  # the number of the first lane that is not an outcome's own


@dataclass
class Lane:
    """Requests of one outcome that share a distribution of latency.

    Args:
        number: which stream of chance is theirs, the same whatever else happens.
        outcome: index of the outcome.
        expected: how many are expected in each slot.
        steps: how many places along the grid of latencies they are slower.
    """

    number: int
    outcome: int
    expected: Numbers
    steps: NDArray[np.int64]


class Load:
    """What one instance can expect in a block of slots. Incidents change it, then it is drawn.

    Args:
        traffic: requests that reach the instance in each slot, in calm.
        busy: how busy it is, 0 to 1, which makes answers a little slower.
        silent: error types that never occur in calm.
    """

    def __init__(self, traffic: Numbers, busy: Numbers, silent: Collection[str] = ()) -> None:
        self.total = traffic.copy()
        self._steps = (busy * _BUSIEST_STEPS).astype(np.int64)
        self._expected = np.zeros((len(definitions.outcomes()), len(traffic)))
        self._slowed: list[Lane] = []
        for endpoint, share in definitions.MIX.items():
            self._calm(endpoint, traffic * share, silent)

    @property
    def _with_success(self) -> set[str]:
        return {o.endpoint for o in definitions.outcomes() if o.error_type is None}

    def _calm(self, endpoint: str, traffic: Numbers, silent: Collection[str]) -> None:
        outcomes = definitions.outcomes()
        failing = [
            index
            for index, outcome in enumerate(outcomes)
            if outcome.endpoint == endpoint
            and outcome.error_type not in (None, *silent)
            and not outcome.newborn
        ]
        always = endpoint not in definitions.CALM_FAILURES and failing
        fails = 1.0 if always else definitions.CALM_FAILURES.get(endpoint, 0.0) * bool(failing)
        for index in failing:
            self._expected[index] = traffic * fails / len(failing)
        if not always and endpoint in self._with_success:
            ok = definitions.outcome_of(endpoint, fails=False)
            self._expected[ok] = traffic * (1.0 - fails)

    def scale(self, slots: slice, factor: float) -> None:
        """Let so many times the traffic come, of every kind."""
        self.total[slots] *= factor
        self._expected[:, slots] *= factor

    def add(self, slots: slice, outcome: int, requests: Numbers) -> None:
        """Let requests come that end in some way, beside all others."""
        self._expected[outcome, slots] += requests

    def fail(self, slots: slice, endpoint: str, ratio: Numbers | float) -> None:
        """Let a share of the requests to an endpoint fail that would have succeeded."""
        ok = definitions.outcome_of(endpoint, fails=False)
        failing = definitions.outcome_of(endpoint, fails=True)
        moved = self._expected[ok, slots] * ratio
        self._expected[ok, slots] -= moved
        self._expected[failing, slots] += moved

    def succeeding(self, slots: slice, endpoint: str) -> Numbers:
        """Return how many successes of an endpoint are expected."""
        return self._expected[definitions.outcome_of(endpoint, fails=False), slots]

    def slow(self, slots: slice, endpoint: str, share: float, factor: Numbers, number: int) -> None:
        """Let a share of an endpoint's successes take so many times as long.

        Args:
            slots: when.
            endpoint: whose.
            share: how many of those that nothing else slows, 0 to 1.
            factor: how many times as long, for each slot.
            number: of the incident in the history, from 0.
        """
        ok = definitions.outcome_of(endpoint, fails=False)
        moved = np.zeros(len(self.total))
        moved[slots] = self._expected[ok, slots] * share
        self._expected[ok] -= moved
        steps = self._steps.copy()
        steps[slots] += latency.steps_slower(factor)
        self._slowed.append(Lane(SLOWED + number, ok, moved, steps))

    def lanes(self, served: Numbers) -> list[Lane]:
        """Return what is left to draw.

        Args:
            served: how much of each slot the instance was up, 0 to 1.
        """
        own = [
            Lane(index, index, expected, self._lane_steps(index))
            for index, expected in enumerate(self._expected)
        ]
        for lane in (*own, *self._slowed):
            lane.expected = lane.expected * served
        return [lane for lane in (*own, *self._slowed) if lane.expected.any()]

    def _lane_steps(self, outcome: int) -> NDArray[np.int64]:
        """A request that gives up does so after a fixed time, however busy it is."""
        chosen = definitions.outcomes()[outcome]
        gives_up = chosen.endpoint == "/slow" and chosen.error_type is not None
        return np.zeros_like(self._steps) if gives_up else self._steps
