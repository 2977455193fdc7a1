"""Incidents of a simulated past: their effect is where they say, when they say, and as large."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from labkit.history import (
    BadEndpoint,
    BadInstance,
    BudgetDrip,
    ErrorBurst,
    History,
    Leak,
    Outage,
    RisingErrorType,
    SlowDependency,
    Timeouts,
    TrafficSpike,
    latency,
)

if TYPE_CHECKING:
    from labkit.history import Incident, Totals

START, END = pd.Timestamp("2026-01-30T17:59:17Z"), pd.Timestamp("2026-01-30T18:29:17Z")
WHEN = ("6h", "30m")
KINDS = [
    ErrorBurst(*WHEN),
    ErrorBurst(*WHEN, error_types=("validation_error", "permission_error")),
    SlowDependency(*WHEN),
    SlowDependency(*WHEN, endpoint="/", factor=50, share=0.25),
    Timeouts(*WHEN),
    BadEndpoint(*WHEN),
    BadEndpoint(*WHEN, "/"),
    BadInstance(*WHEN, "app-2"),
    BadInstance(*WHEN, "app-2", traffic_share=0.1),
    TrafficSpike(*WHEN),
    Outage(*WHEN, "app-2"),
    Leak(*WHEN),
    BudgetDrip(*WHEN),
    RisingErrorType(*WHEN),
    RisingErrorType(*WHEN, "timeout"),
]


def calm(*incidents: Incident, **arguments: Any) -> History:
    """A short history without restarts and gaps, but for what the incidents bring."""
    still = {"days": 1, "deploys": [], "crashes_per_day": 0, "gaps_per_day": 0}
    return History(**{**still, **arguments}, incidents=incidents)


def during(history: History) -> Totals:
    return history.truth.between("6h", "5h30m")


@pytest.mark.parametrize("incident", [k for k in KINDS if not k.silences], ids=repr)
def test_counts_change_while_an_incident_lasts_and_at_no_other_scrape(incident):
    """The same seed without it gives the same requests everywhere else."""
    history, without = calm(incident, instances=2), calm(instances=2)
    row = history.truth.incidents.iloc[0]
    assert (row["start"], row["end"]) == (START, END)
    assert (row["name"], row["cause"]) == (incident.name, incident.cause)
    for instance in history.instances:
        changed = pd.Series(False, index=history.truth.per_scrape().index)
        for status in ("200", "4xx", "500", "503", "504"):
            new = history.truth.per_scrape(instance=instance, status=status)
            changed |= new != without.truth.per_scrape(instance=instance, status=status)
        inside = changed.loc[START + timedelta(seconds=1) : END]
        slots_after = 1 if isinstance(incident, Outage) else 0  # it boots for a few seconds
        after = END + timedelta(minutes=slots_after, seconds=1)
        assert not changed.loc[:START].any()
        assert not changed.loc[after:].any()
        only_latency = isinstance(incident, Leak | SlowDependency)
        hit = incident.on in (None, instance)
        if hit and only_latency:
            continue  # the same requests, drawn anew
        assert inside.mean() > 0.9 if hit else not inside.any()


@pytest.mark.parametrize("incident", KINDS, ids=repr)
def test_latencies_change_only_where_an_incident_is(incident):
    history = calm(incident, instances=2)
    slow = isinstance(incident, Leak | SlowDependency)
    endpoint = incident.where if slow else "/"
    before, after = history.truth.between("12h", "6h"), history.truth.between("5h20m", "0h1m")
    for totals in (before, after):
        assert totals.quantile(0.9, endpoint) < 0.3
    changed = during(history).quantile(0.9, endpoint)
    assert (changed > 2 * before.quantile(0.9, endpoint)) == slow


# --- How large ---------------------------------------------------------------------------------


def test_an_error_burst_adds_the_share_of_errors_that_it_says():
    history = calm(ErrorBurst(*WHEN, ratio=0.2))
    assert during(history).errors() / during(history).requests() == pytest.approx(0.2, rel=0.05)
    assert during(history).error_ratio() == pytest.approx(0.1, rel=0.1)  # two of four kinds


def test_an_error_burst_can_be_of_4xx_alone():
    totals = during(calm(ErrorBurst(*WHEN, error_types=("validation_error",))))
    assert totals.errors("validation_error") / totals.requests() == pytest.approx(0.1, rel=0.05)
    assert totals.requests(status="4xx") == totals.errors("validation_error") + totals.errors(
        "permission_error"
    )
    assert totals.error_ratio() < 0.002


def test_a_bad_endpoint_fails_as_often_as_it_says_and_no_other_does():
    for endpoint in ("/health", "/slow", "/"):
        totals = during(calm(BadEndpoint(*WHEN, endpoint, ratio=0.3)))
        assert totals.error_ratio(endpoint) == pytest.approx(0.3, rel=0.15)
        for other in {"/", "/health", "/slow"} - {endpoint}:
            assert totals.error_ratio(other) < 0.005


def test_a_bug_in_a_view_makes_series_that_were_not_there():
    history = calm(BadEndpoint(*WHEN, "/", ratio=0.3))
    newborn = {
        series.name: series.values
        for series in history.series()
        if "unhandled_exception" in series.labels.values()
        or (series.labels.get("endpoint"), series.labels.get("status")) == ("/", "500")
    }
    assert set(newborn) == {"flask_requests_total", "flask_errors_total"}
    began = pd.to_datetime(history.times, unit="ms", utc=True) > START
    for values in newborn.values():
        np.testing.assert_array_equal(np.isnan(values), ~began)
        assert values[began][0] > 0
    assert len(list(history.series())) == 81


def test_a_sick_instance_can_have_so_little_traffic_that_others_fail_more_in_total():
    sick = BadInstance("6h", "6h", "app-3", ratio=0.6, traffic_share=0.002)
    totals = calm(sick, instances=3, requests_per_second=40).truth.between("6h")
    ratios = {name: totals.error_ratio(instance=name) for name in totals.instances}
    failures = {name: totals.server_errors(instance=name) for name in totals.instances}
    assert max(ratios, key=ratios.__getitem__) == "app-3"
    assert ratios["app-3"] > 0.05
    assert failures["app-3"] < max(failures.values())


def test_a_spike_brings_so_many_times_the_traffic():
    base, more = during(calm()), during(calm(TrafficSpike(*WHEN, factor=4)))
    assert more.requests() == pytest.approx(4 * base.requests(), rel=0.02)
    assert more.error_ratio() < 0.002


def test_a_drip_spends_what_it_says_without_a_peak():
    history = calm(BudgetDrip("20h", "12h", ratio=0.005))
    dripping = history.truth.between("20h", "8h")
    assert dripping.error_ratio() == pytest.approx(0.0054, rel=0.1)  # 0.04 % are the calm's
    bad, all_ = (history.truth.per_scrape(status=status) for status in ("5xx", None))
    hourly = bad.rolling(60).sum() / all_.rolling(60).sum()
    assert hourly.max() < 14.4 * 0.005 / 4


def test_a_type_rises_evenly_from_nothing():
    history = calm(RisingErrorType("6h", "5h", "database_error", ratio=0.05))
    assert history.truth.between("24h", "6h").errors("database_error") == 0
    assert history.truth.between("59m").errors("database_error") == 0
    hours = [history.truth.between(f"{h}h", f"{h - 1}h") for h in (6, 5, 4, 3, 2)]
    ratios = [each.errors("database_error") / each.requests() for each in hours]
    np.testing.assert_allclose(ratios, [0.005, 0.015, 0.025, 0.035, 0.045], rtol=0.1)


def test_every_type_may_be_silent():
    kinds = ("database_error", "validation_error", "permission_error", "timeout_error")
    history = calm(*(RisingErrorType("2h", "1h", kind) for kind in kinds))
    assert history.truth.between("24h", "2h").requests("/error") == 0
    assert during(history).errors() > 0  # /health and /slow still fail now and then


def test_a_leak_grows_evenly_and_stays_below_the_top_bucket():
    history = calm(Leak("8h", "6h", factor=15))
    hours = [history.truth.between(f"{h}h", f"{h - 1}h") for h in range(8, 2, -1)]
    p95 = np.array([hour.quantile(0.95, "/slow") for hour in hours])
    steps = np.diff(p95)
    assert (steps > 0).all()
    assert steps.max() < 1.35 * steps.min()
    assert history.truth.between("8h", "2h").latency_counts([5.0, 100.0])[0] == 0
    assert history.truth.between("119m").quantile(0.99, "/slow") < 0.3


def test_a_slow_dependency_may_reach_beyond_the_top_bucket():
    totals = during(calm(SlowDependency(*WHEN, factor=50)))
    assert totals.latency_counts([5.0, 100.0])[0] > 0.4 * totals.requests("/slow")
    assert totals.quantile(1.0) < 10


def test_time_outs_lie_just_above_the_apps_time_out():
    totals = during(calm(Timeouts(*WHEN, ratio=0.9)))
    assert 2.0 < totals.quantile(0.5, "/slow") < 2.01
    assert totals.server_errors("/slow") == pytest.approx(
        totals.latency_counts([2.0, 2.5], "/slow")[0]
    )


def test_an_outage_leaves_up_at_0_and_nothing_else():
    history = calm(Outage(*WHEN, "app-1"), instances=2)
    times = pd.to_datetime(history.times, unit="ms", utc=True)
    down = (times > START) & (times <= END)
    for series in history.series():
        if series.name == "up":
            expected = np.where(down & (series.labels["instance"] == "app-1"), 0, 1)
            np.testing.assert_array_equal(series.values, expected)
        elif series.labels["instance"] == "app-1":
            np.testing.assert_array_equal(np.isnan(series.values), down)
        else:
            assert not np.isnan(series.values).any()
    assert during(history).requests(instance="app-1") == 0
    back = history.truth.restarts
    assert list(back["cause"]) == ["end of an outage"]
    assert END < back["time"][0] < END + timedelta(seconds=6)
    uptime = next(s for s in history.series() if s.name == "flask_uptime_seconds")
    assert 54 < uptime.values[np.flatnonzero(down)[-1] + 1] < 58


def test_an_outage_up_to_the_end_has_no_return():
    history = calm(Outage("1h", "2h"))
    assert history.truth.restarts.empty
    assert history.truth.incidents["end"][0] == pd.Timestamp("2026-01-30T23:59:17Z")


def test_incidents_at_once_add_up():
    history = calm(
        TrafficSpike(*WHEN, factor=3),
        BadEndpoint(*WHEN, "/health", ratio=0.5),
        SlowDependency(*WHEN, factor=10),
        SlowDependency(*WHEN, endpoint="/", factor=10),
    )
    totals, base = during(history), during(calm())
    assert totals.requests() == pytest.approx(3 * base.requests(), rel=0.03)
    assert totals.error_ratio("/health") == pytest.approx(0.5, rel=0.05)
    for endpoint in ("/", "/slow"):
        slower = totals.quantile(0.5, endpoint) / base.quantile(0.5, endpoint)
        assert slower == pytest.approx(10, rel=0.1)
    assert totals.latency_counts([0, 100]).sum() == totals.requests()


# --- When --------------------------------------------------------------------------------------


def test_a_start_can_be_said_in_four_ways():
    moment = datetime(2026, 1, 30, 18, tzinfo=UTC)
    for start in ("6h", "2026-01-30T18:00Z", "2026-01-30T19:00+01:00", moment, moment.timestamp()):
        for length in ("30m", "1800s", 1800, timedelta(minutes=30)):
            row = calm(Outage(start, length)).truth.incidents.iloc[0]
            assert (row["start"], row["end"]) == (START, END)
    row = calm(Outage("0.25d", "0.5h")).truth.incidents.iloc[0]
    assert (row["start"], row["end"]) == (START, END), "where no PromQL is made of it"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Outage("soon", "1h"), "the start of Outage must be '2d3h'"),
        (lambda: Outage("2026-01-30T18:00", "1h"), "with a time zone"),
        (lambda: Outage("1h", "0s"), "the length of Outage must be a duration"),
        (lambda: Outage("1h", "a while"), "such as '30m' or '1d12h'"),
        (lambda: Outage("1h", ".5h"), "such as '30m' or '1d12h'"),
        (lambda: Outage("1.d", "1h"), "the start of Outage must be '2d3h'"),
        (lambda: ErrorBurst("1h", "1h", ratio=1.0), "ratio must be a number above 0 up to 0.9"),
        (lambda: ErrorBurst("1h", "1h", error_types=("oops",)), "one of database_error, validat"),
        (lambda: ErrorBurst("1h", "1h", error_types="timeout"), "must be a tuple of names"),
        (lambda: SlowDependency("1h", "1h", factor=0.5), "factor must be a number from 1 to 50"),
        (lambda: BadEndpoint("1h", "1h", "/error"), "endpoint must be one of /, /health, /slow"),
        (lambda: Leak("1h", "1h", factor=20), "factor must be a number from 1 to 15"),
        (lambda: BudgetDrip("1h", "1h", ratio=0.2), "up to 0.1"),
        (lambda: RisingErrorType("1h", "1h", "oops"), "error_type must be one of health_check"),
        (
            lambda: BadInstance("1h", "1h", "app-1", 0.5, 0.0),
            "traffic_share must be a number above",
        ),
        (lambda: calm(Outage("2d", "1h")), "must begin within the history, from 2026-01-30T00:00"),
        (lambda: calm(Outage("1h", 20)), "last one interval .60 s. or more"),
        (lambda: calm(Outage("20s", "1h")), "must begin within the history"),
        (lambda: calm(BadInstance("1h", "1h", "app-2")), "this history has app-1"),
    ],
)
def test_what_is_refused_is_said_with_what_is_accepted(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_every_kind_says_what_was_wrong_in_one_sentence():
    causes = [incident.cause for incident in KINDS]
    assert len(set(causes)) == len(causes)
    assert all(10 < len(cause) < 120 and not cause.endswith(".") for cause in causes)
    assert KINDS[3].cause == "what / waits for took 50 times as long for 25 % of its requests"
    assert KINDS[0] == ErrorBurst("6h", "30m")


def test_latencies_are_shifted_by_whole_places():
    assert latency.steps_slower(np.array([1.0, 10.0, 1.01])).tolist() == [0, 128, 1]
    assert not set(latency.VALUES_SECONDS) & {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5}
