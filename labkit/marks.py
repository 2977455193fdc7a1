"""Marks: when traffic began and ended and what else was changed, so that charts show causes."""

from __future__ import annotations

import math
import threading
import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import pandas as pd

    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.scenario_run import ScenarioRun

MarkKind: TypeAlias = Literal["run", "scenario", "faults", "app", "alert", "incident"]

_MOST_NOTED = 1000  # the oldest are forgotten; a dashboard looks back an hour at most
_MOST_FIELDS = 2  # of a change of faults that are spelt out


@dataclass(frozen=True)
class Mark:
    """Something that happened: at one moment, or from one until another.

    Args:
        time: when it happened or began, in unix seconds.
        until: when it ended; None while it goes on, the same as ``time`` for a moment.
        kind: run, scenario, faults, app, alert or incident.
        label: a word or two that stand in a chart.
        text: the whole of it, one line.
    """

    time: float
    until: float | None
    kind: MarkKind
    label: str
    text: str

    @property
    def is_span(self) -> bool:
        """Whether it takes some time."""
        return self.until != self.time


class Marks:
    """What happened in a lab. Usable from several threads at once.

    Runs and scenarios know themselves when they began and ended; the rest is noted here.

    Args:
        runs: the lab's runs, a list that grows.
        scenarios: the lab's scenarios, another one.
    """

    def __init__(self, runs: Sequence[TrafficRun], scenarios: Sequence[ScenarioRun]) -> None:
        self._runs = runs
        self._scenarios = scenarios
        self._lock = threading.Lock()
        self._noted: list[Mark] = []
        self._firing: tuple[float, AbstractSet[str]] | None = None  # when they were seen last
        self._faults_lock = threading.Lock()  # held while an app elsewhere is asked
        self._read: Callable[[], Mapping[str, float]] | None = None
        self._faults: Mapping[str, float] | None = None

    def add(
        self,
        kind: MarkKind,
        label: str,
        text: str = "",
        time: float | None = None,
        until: float | None = None,
    ) -> Mark:
        """Note that something happened.

        Args:
            kind: run, scenario, faults, app, alert or incident.
            label: a word or two that stand in a chart.
            text: the whole of it, one line; the label by default.
            time: when, in unix seconds; now by default.
            until: when it ended; the same as ``time`` by default.
        """
        when = clock.time() if time is None else time
        mark = Mark(when, when if until is None else until, kind, label, text or label)
        with self._lock:
            self._noted.append(mark)
            del self._noted[:-_MOST_NOTED]
        return mark

    def fire(self, firing: Mapping[str, str], when: float) -> None:
        """Note the alerts that fire since the look before; those of the first look are older.

        Args:
            firing: the summary of each alert that fires, by its name.
            when: the moment that is looked at, in unix seconds.
        """
        with self._lock:
            seen_at, before = self._firing or (when, firing.keys())
            if when < seen_at:
                return  # another dashboard has looked meanwhile
            self._firing = (when, set(firing))
        for name in firing.keys() - before:
            self.add("alert", name, f"{name} fires: {firing[name]}", when)

    def follow(
        self,
        read: Callable[[], Mapping[str, float]],
        on_change: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """Note the changes of an app's faults from now on.

        Args:
            read: gives the faults now, as ``faults.to_dict`` does.
            on_change: takes what is to be called at each change, as ``faults.on_change`` does. An
                app elsewhere has none: there `look` finds out.
        """
        with self._faults_lock:
            self._read, self._faults = read, None
        if on_change is not None:
            self.look()
            on_change(self.look)

    def look(self) -> None:
        """Note how the faults differ from those seen last; the first look notes nothing.

        Raises:
            LabError: an app elsewhere does not tell.
        """
        with self._faults_lock:
            if self._read is None:
                return
            before, now = self._faults, dict(self._read())
            self._faults = now
            if before is not None and (words := _change(before, now)):
                self.add("faults", "faults", words)

    def between(self, start: float, end: float) -> list[Mark]:
        """Return what happened or went on then, by its time.

        Args:
            start: unix seconds.
            end: unix seconds.
        """
        with self._lock:
            noted = list(self._noted)
        runs = [_of_run(run) for run in list(self._runs)]
        scenarios = [_of_scenario(scenario) for scenario in list(self._scenarios)]
        found = [
            mark
            for mark in (*noted, *runs, *scenarios)
            if mark.time <= end and (math.inf if mark.until is None else mark.until) >= start
        ]
        return sorted(found, key=lambda mark: mark.time)

    def to_frame(self) -> pd.DataFrame:
        """Return everything: ``time`` and ``until`` (UTC; NaT while it goes on), ``kind``, …."""
        import pandas as pd

        marks = self.between(-math.inf, math.inf)
        until = [math.nan if m.until is None else m.until for m in marks]
        columns = {
            "time": pd.to_datetime([m.time for m in marks], unit="s", utc=True),
            "until": pd.to_datetime(until, unit="s", utc=True),
            "kind": [m.kind for m in marks],
            "label": [m.label for m in marks],
            "text": [m.text for m in marks],
        }
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        return f"<Marks {len(self.between(-math.inf, math.inf))} so far>"


def _of_run(run: TrafficRun) -> Mark:
    text = f"{run.shape}, mix {run.mix.name}"
    return Mark(run.started_at, run.ended_at, "run", run.name, text)


def _of_scenario(run: ScenarioRun) -> Mark:
    return Mark(run.started_at, run.ended_at, "scenario", run.name, run.scenario.title)


def _change(before: Mapping[str, float], now: Mapping[str, float]) -> str:
    """Say which fields changed, from what to what; nothing if none did."""
    changed = [name for name in now if now[name] != before.get(name)]
    parts = [
        f"{name} {before.get(name, math.nan):g} → {now[name]:g}" for name in changed[:_MOST_FIELDS]
    ]
    if more := len(changed) - len(parts):
        parts.append(f"and {more} more")
    return ", ".join(parts)
