"""What a query gives at the moments it is marked at, and how far two such results are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from labkit.promql.steps import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.promql.client import Client
    from labkit.teaching.exercises import Tolerance

Labels: TypeAlias = "frozenset[tuple[str, str]]"

_RANGE_MS = 300_000  # what $__range is, as in any instant query of the lab
_NAME = "__name__"


@dataclass(frozen=True)
class Result:
    """What an expression is at one moment.

    Attributes:
        time: the moment, in unix seconds.
        kind: ``vector``, ``scalar``, ``matrix`` or ``string``, as the server calls it.
        series: the values by labels, without those that are the same all over the data and
            without ``__name__`` unless it is asked for. A scalar is one series without labels.
            Empty for other kinds.
        doubled: whether two series are the same once those labels are left out.
    """

    time: float
    kind: str
    series: Mapping[Labels, float] = field(default_factory=dict)
    doubled: bool = False

    @property
    def names(self) -> set[str]:
        """The names of the labels that any of its series has."""
        return {name for labels in self.series for name, _ in labels}


@dataclass(frozen=True)
class Difference:
    """One series in which an answer is not what was asked for.

    Attributes:
        time: the moment, in unix seconds.
        labels: of the series.
        expected: its value; None where the series should not be there.
        given: its value in the answer; None where the answer lacks it.
    """

    time: float
    labels: Labels
    expected: float | None
    given: float | None


class Ground:
    """A server, and the moments at which it is asked: what answers are marked on.

    Args:
        client: where to ask.
        moments: in unix seconds; none of them on a scrape.
        words: what to call the data in a sentence, such as "this history".
        instances: how many instances of the app there are.
        live: whether they are of a lab that runs, so that they are never twice the same.
        any_labels: whether one value is asked for, whatever labels it carries.
        names: whether ``__name__`` counts as any other label.
    """

    def __init__(
        self,
        client: Client,
        moments: Iterable[float],
        *,
        words: str,
        instances: int = 1,
        live: bool = False,
        any_labels: bool = False,
        names: bool = False,
    ) -> None:
        self.client = client
        self.moments = tuple(moments)
        self.words = words
        self.instances = instances
        self.live = live
        self.any_labels = any_labels
        self.names = names
        self._known: dict[tuple[str, float, bool], Result] = {}

    def at(
        self, moments: Iterable[float], *, any_labels: bool = False, names: bool = False
    ) -> Ground:
        """Return the same data at other moments; what is known of it is shared."""
        other = Ground(
            self.client,
            moments,
            words=self.words,
            instances=self.instances,
            live=self.live,
            any_labels=any_labels,
            names=names,
        )
        other._known = self._known
        other.constant = self.constant
        return other

    @cached_property
    def constant(self) -> frozenset[str]:
        """The labels that have one value all over the data, and so tell nothing apart."""
        names = self.client.get("labels")
        few = {name for name in names if len(self.client.get(f"label/{name}/values")) <= 1}
        return frozenset(few | {_NAME})

    def expected(self, promql: str) -> list[Result]:
        """Return what a reference gives at each moment; it is asked once and remembered.

        Raises:
            QueryError: the server refuses it or is not reached.
        """
        for time in self.moments:
            key = (promql, time, self.names)
            if key not in self._known:
                self._known[key] = self._ask(promql, time)
        return [self._read(self._known[promql, time, self.names]) for time in self.moments]

    def given(self, promql: str) -> list[Result]:
        """Return what an answer gives at each moment.

        Raises:
            QueryError: the server refuses it or is not reached.
        """
        return [self._read(self._ask(promql, time)) for time in self.moments]

    def _read(self, result: Result) -> Result:
        """Return a result without its labels, where one value alone is asked for and there."""
        if not (self.any_labels and len(result.series) == 1):
            return result
        (value,) = result.series.values()
        return replace(result, series={frozenset(): value})

    def filled_in(self, promql: str) -> str:
        """Return a query with Grafana's variables filled in, as it is sent."""
        pace = self.client.scrape_interval
        return expand(promql, step_ms=round(pace * 1000), span_ms=_RANGE_MS, scrape_interval=pace)

    def _ask(self, promql: str, time: float) -> Result:
        data = self.client.get("query", query=self.filled_in(promql), time=f"{time:.3f}")
        kind, result = data["resultType"], data["result"]
        if kind == "scalar":
            return Result(time, kind, {frozenset(): float(result[1])})
        if kind != "vector":
            return Result(time, kind)
        left_out = self.constant - {_NAME} if self.names else self.constant
        series = {
            frozenset(
                (name, value) for name, value in each["metric"].items() if name not in left_out
            ): float(each["value"][1]) if "value" in each else math.nan
            for each in result
        }
        return Result(time, kind, series, doubled=len(series) < len(result))


def differences(expected: Result, given: Result, tolerance: Tolerance) -> list[Difference]:
    """Return the series in which a result is not as expected, the furthest off first.

    A value that is not a number equals nothing: where one is expected, an exercise is not sound.
    """
    found = [
        Difference(expected.time, labels, expected.series.get(labels), given.series.get(labels))
        for labels in sorted({*expected.series, *given.series}, key=sorted)
        if _off(expected.series.get(labels), given.series.get(labels), tolerance) > 1
    ]
    return sorted(found, key=lambda d: -_off(d.expected, d.given, tolerance))


def same(expected: Sequence[Result], given: Sequence[Result], tolerance: Tolerance) -> bool:
    """Whether two results are the same at every moment, within a tolerance."""
    return all(
        of.kind in {"vector", "scalar"} and not of.doubled and not differences(at, of, tolerance)
        for at, of in zip(expected, given, strict=True)
    )


def alike(first: Sequence[Result], second: Sequence[Result], tolerance: Tolerance) -> bool:
    """Whether two answers are the same wherever they are right or wrong: NaN is like NaN here."""
    return all(
        (a.kind, a.doubled, a.series.keys()) == (b.kind, b.doubled, b.series.keys())
        and all(
            (math.isnan(value) and math.isnan(b.series[labels]))
            or _off(value, b.series[labels], tolerance) <= 1
            for labels, value in a.series.items()
        )
        for a, b in zip(first, second, strict=True)
    )


def distance(expected: Result, given: Result, tolerance: Tolerance) -> float:
    """Return how many tolerances the worst series is off; infinity where one is missing or extra.

    0 where both are empty.
    """
    if given.kind not in {"vector", "scalar"} or given.doubled:
        return math.inf
    every = {*expected.series, *given.series}
    pairs = ((expected.series.get(labels), given.series.get(labels)) for labels in every)
    return max((_off(of, to, tolerance) for of, to in pairs), default=0.0)


def _off(expected: float | None, given: float | None, tolerance: Tolerance) -> float:
    """Return how many tolerances a value is off."""
    if expected is None or given is None or math.isnan(expected) or math.isnan(given):
        return math.inf
    if expected == given or math.isinf(tolerance.absolute):
        return 0.0
    allowed = tolerance.at(expected)
    if math.isinf(expected) or math.isinf(given) or not allowed:
        return math.inf
    return abs(given - expected) / allowed
