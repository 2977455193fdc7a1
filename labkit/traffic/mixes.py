"""Mixes: to which endpoints the requests go, and in what proportions."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from labkit.traffic.caps import positive

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

MAX_PATHS = 100


@dataclass(frozen=True)
class Mix:
    """Paths and their weights; each request's path is drawn at random by weight.

    Args:
        name: what to call it.
        weights: pairs of a path, which may carry a query string, and its weight.
    """

    name: str
    weights: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.weights) <= MAX_PATHS:
            raise ValueError(f"a mix needs from 1 to {MAX_PATHS} paths, not {len(self.weights)}")
        for path, weight in self.weights:
            _check_path(path)
            positive(f"the weight of {path}", weight)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, in the order of the draws' indices."""
        return tuple(path for path, _ in self.weights)

    def draws(self, generator: random.Random) -> Iterator[int]:
        """Yield indices into ``paths`` without end; the same generator gives the same ones."""
        bounds = list(accumulate(weight for _, weight in self.weights))
        last = len(bounds) - 1
        while True:
            yield min(bisect(bounds, generator.random() * bounds[-1]), last)


def _check_path(path: str) -> None:
    good = isinstance(path, str) and path.startswith("/") and path.isprintable()
    if not good or any(character in path for character in " #\\"):
        raise ValueError(
            f'a path of a mix must start with "/" and hold no space, "#" or backslash: {path!r}'
        )


everyday = Mix("everyday", (("/", 60), ("/health", 20), ("/slow", 10), ("/error", 10)))
errors = Mix("errors", (("/error", 80), ("/health", 20)))
timeouts = Mix("timeouts", (("/slow", 100),))

MIXES: dict[str, Mix] = {mix.name: mix for mix in (everyday, errors, timeouts)}


def find_mix(mix: str | Mapping[str, float] | Mix) -> Mix:
    """Return the mix of a name, or one made of ``{"/path": weight}``.

    Raises:
        ValueError: when the name is not known, or a path or weight will not do.
    """
    if isinstance(mix, Mix):
        return mix
    if isinstance(mix, Mapping):
        return Mix("custom", tuple(mix.items()))
    if mix not in MIXES:
        known = ", ".join(map(repr, MIXES))
        raise ValueError(
            f'mix must be one of {known} or a mapping {{"/path": weight}}, not {mix!r}'
        )
    return MIXES[mix]
