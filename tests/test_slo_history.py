"""Burn-rate alerts over simulated weeks: those that should fire do, and no other."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import pytest

from labkit.historical import HistoryLab
from labkit.history import (
    BadEndpoint,
    BudgetDrip,
    ErrorBurst,
    History,
    Incident,
    Outage,
    SlowDependency,
    TrafficSpike,
)
from labkit.slo import SLO, burning
from tests.prometheus_lines import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.prometheus.binary import Binary

AVAILABILITY = SLO.availability()
BEGIN = pd.Timestamp("2026-01-23T00:00Z")  # a Friday
DAYS = 8
FAILURE, REFUSAL = ("database_error",), ("validation_error",)
SEEDS = range(20)


class Planned(NamedTuple):
    """An incident, and the severity and the long window of the alert that it should fire."""

    hours: float  # from the beginning
    length: str
    make: Callable[[str, str], Incident]
    fires: tuple[str, str] | None = None


# A page takes 14.4 burn rate hours (2 % of the budget) within one, or 36 within six; a ticket 72.
PLAN = (
    Planned(34, "3m", lambda at, to: ErrorBurst(at, to, 0.3, FAILURE)),
    Planned(39, "1h", lambda at, to: SlowDependency(at, to, factor=10)),
    Planned(52, "15m", lambda at, to: ErrorBurst(at, to, 0.3, FAILURE), ("page", "1h")),
    Planned(82, "1h", lambda at, to: ErrorBurst(at, to, 0.4, REFUSAL)),
    Planned(88, "1h", lambda at, to: TrafficSpike(at, to, factor=4)),
    Planned(92, "20m", Outage),
    # Burns at 4.5, and nowhere near for long enough.
    Planned(104, "2h", lambda at, to: BadEndpoint(at, to, endpoint="/slow", ratio=0.15)),
    # Burns at 12: less than the fastest pair needs, at an hour at which traffic rises.
    Planned(
        126, "130m", lambda at, to: BadEndpoint(at, to, endpoint="/slow", ratio=0.4), ("page", "6h")
    ),
    # Burns at 2.4: no page, and 30 hours until the ticket.
    Planned(144, "40h", lambda at, to: BudgetDrip(at, to, ratio=0.012), ("ticket", "3d")),
)


def history(seed: int) -> History:
    """Return the week of a seed: each incident up to 20 minutes off its time."""
    off = np.random.default_rng(seed).integers(-20, 21, len(PLAN))
    made = [
        planned.make(
            str((BEGIN + pd.Timedelta(hours=planned.hours, minutes=int(minutes))).isoformat()),
            planned.length,
        )
        for planned, minutes in zip(PLAN, off, strict=True)
    ]
    return History(DAYS, seed, "2026-01-31T00:00Z", incidents=made)


def simulated(past: History) -> list[burning.Firing]:
    """Return what fires on the model's own arrays."""
    total = past.truth.per_scrape()
    bad = past.truth.per_scrape(status="5xx")
    seconds = pd.DatetimeIndex(total.index).as_unit("ms").asi8 / 1000
    good = (total - bad).to_numpy()
    return burning.simulate(
        seconds, good, total.to_numpy(), AVAILABILITY.alerting(), AVAILABILITY.allowed
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_alerts_fire_for_the_incidents_that_they_should_and_for_no_other(seed: int) -> None:
    past = history(seed)
    expected = {
        row.start.timestamp(): (row.end.timestamp(), planned.fires)
        for row, planned in zip(past.truth.incidents.itertuples(), PLAN, strict=True)
        if planned.fires
    }
    found = simulated(past)
    for one in found:
        during = [fires for start, (end, fires) in expected.items() if start < one.start <= end]
        long = f"{one.pair.long_seconds / 3600:g}h".replace("72h", "3d")
        assert during == [(one.severity, long)], one
    assert len(found) == len(expected)


# --- Through Prometheus: a seed on each line ----------------------------------------------------


@pytest.fixture(scope="module")
def lab(
    prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HistoryLab]:
    caches = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(caches))
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        with HistoryLab(history(binaries().index(prometheus_binary))) as lab:
            yield lab


@pytest.fixture(scope="module")
def found(lab: HistoryLab) -> pd.DataFrame:
    with contextlib.redirect_stderr(io.StringIO()) as told:
        frame = AVAILABILITY.alerts(lab, start=lab.history.start)
    assert told.getvalue() == "", "an empty condition is nothing to tell"
    return frame


def test_prometheus_finds_what_the_model_knows(lab: HistoryLab, found: pd.DataFrame) -> None:
    truth = simulated(lab.history)
    assert [(row.severity, row.window) for row in found.itertuples()] == [
        planned.fires for planned in PLAN if planned.fires
    ]
    for row, one in zip(found.itertuples(), truth, strict=True):
        tolerance = {"page": 180, "ticket": 900}[row.severity]
        assert abs(row.start.timestamp() - one.start) <= tolerance, row
        assert abs(row.end.timestamp() - one.end) <= tolerance, row


def test_the_budget_is_that_of_the_truth(lab: HistoryLab) -> None:
    truth = lab.truth.between(lab.history.start)
    report = AVAILABILITY.report(lab)
    left = 1 - truth.error_ratio() / AVAILABILITY.allowed
    assert report.time == lab.history.end
    assert report.budget_left == pytest.approx(left, abs=0.01)
    spent = AVAILABILITY.spending(lab, start=lab.history.start)
    assert spent["left"].iloc[-1] == pytest.approx(100 * left, abs=1)
    assert spent["total"].sum() == pytest.approx(truth.requests(), rel=0.01)


def test_the_chart_marks_the_models_incidents(lab: HistoryLab, found: pd.DataFrame) -> None:
    marked = lab.truth.incidents
    axes = AVAILABILITY.plot(lab, start=lab.history.start, incidents=marked, alerts=found)
    texts = [text.get_text() for text in axes.texts]
    assert sum(text in set(marked["name"]) for text in texts) == len(PLAN)
    assert sum(text.startswith(("page (", "ticket (")) for text in texts) == 3
