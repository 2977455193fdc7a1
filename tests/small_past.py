"""A small past that is known exactly, on which storing and serving one is tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

END = 1_769_817_600  # 2026-01-31 00:00 UTC
DAY = 86_400
HOSTILE = 'a "b"\\\n<i>é</i>'


class Family(NamedTuple):
    name: str
    type: str
    help: str


class Series(NamedTuple):
    family: str
    name: str
    labels: dict[str, str]
    values: NDArray[np.float64]


class Chunk(NamedTuple):
    times_ms: NDArray[np.int64]
    series: list[Series]


@dataclass
class SmallPast:
    """Days of a few series, scraped each minute at 17 s past.

    The counter begins anew after four days; the gauge is fractions with a gap of ten scrapes a
    day; the last series has a label that is hard to write, and is born on the second day.
    """

    days: int = 1
    name: str = "small"
    before: Callable[[int], object] = field(default=lambda day: None)  # called for each day
    times_ms_past: int = 17_000
    interval = 60.0
    end = float(END)
    families = (
        Family("jobs_total", "counter", 'Jobs with "quotes"\\.'),
        Family("heat_celsius", "gauge", "Heat."),
        Family("odd", "gauge", ""),
    )

    @property
    def digest(self) -> str:
        return f"{self.name} {self.days} {self.times_ms_past}"

    @property
    def start(self) -> float:
        return self.end - self.days * DAY

    def chunks(self) -> Iterator[Chunk]:
        for day in range(self.days):
            self.before(day)
            yield self.chunk(day)

    def chunk(self, day: int) -> Chunk:
        count = np.arange(day * 1440, (day + 1) * 1440)
        times = (int(self.start) * 1000) + 60_000 * count + self.times_ms_past
        jobs = (3 * (count % 5760)).astype(float)
        heat = 20 + np.sin(count / 100) / 3
        heat[700:710] = np.nan
        labels = {"job": "flask", "instance": "app-1"}
        series = [
            Series("jobs_total", "jobs_total", {**labels, "kind": "a"}, jobs),
            Series("jobs_total", "jobs_total", {**labels, "kind": "b"}, 2 * jobs),
            Series("heat_celsius", "heat_celsius", labels, heat),
        ]
        if day:
            series.append(Series("odd", "odd", {"text": HOSTILE}, count * 0.5))
        return Chunk(times, series)

    def samples(self) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
        """Return every sample, by its series' name and labels."""
        found: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for day in range(self.days):
            chunk = self.chunk(day)
            for one in chunk.series:
                key = tuple(sorted({"__name__": one.name, **one.labels}.items()))
                pairs = zip((chunk.times_ms / 1000).tolist(), one.values.tolist(), strict=True)
                found.setdefault(key, []).extend(p for p in pairs if p[1] == p[1])
        return found
