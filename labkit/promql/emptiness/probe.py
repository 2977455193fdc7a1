"""A few small questions to a Prometheus about one moment or one window."""

from __future__ import annotations

import math
import re
import time as clock
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.errors import LabError
from labkit.promql.syntax.node import NAME, Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.promql.client import Client
    from labkit.promql.syntax.node import Node

MOST_QUESTIONS = 24  # as a rule a dozen are enough
LOOKBACK_SECONDS = 300.0  # how old a sample may be for an instant selector; a server's default
_POINTS = 250  # of a window, to see whether there is anything in it
_ZOOM_POINTS = 1000
_EXACT_SECONDS = 0.05
_SPANS = (3600.0, 40 * 86400.0, 10 * 365 * 86400.0)  # how far to look for a sample, in turn
_TOLD = {"labels", "health", "lastError"}  # of a target
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class AskedEnough(LabError):
    """The questions or the time for them are used up."""


class Found(NamedTuple):
    """A series: its labels, and its value at the moment or its values in the window."""

    labels: Mapping[str, str]
    values: Sequence[float]


@dataclass
class Budget:
    """How many questions may still be asked, and until when."""

    questions: int
    deadline: float

    def take(self) -> None:
        """Count one question.

        Raises:
            AskedEnough: there is none left, or the time is up.
        """
        self.questions -= 1
        if self.questions < 0 or clock.monotonic() > self.deadline:
            raise AskedEnough("Looking for the reason takes too long.")


@dataclass(frozen=True)
class Probe:
    """Asks a server about the time from start to end; a moment is a window of no length.

    Attributes:
        client: where to ask.
        start: unix seconds.
        end: unix seconds.
        now: what counts as now on that server.
        whole: start and end of the query that all this is about, as ``@ start()`` means them.
        budget: shared with the probes made from this one.
    """

    client: Client
    start: float
    end: float
    now: float
    whole: tuple[float, float]
    budget: Budget = field(repr=False)

    @classmethod
    def of(
        cls,
        client: Client,
        start: float | None = None,
        end: float | None = None,
        *,
        budgets: int = 1,
    ) -> Probe:
        """Return a probe with a budget of its own; now is the server's own where there is no end.

        Args:
            client: where to ask.
            start: unix seconds.
            end: unix seconds.
            budgets: how many times the usual number of questions may be asked.

        Raises:
            QueryError: when the server does not answer.
        """
        budget = Budget(budgets * MOST_QUESTIONS, clock.monotonic() + 2 * client.timeout)
        now = client.at
        if now is None:  # the server's clock, which may differ from this machine's
            budget.take()
            now = float(client.get("query", query="time()")["result"][0])
        end = now if end is None else end
        start = end if start is None else start
        return cls(client, start, end, now, (start, end), budget)

    @property
    def instant(self) -> bool:
        """Whether it asks about one moment."""
        return self.start == self.end

    def during(self, start: float, end: float) -> Probe:
        """Return one that asks about another time, from the same budget."""
        return replace(self, start=start, end=end)

    def seen_by(self, node: Node) -> Probe:
        """Return one for the time that a selector or subquery looks at: its @ and offset."""
        start, end = self.start, self.end
        if node.at:
            places = {"start()": self.whole[0], "end()": self.whole[1]}
            start = end = places[node.at] if node.at in places else float(node.at)
        return self.during(start - node.offset_seconds, end - node.offset_seconds)

    def series(self, promql: str) -> list[Found]:
        """Return what an expression is at the moment, or at 250 points of the window.

        Raises:
            QueryError: as any query.
        """
        self.budget.take()
        if self.instant:
            data = self.client.get("query", query=promql, time=_exact(self.end))
            if data["resultType"] != "vector":  # a number or a text, which has no labels
                return [Found({}, [float(data["result"][1])])]
            return [Found(s["metric"], _numbers([s.get("value")])) for s in data["result"]]
        step = max(0.001, (self.end - self.start) / _POINTS)
        return self._range(promql, self.start, step)

    def empty(self, node: Node) -> bool:
        """Return whether a part of an expression gives nothing."""
        if node.kind in {"number", "string"} or node.is_scalar:
            return False
        inside = f"count_over_time({node.text})" if node.kind in _WINDOWS else node.text
        return not self.series(f"count({inside})")

    def label_values(self, label: str, *selectors: Iterable[Matcher]) -> list[str]:
        """Return the values that a label has, at any time, in the series that a selector picks.

        Args:
            label: its name.
            selectors: matchers; without any, in all series.
        """
        path = label if _PLAIN_LABEL.fullmatch(label) else _escaped(label)
        match = {"match[]": [braced(matchers) for matchers in selectors]} if selectors else {}
        self.budget.take()
        return sorted(self.client.get(f"label/{path}/values", **match) or ())

    def label_names(self, matchers: Iterable[Matcher]) -> list[str]:
        """Return the labels that the series of a selector have, at any time, without the name."""
        self.budget.take()
        names = self.client.get("labels", **{"match[]": [braced(matchers)]}) or ()
        return sorted(name for name in names if name != NAME)

    def targets(self) -> list[Mapping[str, Any]]:
        """Return the active targets; none for a past, which has none, or where none are told."""
        if self.client.at is not None:
            return []
        self.budget.take()
        try:
            targets = self.client.get("targets", state="active")["activeTargets"]
        except LabError:  # servers that have Prometheus's query API only
            return []
        return [target for target in targets if target.keys() >= _TOLD]

    def recorded(self, name: str) -> str:
        """Return the expression of the recording rule of that name; empty if there is none."""
        self.budget.take()
        try:
            groups = self.client.get("rules", type="record")["groups"]
        except LabError:
            return ""
        rules = [rule for group in groups for rule in group["rules"]]
        return next((str(rule["query"]) for rule in rules if rule.get("name") == name), "")

    def last_sample(self, selector: str) -> float | None:
        """Return when the last sample up to the end was, within 0.05 s, in unix seconds."""
        return self._last(f"last_over_time({selector}[%s])")

    def last_one(self, selector: str) -> float | None:
        """Return when a selector of 0s and 1s was 1 last, up to the end, in unix seconds."""
        return self._last(f"max_over_time({selector}[%s]) == 1")

    def next_sample(self, selector: str) -> float | None:
        """Return when the first sample after the end was, within 0.05 s, in unix seconds."""
        if self.now <= self.end:
            return None
        return self._edge(f"last_over_time({selector}[%s])", self.end, self.now, 0)

    def _last(self, promql: str) -> float | None:
        for span in _SPANS:
            if (found := self._edge(promql, self.end - span, self.end, -1)) is not None:
                return found
        return None

    def _edge(self, promql: str, start: float, end: float, which: int) -> float | None:
        """Return when an expression is first (0) or last (-1) there in a span, closing in on it.

        It has a %s for its window.
        """
        while True:
            step = math.ceil(max(1.0, (end - start) * 1000 / _ZOOM_POINTS)) / 1000
            # Each point looks back exactly one step, so that no sample falls between two.
            asked = f"count({promql.replace('%s', f'{round(step * 1000)}ms')})"
            # What does not divide evenly juts out at the far side, where samples do not matter.
            steps = math.ceil((end - start) / step)
            first = (end - steps * step if which else start) + step
            self.budget.take()
            series = self._grid(asked, first, first + (steps - 0.5) * step, step)
            times = [float(time) for each in series for time, _ in each["values"]]
            if not times:
                return None
            start, end = times[which] - step, times[which]
            if step <= _EXACT_SECONDS:
                return end

    def _range(self, promql: str, start: float, step: float) -> list[Found]:
        data = self._grid(promql, start, self.end, step)
        return [Found(s["metric"], _numbers(s.get("values", ()))) for s in data]

    def _grid(self, promql: str, start: float, end: float, step: float) -> Any:
        return self.client.get(
            "query_range",
            query=promql,
            start=_exact(start),
            end=_exact(end),
            step=f"{max(1, round(step * 1000)) / 1000:.3f}",
        )["result"]


_WINDOWS = {"range", "subquery"}


def braced(matchers: Iterable[Matcher]) -> str:
    """Write matchers as a selector."""
    return f"{{{', '.join(map(str, matchers))}}}"


def _numbers(pairs: Iterable[Any]) -> list[float]:
    return [float(pair[1]) for pair in pairs if pair]  # a native histogram has none


def _exact(seconds: float) -> str:
    return f"{seconds:.3f}"


def _escaped(label: str) -> str:
    """Write a label that is no plain word as the path of Prometheus 3 takes it."""
    return "U__" + "".join(
        "__" if c == "_" else c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in label
    )
