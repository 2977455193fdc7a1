"""The truth of a simulated past: what its samples say, and what Prometheus answers from them."""

from __future__ import annotations

import random
import shutil
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from app.metrics import BUCKETS
from labkit.history import ErrorBurst, History, Leak, Outage, Timeouts, blocks, latency
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from tests.promql_data import KEEP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from labkit.history import Totals
    from labkit.prometheus.binary import Binary

SEEDS = range(10)
ENDPOINTS = ["/", "/health", "/slow", "/error"]
DURATION = "flask_request_duration_seconds"


def eventful(seed: int, **arguments: int) -> History:
    return History(
        **{"days": 1, "instances": 2, **arguments},
        seed=seed,
        crashes_per_day=2,
        gaps_per_day=4,
        incidents=[
            ErrorBurst("20h", "30m", ratio=0.2),
            Timeouts("12h", "1h", instance="app-1"),
            Outage("9h", "20m", "app-2"),
            Leak("7h", "5h"),
        ],
    )


def without_restart(history: History, draw: random.Random) -> tuple[float, float]:
    """Draw an interval of whole minutes with no restart and no outage in it."""
    breaks = sorted(
        [
            history.start + 60,
            *(time.timestamp() for time in history.truth.restarts["time"]),
            *(
                edge.timestamp()
                for _, row in history.truth.incidents.iterrows()
                if row["name"] == "outage"
                for edge in (row["start"], row["end"])
            ),
            history.end,
        ]
    )
    calm = [(a, b) for a, b in pairwise(breaks) if b - a > 1800]
    after, before = draw.choice(calm)
    first, last = int(after // 60) + 2, int(before // 60) - 1
    start = draw.randrange(first, last - 10)
    return start * 60.0, draw.randrange(start + 10, last) * 60.0


# --- Against the samples -----------------------------------------------------------------------


def grown(history: History, start: float, end: float) -> dict[tuple[str, ...], float]:
    """Return by how much each counter grew, from its last sample before each of the ends."""
    found = {}
    for series in history.series():
        here = ~np.isnan(series.values)
        times, values = history.times[here] / 1000, series.values[here]
        if not series.family.endswith(("requests", "errors", "seconds")) or not len(times):
            continue
        inside = values[max(np.searchsorted(times, start, "right") - 1, 0) :]
        inside = inside[: np.searchsorted(times, end, "right") - (len(values) - len(inside))]
        steps = np.diff(inside)
        total = np.where(steps < 0, inside[1:], steps).sum()
        found[series.name, *series.labels.values()] = float(total)
    return found


def total(grown: dict[tuple[str, ...], float], *wanted: str) -> float:
    return sum(value for key, value in grown.items() if set(wanted) <= set(key))


@pytest.mark.parametrize("seed", SEEDS)
def test_totals_are_what_the_samples_grew_by_restarts_and_gaps_included(seed):
    history, draw = eventful(seed), random.Random(seed)
    for _ in range(3):
        start, end = sorted(draw.uniform(history.start, history.end) for _ in range(2))
        totals, samples = history.truth.between(start, end), grown(history, start, end)
        assert totals.requests() == total(samples, "flask_requests_total")
        for status in ("200", "400", "503", "504"):
            assert totals.requests(status=status) == total(samples, "flask_requests_total", status)
        for endpoint in ENDPOINTS:
            for instance in history.instances:
                wanted = ("flask_requests_total", endpoint, instance)
                assert totals.requests(endpoint, instance) == total(samples, *wanted)
        assert totals.errors() == total(samples, "flask_errors_total")
        assert totals.errors("timeout") == total(samples, "flask_errors_total", "timeout")
        within = [total(samples, f"{DURATION}_bucket", str(bound)) for bound in BUCKETS]
        counts = totals.latency_counts([0.0, *BUCKETS])
        np.testing.assert_array_equal(np.cumsum(counts), within)


def test_parts_of_a_history_add_up_to_the_whole():
    truth = eventful(3).truth
    edges = ["1d", "20h", "13h17m", "9h", "8h30m", "2h", None]
    parts = [truth.between(a, b) for a, b in pairwise(edges)]
    for ask in (
        lambda each: each.requests(),
        lambda each: each.server_errors("/slow"),
        lambda each: each.errors(instance="app-2"),
        lambda each: each.latency_counts([0.01, 0.3, 100.0], "/slow"),
    ):
        np.testing.assert_array_equal(sum(ask(part) for part in parts), ask(truth))
    per_scrape = truth.per_scrape("/slow", "app-1", "5xx")
    assert per_scrape.sum() == truth.requests("/slow", "app-1", "5xx")
    assert parts[1].start == parts[0].end


def every_latency(totals: Totals, endpoint: str | None) -> NDArray[np.float64]:
    edges = [0.0, *latency.VALUES_SECONDS]
    return np.repeat(latency.VALUES_SECONDS, totals.latency_counts(edges, endpoint))


def test_quantiles_are_those_of_the_latencies():
    totals = eventful(1).truth.between("13h", "11h")
    for endpoint in (None, *ENDPOINTS):
        latencies = every_latency(totals, endpoint)
        assert len(latencies) == totals.requests(endpoint)
        for q in (0, 0.5, 0.95, 0.99, 1):
            expected = np.quantile(latencies, q, method="inverted_cdf")
            assert totals.quantile(q, endpoint) == expected
    whole = eventful(1).truth
    by_instance = [whole.quantile(0.95, "/slow", name) for name in whole.instances]
    assert min(by_instance) <= whole.quantile(0.95, "/slow") <= max(by_instance)


def test_the_truth_is_the_same_whoever_asks_first():
    """Blocks are simulated when they are first needed: by samples, or by a question."""
    asked, listed = eventful(5), eventful(5)
    for _ in listed.chunks():
        pass
    for _ in listed.chunks():  # twice, as a build that failed is tried again
        pass
    for ask in (lambda t: t.requests(), lambda t: t.quantile(0.99, "/slow", "app-2")):
        assert ask(asked.truth.between("8h", "7h")) == ask(listed.truth.between("8h", "7h"))


def test_where_nothing_was_answered_there_is_no_ratio():
    history = History(days=1, incidents=[Outage("6h", "2h")])
    totals = history.truth.between("5h", "4h30m")
    assert totals.requests() == 0
    assert np.isnan(totals.error_ratio())
    assert np.isnan(totals.quantile(0.95))


def test_incidents_come_with_their_times_and_causes():
    frame = eventful(0).truth.incidents
    assert list(frame.columns) == ["name", "start", "end", "cause", "endpoint", "instance"]
    assert list(frame["name"]) == ["error burst", "time-outs", "outage", "leak"]
    assert list(frame["instance"]) == ["", "app-1", "app-2", ""]
    assert frame["start"][1] == pd.Timestamp("2026-01-30T11:59:17Z")
    assert frame["end"][1] == pd.Timestamp("2026-01-30T12:59:17Z")
    assert History(days=1).truth.incidents.empty


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t: t.requests("/none"), "endpoint must be one of /, /health, /slow, /error"),
        (lambda t: t.requests(status="599"), "status must be one of 200, 400, 403, .*5xx"),
        (lambda t: t.errors("oops"), "error_type must be one of health_check_failed, timeout"),
        (lambda t: t.quantile(95), "q must be from 0 to 1, not 95"),
        (lambda t: t.quantile(0.5, instance="app-3"), "instance must be one of app-1, app-2"),
        (lambda t: t.between("1h", "2h"), "the start must come before the end"),
        (lambda t: t.between("30s", "20s"), "there is no scrape between 2026-01-30T23:59:30Z"),
        (lambda t: t.between("yesterday"), "start must be '2d3h'"),
    ],
)
def test_what_is_refused_is_said_with_what_is_accepted(ask, words):
    with pytest.raises(ValueError, match=words):
        ask(eventful(0).truth)


def test_totals_say_what_they_are():
    totals = eventful(2).truth.between("3h", "2h")
    assert repr(totals).startswith("<Totals 2026-01-30T20:59:17Z to 2026-01-30T21:59:17Z: ")
    assert f"{totals.requests():,} requests" in repr(totals)
    html = totals._repr_html_()
    assert html.count("<tr") == 1 + 4 * 2
    assert "&lt;" not in html
    assert repr(eventful(2).truth).startswith("<Truth 2026-01-30T00:00:17Z to ")


# --- Against Prometheus ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[int, tuple[History, Path]]:
    """What has been built so far, by seed: both lines of Prometheus read the same blocks."""
    return {}


@pytest.fixture(scope="module", params=SEEDS)
def served(
    prometheus_binary: Binary,
    built: dict[int, tuple[History, Path]],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[History, Client]]:
    """The history of a seed, in a Prometheus."""
    seed, folder = request.param, tmp_path_factory.mktemp("history")
    if seed not in built:
        built[seed] = eventful(seed), folder / "built"
        built[seed][1].mkdir()
        promtool = blocks.require_promtool(prometheus_binary)
        blocks.build(*built[seed], promtool=promtool)
    history, source = built[seed]
    data = shutil.copytree(source, folder / "data")
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder, data=data, arguments=(KEEP,)
        ) as server,
        Client(server.url, scrape_interval=history.interval, at=history.end) as client,
    ):
        yield history, client


def by_label(client: Client, label: str, expression: str) -> dict[str, float]:
    answer = client.query(expression)
    return dict(zip(answer[label], answer["value"], strict=True))


def test_promql_subtracts_to_the_truth(served):
    history, client = served
    start, end = without_restart(history, random.Random(history.seed))
    totals = history.truth.between(start, end)
    for label, metric, known in (
        ("endpoint", "flask_requests_total", totals.requests),
        ("instance", "flask_requests_total", lambda name: totals.requests(instance=name)),
        ("status", "flask_requests_total", lambda name: totals.requests(status=name)),
        ("error_type", "flask_errors_total", totals.errors),
    ):
        ago = f"{metric} offset {end - start:.0f}s @ {end:.0f}"
        answer = by_label(client, label, f"sum by ({label}) ({metric} @ {end:.0f} - {ago})")
        assert len(answer) >= 2
        assert answer == {name: known(name) for name in answer}
    # Nobody saw more errors than requests, nor a bucket that holds more than were counted.
    count, infinite = f"{DURATION}_count", f'{DURATION}_bucket{{le="+Inf"}}'
    assert len(client.query(f"{count} == ignoring (le) {infinite}", time=end)) == 8
    both = "sum by (instance) (flask_errors_total) < sum by (instance) (flask_requests_total)"
    assert len(client.query(both, time=end)) == 2


def test_increase_lies_within_its_extrapolation_of_the_truth(served):
    """It grows what lies between the samples in its window to at most the window's length."""
    history, client = served
    start, end = without_restart(history, random.Random(history.seed))
    answer = client.query(
        f"sum by (endpoint, instance) (increase(flask_requests_total[{end - start:.0f}s]))",
        time=end,
    )
    assert len(answer) == 8
    ups = {s.labels["instance"]: s.values for s in history.series() if s.name == "up"}
    for row in answer.itertuples():
        seconds = history.times[ups[row.instance] == 1] / 1000
        seconds = seconds[(seconds > start) & (seconds < end)]
        sampled = history.truth.between(seconds[0], end).requests(row.endpoint, row.instance)
        most = sampled * (end - start) / (seconds[-1] - seconds[0])
        assert sampled <= row.value * (1 + 1e-9)
        assert row.value <= most * (1 + 1e-9)


def test_p95_lies_in_the_true_bucket(served):
    history, client = served
    start, end = without_restart(history, random.Random(history.seed))
    totals, bucket = history.truth.between(start, end), f"{DURATION}_bucket @ {end:.0f}"
    grown = f"{bucket} - {DURATION}_bucket offset {end - start:.0f}s @ {end:.0f}"
    asked = f"histogram_quantile(0.95, sum by (endpoint, le) ({grown}))"
    bounds = np.array([0.0, *BUCKETS, np.inf])
    for endpoint, value in by_label(client, "endpoint", asked).items():
        if totals.requests(endpoint):
            above = np.searchsorted(bounds, totals.quantile(0.95, endpoint))
            assert bounds[above - 1] <= value <= bounds[above]
