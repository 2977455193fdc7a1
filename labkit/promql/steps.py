"""Times, steps and the variables that Grafana fills in: what a query needs before it is sent."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

MAX_POINTS = 11_000  # Prometheus answers at most this many steps a series
TARGET_POINTS = 600  # about one point for every other pixel of a wide chart

# ISO 8601 text or a datetime (pandas' Timestamp is one), with a time zone; or unix seconds.
Instant: TypeAlias = "str | datetime | float"
Step: TypeAlias = "float | str | timedelta"  # seconds, or a Prometheus duration such as "1m30s"

_UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_DECIMAL = re.compile(r"(\d+\.\d+)(ms|[smhdwy])")
# Steps people can read off an axis; Grafana rounds to much the same ones.
_READABLE_MS = [
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(1_000 * s for s in (1, 2, 5, 10, 15, 30)),
    *(60_000 * m for m in (1, 2, 5, 10, 15, 30)),
    *(3_600_000 * h for h in (1, 2, 3, 6, 12, 24)),
]
_TIMES = "a time with a time zone, '2026-01-31T12:00Z' or a datetime, or unix seconds"
_DAY_MS = 86_400_000
_VARIABLE = re.compile(
    r"\$(?:\{__(?P<braced>\w+)\}|__(?P<bare>rate_interval|interval_ms|interval|range_ms|range_s|range)\b)"
)


@dataclass(frozen=True)
class Window:
    """A regular grid of times: from start to end by step, in whole milliseconds of unix time."""

    start_ms: int
    end_ms: int
    step_ms: int

    @property
    def points(self) -> int:
        """How many times there are, both ends counted."""
        return (self.end_ms - self.start_ms) // self.step_ms + 1

    @property
    def span_ms(self) -> int:
        """Milliseconds from start to end."""
        return self.end_ms - self.start_ms


def window(
    minutes: float,
    step: Step | None,
    start: Instant | None,
    end: Instant | None,
    *,
    scrape_interval: float,
    now: float,
) -> Window:
    """Return the grid that a range query is evaluated on.

    Where neither end is given the grid lies on multiples of the step, as Grafana's does, so that
    a chart that is drawn again does not shimmer. A time that was given is kept to the millisecond.

    Args:
        minutes: how far back from the end; used where there is no start.
        step: distance of the points; :func:`default_step` of the range where it is None.
        start: the first time.
        end: the last time; now where it is None.
        scrape_interval: seconds between two scrapes.
        now: the current unix time in seconds.

    Raises:
        ValueError: for a range or step that is not positive, an end before its start, a time
            without a time zone, and more points than Prometheus answers.
    """
    end_ms = unix_ms(end, "end") if end is not None else round(now * 1000)
    start_ms = unix_ms(start, "start") if start is not None else end_ms - _minutes_ms(minutes)
    if end_ms < start_ms:
        raise ValueError(
            f"the end of the range is {(start_ms - end_ms) / 1000:g} s before its start"
        )
    span_ms = end_ms - start_ms
    step_ms = step_in_ms(step) if step is not None else default_step_ms(span_ms, scrape_interval)
    if start is None and end is None:
        start_ms, end_ms = (t // step_ms * step_ms for t in (start_ms, end_ms))
    grid = Window(start_ms, end_ms, step_ms)
    if grid.points > MAX_POINTS + 1:
        raise ValueError(
            f"a step of {duration(step_ms)} makes {grid.points:,} points of this range; Prometheus "
            f"answers at most {MAX_POINTS:,}: use a step of {duration(_least_step_ms(span_ms))} "
            "or more, or a shorter range"
        )
    return grid


def default_step_ms(span_ms: int, scrape_interval: float) -> int:
    """Return a step as Grafana picks it: range over points, never under the scrape interval.

    Args:
        span_ms: the length of the range in milliseconds.
        scrape_interval: seconds between two scrapes.
    """
    wanted = max(1, math.ceil(span_ms / TARGET_POINTS))
    readable = next((s for s in _READABLE_MS if s >= wanted), -(-wanted // _DAY_MS) * _DAY_MS)
    return max(readable, round(scrape_interval * 1000))


def expand(promql: str, *, step_ms: int, span_ms: int, scrape_interval: float) -> str:
    """Fill in Grafana's variables, written ``$__name`` or ``${__name}``.

    ``interval`` is the step, ``range`` the length of the range, and ``rate_interval`` the larger
    of step + scrape interval and four scrape intervals
    (https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/).
    ``interval_ms``, ``range_s`` and ``range_ms`` are the same as plain numbers. Other names stay.
    """
    scrape_ms = round(scrape_interval * 1000)
    values = {
        "interval": duration(step_ms),
        "interval_ms": str(step_ms),
        "rate_interval": duration(max(step_ms + scrape_ms, 4 * scrape_ms)),
        "range": duration(span_ms),
        "range_s": str(round(span_ms / 1000)),
        "range_ms": str(span_ms),
    }
    return _VARIABLE.sub(lambda m: values.get(m["braced"] or m["bare"], m[0]), promql)


def duration(milliseconds: int) -> str:
    """Write a duration as PromQL does, in the largest unit that is exact: ``5m``, ``90s``."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNITS_MS[unit] == 0:
            return f"{milliseconds // _UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms"


def step_in_ms(step: Step) -> int:
    """Return a step in whole milliseconds, at least one.

    Raises:
        ValueError: when it is not positive, or not a duration.
    """
    seconds = step.total_seconds() if isinstance(step, timedelta) else step
    if isinstance(seconds, str):
        milliseconds = float(_parse(seconds))
    else:
        milliseconds = _finite(seconds, "step") * 1000
    if milliseconds <= 0:
        raise ValueError(f"step must be more than 0 seconds, not {step!r}")
    return max(1, round(milliseconds))


def length_in_ms(length: Step) -> int:
    """Return a length of time that is no part of a query: a step, or with decimals, ``0.5d``.

    Raises:
        ValueError: when it is not positive, or not a duration.
    """
    if isinstance(length, str) and (found := _DECIMAL.fullmatch(length.strip())):
        return step_in_ms(float(found[1]) * _UNITS_MS[found[2]] / 1000)
    return step_in_ms(length)


def unix_ms(when: Instant, name: str) -> int:
    """Return a time as milliseconds of unix time.

    Args:
        when: ISO 8601 text or a datetime, either with a time zone; or unix seconds.
        name: what it is called in an error.

    Raises:
        ValueError: for a time without a time zone, and for what is not a time.
    """
    read = _read(when, name) if isinstance(when, str) else when
    if not isinstance(read, datetime):
        return round(_finite(read, name, _TIMES) * 1000)
    if read.tzinfo is None:
        as_in = (
            f"'{read.isoformat()}Z' for UTC"
            if isinstance(when, str)
            else "datetime.now(timezone.utc) or some_time.astimezone()"
        )
        raise ValueError(f"{name} has no time zone: say which it is, as in {as_in}")
    return round(read.timestamp() * 1000)


def _read(text: str, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{name} must be {_TIMES}, not {text!r}") from error


def _minutes_ms(minutes: float) -> int:
    if _finite(minutes, "minutes") <= 0:
        raise ValueError(f"minutes must be more than 0, not {minutes!r}")
    return round(minutes * 60_000)


def _finite(number: object, name: str, expected: str = "a number") -> float:
    try:
        value = float(number)  # type: ignore[arg-type] # what is no number is refused just below
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(number, str | bool) or not math.isfinite(value):
        raise ValueError(f"{name} must be {expected}, not {number!r}")
    return value


def _parse(text: str) -> int:
    if not _DURATION.fullmatch(text.strip()):
        raise ValueError(
            f"step must be seconds or a duration such as '15s' or '1m30s', not {text!r}"
        )
    return sum(int(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))


def _least_step_ms(span_ms: int) -> int:
    return math.ceil(span_ms / MAX_POINTS)
