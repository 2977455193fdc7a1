"""Budgets over time: what is left of one, and which alerts its spending would have fired."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from labkit.errors import LabError
from labkit.promql.steps import MAX_POINTS, default_step_ms, step_in_ms, unix_ms
from labkit.slo import burning
from labkit.slo.asked import quiet
from labkit.slo.rules import condition, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from labkit.promql.steps import Instant
    from labkit.slo.asked import Asked
    from labkit.slo.objective import Objective
    from labkit.slo.policy import Alert, Pair

    Floats = NDArray[np.float64]

COLUMNS = (
    "alert",
    "severity",
    "window",
    "start",
    "end",
    "peak_burn",
    "incident",
    "cost_percent",
    "left_percent",
)
_FINER = 3  # a curve has three times the points of a chart: a short incident is steep in it
_EVALUATION_SECONDS = {"page": 60.0, "ticket": 300.0}


class Period(NamedTuple):
    """A stretch of time, in unix seconds."""

    start: float
    end: float


def now(lab: Asked) -> float:
    """Return the moment that a lab's questions are about, in unix seconds."""
    return float(lab.query("time()")["value"].iloc[0])


def period(slo: Objective, lab: Asked, start: Instant | None, end: Instant | None) -> Period:
    """Return a period with its defaults: one window of the objective, up to now.

    Raises:
        ValueError: its end is not after its start.
    """
    last = now(lab) if end is None else unix_ms(end, "end") / 1000
    first = last - slo.window_seconds if start is None else unix_ms(start, "start") / 1000
    if last <= first:
        raise ValueError(f"the period ends {first - last:g} s before it starts, or at once")
    return Period(first, last)


def spending(slo: Objective, lab: Asked, times: Period, step: float | str | None) -> pd.DataFrame:
    """Return how a budget was spent over a period; see :meth:`labkit.slo.SLO.spending`."""
    lab = quiet(lab)
    seconds = _step(times, lab, step)
    count = math.ceil((times.end - times.start) / seconds - 1e-9)
    if count > MAX_POINTS:
        raise ValueError(
            f"a step of {seconds:g} s makes {count:,} points of this period; {MAX_POINTS:,} are "
            "the most"
        )
    good, total = (_increments(lab, each, times, seconds, count) for each in (slo.good, slo.total))
    if np.isnan(total).all() or np.isnan(good).all() or not np.nansum(total) > 0:
        raise nothing_counted(slo, lab, times)
    skipped = int(np.argmax(~np.isnan(total)))  # where the data begin
    good, total = (np.nan_to_num(each[skipped:]) for each in (good, total))
    bad = np.maximum(total - good, 0.0)
    left = 100 * (1 - np.cumsum(bad) / (slo.allowed * total.sum()))
    at = times.end - seconds * np.arange(len(total), -1, -1)
    index = pd.to_datetime(np.rint(at * 1000).astype(np.int64), unit="ms", utc=True)
    columns = {"good": good, "total": total, "left": left}
    first = {"good": 0.0, "total": 0.0, "left": 100.0}
    return pd.DataFrame(
        {name: np.concatenate([[first[name]], values]) for name, values in columns.items()},
        index=index.rename("time"),
    )


def fired(
    slo: Objective,
    lab: Asked,
    times: Period,
    step: float | str | None,
    incidents: pd.DataFrame | None,
    *,
    least_failed: int,
) -> pd.DataFrame:
    """Return which alerts would have fired; see :meth:`labkit.slo.SLO.alerts`."""
    lab = quiet(lab)
    whole = spending(slo, lab, times, None)
    budget = slo.allowed * whole["total"].sum()
    alerts = slo.alerting(least_failed=least_failed)
    found = [one for alert in alerts for one in _fired(slo, lab, alert, times, step)]
    rows = []
    for one in sorted(found, key=lambda one: one.start):
        name, seconds = _incident(incidents, one)
        cost = _bad(slo, lab, one.start, seconds)
        spent = _bad(slo, lab, one.start, one.start - times.start)
        rows.append(
            (
                *(one.alert, one.severity, text_of(one.pair.long_seconds), one.start, one.end),
                one.peak_ratio / slo.allowed,
                name,
                100 * cost / budget,
                100 * (1 - spent / budget),
            )
        )
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("start", "end"):
        milliseconds = np.rint(frame[column].to_numpy(np.float64) * 1000).astype(np.int64)
        frame[column] = pd.to_datetime(milliseconds, unit="ms", utc=True)
    return frame


def _incident(incidents: pd.DataFrame | None, one: burning.Firing) -> tuple[str, float]:
    """Return the incident that fired an alert, and how long it had gone on.

    It is the one that began last of those that went on then, or had ended in the short window.
    Where there is none, the name is empty, and the time that of the long window.
    """
    if incidents is not None:
        for row in incidents.sort_values("start", ascending=False).itertuples():
            start, end = (pd.Timestamp(each).timestamp() for each in (row.start, row.end))  # type: ignore[arg-type] # a cell of the frame
            if start <= one.start <= end + one.pair.short_seconds:
                return str(row.name), one.start - start
    return "", one.pair.long_seconds


def nothing_counted(slo: Objective, lab: Asked, times: Period) -> LabError:
    """Return the error that says why an error ratio has no value over a period."""
    span = text_of(max(1.0, math.floor(times.end - times.start)))
    for name, selector in (("total", slo.total), ("good", slo.good)):
        if lab.query(f"count(last_over_time({selector}[{span}]))", time=times.end).empty:
            return LabError(
                f"No series matches `{name}` of the objective {slo.name} in the {span} before "
                f"{_moment(times.end)}.",
                evidence="\n".join([selector, *_boundaries(lab, selector, times, span)]),
                next_step="check the name and the labels: lab.metrics() tells those there are.",
            )
    return LabError(
        f"There was no request in the {span} before {_moment(times.end)}: nothing burns the "
        f"budget of {slo.name}.",
        evidence=slo.total,
        next_step="send traffic, or ask about another time.",
    )


def _boundaries(lab: Asked, selector: str, times: Period, span: str) -> list[str]:
    """Say which buckets there are, where a bucket was asked for."""
    name, _, matchers = selector.partition("{")
    if not name.endswith("_bucket") or "le" not in matchers:
        return []
    frame = lab.query(f"count by (le) (last_over_time({name}[{span}]))", time=times.end)
    if "le" not in frame:
        return []
    return ["le is one of " + ", ".join(sorted(frame["le"], key=float))]


def _moment(seconds: float) -> str:
    return f"{pd.Timestamp(seconds, unit='s', tz='UTC'):%Y-%m-%d %H:%M} UTC"


def _step(times: Period, lab: Asked, step: float | str | None) -> float:
    if step is not None:
        return step_in_ms(step) / 1000
    milliseconds = round((times.end - times.start) * 1000 / _FINER)
    return default_step_ms(milliseconds, lab.scrape_interval) / 1000


def _increments(lab: Asked, selector: str, times: Period, seconds: float, count: int) -> Floats:
    """Return how many requests each step of a period saw; NaN where nothing was scraped.

    The range is one scrape longer than the step, so that neighbours share a sample and none is
    left out between them; what increase() then says of the longer range is taken down to the step.
    """
    window = seconds + lab.scrape_interval
    promql = f"sum(increase({selector}[{text_of(window)}])) * {seconds / window!r}"
    first = times.end - seconds * (count - 1)
    frame = lab.query_range(promql, start=first, end=times.end, step=seconds)
    return _only(frame, count)


def _fired(
    slo: Objective, lab: Asked, alert: Alert, times: Period, step: float | str | None
) -> list[burning.Firing]:
    """Ask when an alert's condition held, and return when it fired."""
    if step is None:
        seconds = max(_EVALUATION_SECONDS[alert.severity], lab.scrape_interval)
    else:
        seconds = step_in_ms(step) / 1000
    count = int((times.end - times.start) / seconds + 1e-9) + 1
    at = np.asarray(times.start + seconds * np.arange(count), np.float64)
    ratios = [_burning(slo, lab, pair, at, seconds) for pair in alert.pairs]
    return burning.fired(at, alert, ratios)


def _burning(slo: Objective, lab: Asked, pair: Pair, at: Floats, seconds: float) -> Floats:
    promql = condition(slo, pair, slo.error_ratio, slo.failed)
    pieces = np.array_split(at, math.ceil(len(at) / MAX_POINTS))
    found = []
    for piece in pieces:
        frame = lab.query_range(promql, start=float(piece[0]), end=float(piece[-1]), step=seconds)
        found.append(_only(frame, len(piece)))
    return np.concatenate(found)


def _only(frame: pd.DataFrame, count: int) -> Floats:
    """Return the one series of a range, or NaN where there is none."""
    if frame.shape[1] == 0:
        return np.full(count, np.nan)
    return frame.iloc[:, 0].to_numpy(np.float64)


def _bad(slo: Objective, lab: Asked, at: float, seconds: float) -> float:
    """Return how many requests were not good in the seconds before a moment."""
    if seconds < 1:
        return 0.0
    window = text_of(math.floor(seconds))
    total, good = (
        _number(lab, f"sum(increase({each}[{window}]))", at) for each in (slo.total, slo.good)
    )
    return max(0.0, total - good)


def _number(lab: Asked, promql: str, at: float) -> float:
    frame = lab.query(promql, time=at)
    return 0.0 if frame.empty else float(frame["value"].iloc[0])
