"""The simulated past: the app's own metrics, consistent in every scrape, the same every time."""

from __future__ import annotations

import hashlib
import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from app import create_app
from app.faults import Faults
from app.metrics import BUCKETS, ERROR_TYPES, ROUTES
from labkit.history import (
    BadEndpoint,
    BadInstance,
    ErrorBurst,
    History,
    Leak,
    Outage,
    SlowDependency,
    TrafficSpike,
    chance,
    definitions,
    lifetimes,
    model,
)
from labkit.history.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEDS = range(10)
DURATION = "flask_request_duration_seconds"


class Samples:
    """All samples of a history, by name and labels."""

    def __init__(self, history: History) -> None:
        self.series = list(history.series())

    def __call__(self, name: str, **labels: str) -> NDArray[np.float64]:
        """Sum the series of a name that have some labels."""
        found = [
            series.values
            for series in self.series
            if series.name == name and labels.items() <= series.labels.items()
        ]
        assert found, f"there is no {name} with {labels}"
        return np.sum(found, axis=0)


def calm(**arguments: Any) -> History:
    """A short history without restarts and gaps."""
    return History(
        **{"days": 1, "deploys": [], "crashes_per_day": 0, "gaps_per_day": 0, **arguments}
    )


def fingerprint(history: History) -> str:
    digest = hashlib.sha256()
    for series in history.series():
        digest.update(repr((series.name, sorted(series.labels.items()))).encode())
        digest.update(np.ascontiguousarray(series.values, "<f8").tobytes())
    return digest.hexdigest()


# --- The app's metrics -------------------------------------------------------------------------


def test_series_and_families_are_those_that_the_app_exposes():
    registry = CollectorRegistry()
    create_app(registry=registry)
    history = History(days=1)
    exposed = {
        (sample.name, frozenset({**sample.labels, "job": "flask", "instance": "app-1"}.items()))
        for metric in registry.collect()
        for sample in metric.samples
    }
    simulated = [(s.name, frozenset(s.labels.items())) for s in history.series()]
    up = ("up", frozenset({"job": "flask", "instance": "app-1"}.items()))
    assert len(simulated) == len(set(simulated)) == 79
    assert set(simulated) == exposed | {up}
    families = [(metric.name, metric.type, metric.documentation) for metric in registry.collect()]
    assert [tuple(family) for family in history.families][:-1] == families
    assert {series.family for series in history.series()} == {f.name for f in history.families}


def test_ways_to_end_are_those_of_the_app():
    """Ask the app itself: let every route fail and succeed, and see what it counts."""
    seen = set()
    always = {"slow_min_seconds": 0, "slow_max_seconds": 0, "slow_timeout_seconds": 0}
    for probability in (0.0, 1.0):
        faults = Faults(seed=1)
        faults.update(
            health_failure_probability=probability, slow_timeout_probability=probability, **always
        )
        for path in ROUTES:
            for _ in range(40 if path == "/error" else 1):
                registry = CollectorRegistry()
                answer = create_app({"FAULTS": faults}, registry=registry).test_client().get(path)
                types = [
                    kind
                    for kind in ERROR_TYPES
                    if registry.get_sample_value("flask_errors_total", {"error_type": kind})
                ]
                seen.add((path, str(answer.status_code), types[0] if types else None))
    simulated = {(o.endpoint, o.status, o.error_type) for o in definitions.outcomes()}
    assert simulated - seen == {("/", "500", "unhandled_exception")}
    assert seen <= simulated


def test_an_exception_is_counted_as_the_app_counts_it():
    registry = CollectorRegistry()
    app = create_app(registry=registry)
    app.logger.disabled = True
    app.view_functions["index"] = lambda: 1 / 0
    app.test_client().get("/")
    bug = definitions.BUG
    labels = {"method": "GET", "endpoint": bug.endpoint, "status": bug.status}
    assert registry.get_sample_value("flask_requests_total", labels) == 1
    assert registry.get_sample_value("flask_errors_total", {"error_type": bug.error_type}) == 1


# --- Every scrape ------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=SEEDS)
def eventful(request) -> tuple[History, Samples]:
    """Two instances for two days, with everything that can go wrong, by ten seeds."""
    incidents = [
        ErrorBurst("40h", "40m", ratio=0.3),
        SlowDependency("30h", "2h", factor=30, share=0.5),
        BadEndpoint("25h", "20m", "/", ratio=0.1),
        BadInstance("20h", "1h", "app-2"),
        Outage("15h", "25m", "app-1"),
        TrafficSpike("10h", "10m", factor=8),
        Leak("6h", "3h"),
    ]
    history = History(
        days=2,
        seed=request.param,
        instances=2,
        incidents=incidents,
        crashes_per_day=3,
        gaps_per_day=6,
    )
    return history, Samples(history)


def test_histogram_counter_and_errors_agree_in_every_scrape(eventful):
    history, samples = eventful
    for instance in history.instances:
        for endpoint in ROUTES:
            where = {"instance": instance, "endpoint": endpoint}
            bounds = [*map(str, BUCKETS), "+Inf"]
            buckets = np.array([samples(f"{DURATION}_bucket", le=le, **where) for le in bounds])
            count = samples(f"{DURATION}_count", **where)
            scraped = ~np.isnan(count)
            assert (np.diff(buckets[:, scraped], axis=0) >= 0).all()
            np.testing.assert_array_equal(buckets[-1], count)
            # Series that are not born yet are no samples: they count as nothing.
            requests = np.nansum(
                [
                    s.values
                    for s in samples.series
                    if s.name == "flask_requests_total" and where.items() <= s.labels.items()
                ],
                axis=0,
            )
            np.testing.assert_array_equal(requests[scraped], count[scraped])
            total = samples(f"{DURATION}_sum", **where)[scraped]
            in_bucket = np.diff(buckets[:, scraped], axis=0, prepend=0)
            lower = np.array([0, *BUCKETS])[:, None]
            upper = np.array([*BUCKETS, 10.0])[:, None]
            assert ((in_bucket * lower).sum(axis=0) <= total + 1e-6).all()
            assert (total <= (in_bucket * upper).sum(axis=0) + 1e-6).all()


def test_errors_are_part_of_requests_and_fit_their_statuses(eventful):
    history, samples = eventful
    for instance in history.instances:
        types = {
            outcome.error_type: samples(
                "flask_requests_total",
                instance=instance,
                endpoint=outcome.endpoint,
                status=outcome.status,
            )
            for outcome in definitions.outcomes()
            if outcome.error_type
        }
        for name, failed in types.items():
            recorded = samples("flask_errors_total", instance=instance, error_type=name)
            np.testing.assert_array_equal(recorded, failed)


def test_counters_fall_at_restarts_and_nowhere_else(eventful):
    history, samples = eventful
    restarts = history.truth.restarts
    assert set(restarts["cause"]) == {"deploy", "crash", "end of an outage"}
    for instance in history.instances:
        times = restarts.loc[restarts["instance"] == instance, "time"]
        created_ms = times.dt.as_unit("ms").astype("int64").to_numpy()
        up = samples("flask_uptime_seconds", instance=instance)
        scraped = np.flatnonzero(~np.isnan(up))
        lives = np.searchsorted(created_ms, history.times[scraped])
        began = np.array([history.times[0], *created_ms])[lives]
        np.testing.assert_allclose(up[scraped], (history.times[scraped] - began) / 1000)
        restarted = np.diff(lives) > 0
        assert restarted.any()
        for series in samples.series:
            counts = series.family not in ("flask_error_rate", "flask_requests_in_progress", "up")
            if series.labels["instance"] == instance and counts:
                step = np.diff(series.values[scraped])
                assert not (step[~restarted] < 0).any(), series.name
        requests = samples("flask_requests_total", instance=instance, endpoint="/", status="200")
        assert (np.diff(requests[scraped])[restarted] < 0).all()


def test_gauges_say_what_the_last_minute_was_like(eventful):
    history, samples = eventful
    for instance in history.instances:
        errors = sum(
            samples("flask_errors_total", instance=instance, error_type=kind)
            for kind in ERROR_TYPES
        )
        requests = sum(
            samples("flask_requests_total", instance=instance, endpoint=o.endpoint, status=o.status)
            for o in definitions.outcomes()
            if not o.newborn
        )
        rate = samples("flask_error_rate", instance=instance)
        bug = samples("flask_errors_total", instance=instance, error_type="unhandled_exception")
        steady = np.isnan(bug[1:]) & (np.diff(requests) > 0)  # no restart, no gap, no bug
        expected = 100 * np.diff(errors)[steady] / np.diff(requests)[steady]
        np.testing.assert_allclose(rate[1:][steady], expected)
        assert np.nanmax(rate) <= 100
        busy = samples("flask_requests_in_progress", instance=instance)
        assert 0 < np.nanmean(busy) < 20


def test_an_error_rate_of_the_last_60_s_spans_several_scrapes():
    history = calm(interval=15, incidents=[ErrorBurst("2h", "1h", ratio=0.5)])
    samples = Samples(history)
    errors = np.sum([s.values for s in samples.series if s.name == "flask_errors_total"], axis=0)
    requests = np.sum(
        [s.values for s in samples.series if s.name == "flask_requests_total"], axis=0
    )
    expected = 100 * (errors[4:] - errors[:-4]) / (requests[4:] - requests[:-4])
    np.testing.assert_allclose(samples("flask_error_rate")[4:], expected)
    assert expected.max() > 45


def test_scrapes_that_miss_leave_no_samples(eventful):
    history, samples = eventful
    ups = {name: samples("up", instance=name) for name in history.instances}
    away = np.isnan(ups["app-1"])
    assert away.any()
    np.testing.assert_array_equal(away, np.isnan(ups["app-2"]))  # Prometheus itself was away
    lengths = np.diff(np.flatnonzero(np.diff(away.astype(int))))[::2]
    assert lengths.max() <= 3  # a sample is four minutes old at most, less than Prometheus's five
    failed = {name: up == 0 for name, up in ups.items()}
    assert not (failed["app-1"] & failed["app-2"]).all()
    newborn = ("500", "unhandled_exception")
    for series in samples.series:
        if series.name == "up":
            continue
        gone = np.isnan(series.values)
        missed = away | failed[series.labels["instance"]]
        assert gone[missed].all()
        if series.labels.get("status", series.labels.get("error_type")) not in newborn:
            np.testing.assert_array_equal(gone, missed)
    hour = 3600 // history.interval
    assert (ups["app-1"][-hour:] == 1).all()


@pytest.mark.parametrize("interval", [10, 15, 20, 30, 60])
def test_no_scrape_is_on_a_time_at_which_people_evaluate(interval):
    history = History(days=1, interval=interval)
    seconds = history.times / 1000
    assert (np.diff(history.times) == interval * 1000).all()
    assert (seconds % 5 == 2).all()
    assert history.start < seconds[0] <= history.start + interval
    assert history.end - interval < seconds[-1] < history.end
    if interval == 60:
        assert (seconds % 60 == 17).all()


def test_what_missed_scrapes_leave_is_never_older_than_prometheus_looks_back():
    up = Samples(History(days=10, gaps_per_day=24, crashes_per_day=0, deploys=[]))("up")
    gone = np.flatnonzero(np.diff((up != 1).astype(int)))
    assert len(gone) > 200
    assert np.diff(gone)[::2].max() == 3


def test_a_counter_may_restart_where_a_chunk_does():
    """Chunks are simulated one by one: what they hand on must not outlive the process."""
    history = calm(days=2, deploys=["2026-01-29T23:59Z"])
    requests = Samples(history)("flask_requests_total", endpoint="/", status="200")
    assert requests[1440] < 200 < requests[1439] - requests[1438] + requests[1439]
    assert requests[1441] - requests[1440] == pytest.approx(requests[1440], rel=0.5)
    assert history.truth.requests("/") == requests[1439] + requests[-1]


def test_an_app_that_restarted_has_forgotten_the_errors_before():
    history = calm(
        interval=15, incidents=[ErrorBurst("2h", "1h", ratio=0.8)], deploys=["2026-01-30T22:59Z"]
    )
    percent = Samples(history)("flask_error_rate")
    burst_ends = int(np.flatnonzero(history.times / 1000 <= history.end - 3600)[-1])
    assert (percent[burst_ends - 10 : burst_ends] > 60).all()
    restarted = int(np.flatnonzero(history.times / 1000 >= history.end - 3660)[0])
    both = [s.values for s in history.series() if s.name == "flask_errors_total"]
    counted = Samples(history)("flask_requests_total")[restarted + 2]
    expected = 100 * np.sum(both, axis=0)[restarted + 2] / counted
    assert percent[restarted + 2] == pytest.approx(expected)


def test_requests_that_no_scrape_saw_did_not_take_place():
    timeline = Timeline(end_ms=1_769_817_600_000, days=1, interval_ms=60_000)
    times = timeline.times_ms
    crash = lifetimes.Restart(102, int(times[102]) + 3000, lifetimes.CRASH)
    presence = lifetimes.presence(
        timeline, restarts=[crash], outages=[], gaps=[(100, 104)], failed=[]
    )
    assert presence.share[98:107].tolist() == [1, 1, 0, 0, 0, 0.95, 1, 1, 1]
    assert presence.last_scraped[98:107].tolist() == [98, 99, 99, 99, 99, 99, 99, 105, 106]


# --- Chance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.02, 1.0, 7.5, 31.9, 32.0, 60.0, 900.0])
def test_counts_are_poisson(mean):
    drawn = chance.poisson(chance.stream(1, 1, 99), np.full(100_000, mean))
    assert drawn.mean() == pytest.approx(mean, abs=4 * (mean / len(drawn)) ** 0.5)
    assert drawn.var() == pytest.approx(mean, rel=0.03 if mean > 1 else 0.1)
    counts = np.arange(int(mean + 6 * mean**0.5) + 3)
    log = counts * np.log(mean) - mean - np.array([math.lgamma(n + 1) for n in counts])
    shares = np.searchsorted(np.sort(drawn), counts, "right") / len(drawn)
    assert np.abs(shares - np.cumsum(np.exp(log))).max() < 0.006


def test_streams_of_chance_do_not_meet():
    drawn = [
        tuple(chance.uniform(chance.stream(*key), 4))
        for key in [(1, 1, 0), (2, 1, 0), (1, 2, 0), (1, 1, 1), (1, 1, 0, 1), (1, 1, 0, 0, 1)]
    ]
    assert len(set(drawn)) == len(drawn)
    assert chance.words(chance.stream(1, 1, 0), 5).tolist() == [40485, 14004, 6936, 4925, 10078]


# --- Calm --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_calm_is_a_healthy_production_app(seed):
    truth = History(days=7, seed=seed).truth
    assert 0.0002 < truth.error_ratio() < 0.0006
    assert truth.server_errors("/") == 0
    assert truth.errors() < 0.001 * truth.requests()
    assert truth.errors() > truth.server_errors()  # some are 4xx
    assert truth.requests() == pytest.approx(10 * 7 * 86400, rel=0.02)
    within = truth.latency_counts([0, 0.3])[0]
    assert 0.998 < within / truth.requests() < 0.9999
    assert truth.quantile(0.99, "/slow") < 0.3


def test_traffic_has_the_rhythm_of_a_week():
    history = History(days=14, end="2026-02-02T00:00Z")  # a Monday
    requests = history.truth.per_scrape()
    by_day = requests.groupby(requests.index.date).sum().to_numpy().reshape(2, 7)
    assert (by_day[:, 5:].max(axis=1) < 0.7 * by_day[:, :5].min(axis=1)).all()
    by_hour = requests.groupby(requests.index.hour).mean()
    assert 2 <= by_hour.idxmin() <= 4
    assert 9 <= by_hour.idxmax() <= 16
    assert by_hour.max() > 5 * by_hour.min()


def test_default_restarts_leave_one_in_the_last_hour():
    history = History(days=3, instances=2)
    restarts = history.truth.restarts
    last = restarts[restarts["time"] > pd.Timestamp("2026-01-30T23:00Z")]
    assert list(last["cause"]) == ["deploy", "deploy"]
    assert sorted(last["instance"]) == ["app-1", "app-2"]


def test_deploys_are_where_they_are_asked_for():
    history = calm(deploys=["3h", "2026-01-30T12:00Z"])
    restarts = history.truth.restarts["time"]
    scrapes = pd.to_datetime(["2026-01-30T12:00:17Z", "2026-01-30T21:00:17Z"])
    booting = (restarts - scrapes).dt.total_seconds()
    assert booting.between(2, 5).all()


# --- The same every time -----------------------------------------------------------------------


def test_the_same_arguments_make_the_same_samples():
    """Raise MODEL_VERSION with this digest: histories in people's caches are known by it."""
    history = History(
        days=1,
        instances=2,
        seed=1,
        incidents=[ErrorBurst("5h", "10m"), Leak("3h", "2h"), Outage("10h", "5m", "app-2")],
    )
    assert model.MODEL_VERSION == 1
    assert fingerprint(history) == (
        "c12c79d31da5b842fc1987bfcacdc869e11fdf4536fb524715116c0af29abb3b"
    )


def test_chunks_hold_the_same_samples_as_whole_series():
    history = History(days=3, interval=30, instances=2)
    chunks = list(history.chunks())
    assert [len(chunk.times_ms) for chunk in chunks] == [1440] * 6
    np.testing.assert_array_equal(np.concatenate([c.times_ms for c in chunks]), history.times)
    for number, series in enumerate(history.series()):
        parts = [chunk.series[number] for chunk in chunks]
        assert {(part.name, *part.labels.items()) for part in parts} == {
            (series.name, *series.labels.items())
        }
        np.testing.assert_array_equal(np.concatenate([p.values for p in parts]), series.values)


CHANGES = [
    {"days": 2},
    {"seed": 8},
    {"end": "2026-01-30T23:59Z"},
    {"interval": 30},
    {"instances": 2},
    {"requests_per_second": 9},
    {"deploys": []},
    {"crashes_per_day": 1},
    {"gaps_per_day": 1},
    {"incidents": [Outage("2h", "10m")]},
    {"incidents": [Outage("2h", "11m")]},
    {"incidents": [Leak("2h", "10m")]},
    {"incidents": [Leak("2h", "10m", factor=3)]},
]


def test_each_argument_changes_the_digest_and_nothing_else_does(monkeypatch):
    digests = [History(**{"days": 1, **change}).digest for change in [{}, *CHANGES]]
    assert len(set(digests)) == len(digests)
    again = [History(**{"days": 1, **change}).digest for change in [{}, *CHANGES]]
    assert again == digests
    same = History(days=1, end=1769817600, deploys=None, incidents=())
    assert same.digest == digests[0]
    before_end = History(days=1, incidents=[Outage("2026-01-30T22:00Z", 600)])
    assert before_end.digest == digests[1 + CHANGES.index({"incidents": [Outage("2h", "10m")]})]
    monkeypatch.setattr(model, "MODEL_VERSION", -1)
    assert History(days=1).digest not in digests


def test_a_digest_takes_no_simulation(monkeypatch):
    monkeypatch.setattr(model, "Instance", None)
    assert len(History(days=90, instances=10).digest) == 64


def test_memory_does_not_grow_with_the_days():
    peaks = []
    for days in (3, 8):
        tracemalloc.start()
        for _ in History(days=days, instances=3).chunks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 120e6
    assert peaks[1] - peaks[0] < 10e6


# --- Words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"days": 0}, "days must be a whole number from 1 to 90, not 0"),
        ({"days": 1.5}, "days must be a whole number"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"interval": 300}, "interval must be one of 10, 15, 20, 30, 60 seconds, not 300"),
        ({"instances": 11}, "instances must be a whole number from 1 to 10"),
        ({"days": 90, "interval": 10, "instances": 2}, "1,555,200 scrapes; up to 1,300,000"),
        ({"requests_per_second": 51}, "requests_per_second must be a number from 0 to 50"),
        ({"crashes_per_day": float("nan")}, "crashes_per_day must be a number from 0 to 24"),
        ({"end": "2026-01-31"}, "end must be .*with a time zone"),
        ({"end": "2d"}, "end must be '2026-01-29T10:00Z'"),
        ({"end": "2026-01-31T00:00:30Z"}, "end must be on a whole minute"),
        ({"end": 60}, "with the days after 1970"),
        ({"deploys": "2d"}, "deploys must be a list of moments"),
        ({"deploys": ["2026-03-01T00:00Z"]}, "each of deploys must begin within the history"),
        ({"deploys": 3600}, "deploys must be a list of moments"),
        ({"incidents": ["outage"]}, "incidents must be a list of objects such as ErrorBurst"),
        (
            {"incidents": Outage("5h", "3h")},
            r"even where .* not Outage\(start='5h', length='3h'",
        ),
        ({"incidents": 3}, "incidents must be a list of objects such as .*, not 3"),
    ],
)
def test_what_is_refused_is_said_with_what_is_accepted(arguments, words):
    with pytest.raises(ValueError, match=words):
        History(**arguments)


def test_a_history_says_what_it_is():
    history = History(days=7, incidents=[Outage("1d", "30m")])
    assert repr(history) == (
        "<History 7 days to 2026-01-31T00:00:00Z, a scrape every 60 s, 1 instance, seed 7, "
        "1 incident>"
    )
    html = history._repr_html_()
    assert "every instance was down" in html
    assert "2026-01-29 23:59:17" in html
    assert "<td" not in History(days=1)._repr_html_()
