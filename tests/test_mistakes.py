"""The usual mistakes, each made for real on a lab with traffic, and queries without any."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from labkit.lab import Lab
from labkit.prometheus.ruleset import shipped
from labkit.promql.catalog import QUERIES
from labkit.promql.client import Client
from labkit.promql.emptiness import probe
from labkit.promql.explain import explain
from labkit.promql.tiles import TILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

BUCKETS = "flask_request_duration_seconds_bucket"
RECORDED_SUM = """
groups:
  - name: too-early
    rules:
      - record: job:flask_requests:sum
        expr: sum by (job) (flask_requests_total)
"""


@pytest.fixture(scope="module")
def client(prometheus_binary: Binary) -> Iterator[Client]:
    """Of a lab that has answered requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        # A scrape may take as long as its interval: in less, a busy app could not answer.
        with Lab(seed=7, scrape_interval=1.0) as lab:
            lab.add_rules(RECORDED_SUM)
            lab.traffic(requests=60, seconds=1)
            lab.wait_for("sum(increase(flask_requests_total[1m])) > 40")
            lab.wait_for("job:flask_request_failures_per_requests:ratio_rate2m > 0")
            lab.wait_for("count_over_time(up[1m]) >= 5")
            with Client(lab.prometheus_url, scrape_interval=1.0) as client:
                yield client


MISTAKES = {
    "rate of a gauge": (
        "rate(flask_error_rate[1m])",
        "rate() of a gauge: flask_error_rate is no counter.",
        "deriv(flask_error_rate[1m])",
    ),
    "increase of a gauge, in a part": (
        "sum by (job) (increase(flask_requests_in_progress[1m])) > 5",
        "increase() of a gauge: flask_requests_in_progress",
        "sum by (job) (delta(flask_requests_in_progress[1m])) > 5",
    ),
    "rate of a gauge's subquery": (
        "rate(up[1m:1s])",
        "rate() of a gauge: up is",
        "deriv(up[1m:1s])",
    ),
    "delta of a counter": (
        "delta(flask_errors_total[1m])",
        "delta() of a counter: flask_errors_total begins again at 0",
        "increase(flask_errors_total[1m])",
    ),
    "sum before rate": (
        "rate(sum by (endpoint) (flask_requests_total)[1m:1s])",
        "sum comes before rate().",
        "sum by (endpoint) (rate(flask_requests_total[1m]))",
    ),
    "sum before increase, in an expression": (
        "increase((sum(flask_requests_total) + 1)[1m:1s])",
        "an aggregation comes before increase().",
        "",
    ),
    "rate of a recorded sum": (
        "rate(job:flask_requests:sum[1m])",
        "job:flask_requests:sum is recorded as sum by (job) (flask_requests_total): sum comes "
        "before rate().",
        "",
    ),
    "rate of a recorded rate": (
        "rate(job:flask_requests:rate2m[1m])",
        "rate() of a rate: job:flask_requests:rate2m, which is recorded as",
        "",
    ),
    "rate of a rate": (
        "increase(rate(flask_requests_total[1m])[1m:1s])",
        "increase() of a rate: what is inside rate(flask_requests_total[1m])[1m:1s]",
        "",
    ),
    "a window under two scrapes": (
        "rate(flask_requests_total[400ms]) + rate(flask_requests_total[1m])",
        "flask_requests_total[400ms] is shorter than two scrapes, which come every second.",
        "rate(flask_requests_total[4s]) + rate(flask_requests_total[1m])",
    ),
    "a window under four scrapes": (
        "deriv((flask_error_rate[2s]))",
        "flask_error_rate[2s] is shorter than four scrapes",
        "deriv((flask_error_rate[4s]))",
    ),
    "a subquery under two steps": (
        "deriv(flask_error_rate[15s:10s])",
        "flask_error_rate[15s:10s] is shorter than two steps, which come every 10 seconds.",
        "deriv(flask_error_rate[40s:10s])",
    ),
    "buckets without le": (
        f"histogram_quantile(0.95, sum(rate({BUCKETS}[1m])))",
        "sum merges the buckets of each histogram: the label le is gone.",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[1m])))",
    ),
    "buckets by another label": (
        f"histogram_quantile(0.95, sum by (endpoint) (rate({BUCKETS}[1m])))",
        "sum by (endpoint) merges the buckets",
        f"histogram_quantile(0.95, sum by (endpoint, le) (rate({BUCKETS}[1m])))",
    ),
    "buckets without le by without": (
        f"histogram_quantile(0.95, sum without (le, job) (rate({BUCKETS}[1m])))",
        "sum without (le, job) merges the buckets",
        f"histogram_quantile(0.95, sum without (job) (rate({BUCKETS}[1m])))",
    ),
    "the largest of buckets": (
        f"histogram_quantile(0.95, max by (le) (rate({BUCKETS}[1m])))",
        "max of buckets",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[1m])))",
    ),
    "buckets as they are": (
        f"histogram_quantile(0.95, sum by (le) ({BUCKETS}))",
        f"histogram_quantile() of {BUCKETS} as it is",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[5m])))",
    ),
    "one bucket": (
        f'histogram_quantile(0.95, rate({BUCKETS}{{le="0.3"}}[1m]))',
        f'{BUCKETS}{{le="0.3"}}[1m] is one bucket only.',
        f"histogram_quantile(0.95, rate({BUCKETS}[1m]))",
    ),
    "the sum for the buckets": (
        "histogram_quantile(0.95, rate(flask_request_duration_seconds_sum[1m]))",
        "needs the buckets of flask_request_duration_seconds, and",
        f"histogram_quantile(0.95, rate({BUCKETS}[1m]))",
    ),
    "the mean of percentiles": (
        f"avg by (endpoint) (histogram_quantile(0.95, rate({BUCKETS}[1m])) * 1000)",
        "avg of percentiles: histogram_quantile(0.95",
        "",
    ),
    "the mean of percentiles over all": (
        f"avg(histogram_quantile(0.95, sum by (endpoint, le) (rate({BUCKETS}[1m]))))",
        "avg of percentiles",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[1m])))",
    ),
    "the sum of percentiles by a label": (
        f"sum by (job) (histogram_quantile(0.5, rate({BUCKETS}[1m])))",
        "The sum of percentiles is not a percentile of anything",
        f"histogram_quantile(0.5, sum by (job, le) (rate({BUCKETS}[1m])))",
    ),
    "the mean of percentiles over time": (
        f"avg_over_time(histogram_quantile(0.95, rate({BUCKETS}[1m]))[1m:1s])",
        "avg_over_time() of percentiles",
        "",
    ),
    "a quantile in percent": (
        f"histogram_quantile(95, rate({BUCKETS}[1m]))",
        "A quantile of 95: it goes from 0 to 1.",
        f"histogram_quantile(0.95, rate({BUCKETS}[1m]))",
    ),
    "a counter as it is": (
        'topk(3, flask_requests_total{status="200"}) * 100',
        "flask_requests_total is a counter, as it is",
        'topk(3, rate(flask_requests_total{status="200"}[5m])) * 100',
    ),
    "a counter compared": (
        "flask_requests_total > 100",
        "flask_requests_total is a counter, as it is",
        "",
    ),
    "a sum of counters": (
        "sum(flask_requests_total)",
        "sum of counters as they are: flask_requests_total is the total since its target started.",
        "sum(rate(flask_requests_total[5m]))",
    ),
    "a sum of counters compared": (
        "sum by (status) (flask_requests_total) * 2 > 100",
        "sum of counters as they are",
        "",
    ),
    "a restart for a gauge": (
        "increase(flask_uptime_seconds[1m])",
        "takes every fall of the value for a restart, which a gauge's need not be.",
        "delta(flask_uptime_seconds[1m])",
    ),
    "resets of a gauge": (
        "resets(flask_error_rate[1m])",
        "changes() counts how often the value changed.",
        "changes(flask_error_rate[1m])",
    ),
    "a counter foretold": (
        "predict_linear(flask_requests_total[1m], 60)",
        "predict_linear() of a counter",
        "",
    ),
    "samples of a counter added up": (
        "sum(sum_over_time(flask_requests_total[1m]))",
        "each sample of flask_requests_total is a total.",
        "sum(increase(flask_requests_total[1m]))",
    ),
    "samples of a counter averaged": (
        "avg_over_time(flask_errors_total[1m])",
        "each sample of flask_errors_total is a total.",
        "rate(flask_errors_total[1m])",
    ),
    "series divided by themselves": (
        'rate(flask_requests_total{status=~"5.."}[1m]) / rate(flask_requests_total[1m]) * 100',
        "Each series of rate(flask_requests_total[1m]) divides itself.",
        'sum(rate(flask_requests_total{status=~"5.."}[1m])) / '
        "sum(rate(flask_requests_total[1m])) * 100",
    ),
    "buckets added up": (
        f"sum(rate({BUCKETS}[1m]))",
        "sum adds up the buckets of flask_request_duration_seconds.",
        "sum(rate(flask_request_duration_seconds_count[1m]))",
    ),
    "buckets added up, in part": (
        f'sum by (endpoint) (sum by (endpoint, le) (rate({BUCKETS}{{le!="+Inf"}}[1m]))) * 2',
        "sum by (endpoint) adds up the buckets",
        "sum by (endpoint) (sum by (endpoint, le) "
        "(rate(flask_request_duration_seconds_count[1m]))) * 2",
    ),
    "buckets without the last": (
        f'histogram_quantile(0.95, rate({BUCKETS}{{le=~"0.3|1"}}[1m]))',
        "leaves out the bucket +Inf.",
        f"histogram_quantile(0.95, rate({BUCKETS}[1m]))",
    ),
    "a histogram by its own name": (
        "histogram_quantile(0.95, flask_request_duration_seconds)",
        "flask_request_duration_seconds has no series of its own",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[5m])))",
    ),
    "a histogram by its own name, added up": (
        "histogram_quantile(0.95, sum by (endpoint) (flask_request_duration_seconds))",
        "flask_request_duration_seconds has no series of its own",
        f"histogram_quantile(0.95, sum by (endpoint, le) (rate({BUCKETS}[5m])))",
    ),
    "a label that is not there": (
        "sum by (endpont) (rate(flask_requests_total[1m]))",
        "by (endpont): no series has a label endpont there.",
        "sum by (endpoint) (rate(flask_requests_total[1m]))",
    ),
    "a label that is not there, beside others": (
        "max without (job, statu) (rate(flask_requests_total[1m]))",
        "So it takes nothing away.",
        "max without (job, status) (rate(flask_requests_total[1m]))",
    ),
    "a label that is gone": (
        "sum by (status) (sum by (endpoint) (rate(flask_requests_total[1m])))",
        "There is endpoint.",
        "",
    ),
    "a label that no side has": (
        "flask_uptime_seconds / on (jobb) flask_error_rate",
        "on (jobb): no series has a label jobb there.",
        "flask_uptime_seconds / on (job) flask_error_rate",
    ),
    "some without a partner": (
        "sum by (endpoint) (rate(flask_requests_total[1m])) / "
        'sum by (endpoint) (rate(flask_requests_total{status="200"}[1m]))',
        "1 of the 4 series on the left of / has no partner on the right, and is left out: "
        '{endpoint="/error"}.',
        "",
    ),
    "a status with placeholders": (
        'flask_requests_total{status="5xx"}',
        'for a pattern write status=~"5..".',
        "",
    ),
    "a histogram's count as it is": (
        "flask_request_duration_seconds_count > 5",
        "Compare how fast it grows, with a limit per second.",
        "",
    ),
    "an alert on irate": (
        "sum(irate(flask_requests_total[1m])) > 10",
        "A comparison of irate()",
        "sum(rate(flask_requests_total[1m])) > 10",
    ),
    "sides with other labels": (
        "sum by (endpoint) (rate(flask_requests_total[1m])) / "
        "sum by (error_type) (rate(flask_errors_total[1m]))",
        "The two sides of / do not meet:",
        "",
    ),
    "sides with other values": (
        'sum by (status) (rate(flask_requests_total{status="200"}[1m])) / '
        'sum by (status) (rate(flask_requests_total{status="503"}[1m]))',
        'status is "200" on the left and "503" on the right',
        "",
    ),
    "sides that a comparison hides": (
        "sum by (endpoint) (rate(flask_requests_total[1m])) > 1e6 and "
        "sum by (status) (rate(flask_requests_total[1m])) > 1e6",
        "The two sides of and do not meet:",
        "",
    ),
    "a pattern that matches nothing": (
        'sum(rate(flask_requests_total{status=~"5"}[1m]))',
        'write status=~"5.."',
        "",
    ),
    "a value that is not there": (
        'sum(rate(flask_requests_total{endpoint="/slwo"}[1m])) or vector(0)',
        'endpoint="/slow"',
        "",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_what_to_write_instead(client: Client, name: str):
    promql, words, better = MISTAKES[name]
    made = explain(client, promql)
    assert made.unchecked == []
    assert made.warnings[: len(made.mistakes)] == [str(mistake) for mistake in made.mistakes]
    (told,) = [mistake for mistake in made.mistakes if words in str(mistake)]
    assert told.query == better
    assert told.what in " ".join(str(made).split()) or made.why_empty in told.what
    if better:
        assert f"Write: {better}" in str(made)
        assert told.what not in [mistake.what for mistake in explain(client, better).mistakes]


WELL = [
    "rate(flask_requests_total[4s])",
    "avg_over_time(flask_error_rate[1200ms])",
    "deriv(flask_error_rate[1m])",
    "max_over_time(sum(rate(flask_requests_total[1m]))[1m:1s])",
    f"max by (endpoint) (histogram_quantile(0.95, rate({BUCKETS}[1m])))",
    f"count(histogram_quantile(0.95, rate({BUCKETS}[1m])) > 0.3)",
    f"sum(histogram_quantile(0.95, rate({BUCKETS}[1m])) > bool 0.3)",
    f"histogram_quantile(0.95, sum without (endpoint) (rate({BUCKETS}[1m])))",
    f"histogram_quantile(0.95, {BUCKETS} - {BUCKETS} offset 1s)",
    f"histogram_quantile(0.95, rate({BUCKETS}[1m:1s]))",
    "absent(nothing_of_that_name)",
    "quantile(0.5, rate(flask_requests_total[1m]))",
    "rate(flask_requests_total[1m]) / on (job) group_left () sum by (job) (up)",
    'rate(flask_requests_total[1m]) and on (endpoint) flask_requests_total{status="504"} > 1e9',
    "count(flask_requests_total)",
    "sum(flask_requests_total) / sum(flask_errors_total)",
    "resets(flask_uptime_seconds[1m])",
    "sum_over_time(flask_error_rate[1m])",
    f'sum(rate({BUCKETS}{{le="0.1"}}[1m])) / sum(rate({BUCKETS}{{le="+Inf"}}[1m]))',
    f'histogram_quantile(0.95, rate({BUCKETS}{{le!="0.1"}}[1m]))',
    "rate(flask_requests_total[1m]) / rate(flask_requests_total[1m] offset 1s)",
    'label_replace(sum(up), "endpont", "x", "", "") * on (endpont) '
    'label_replace(sum(up), "endpont", "x", "", "")',
    "time() - flask_uptime_seconds",
    "irate(flask_requests_total[1m])",
]


def _of_the_lab() -> Iterator[str]:
    """The queries that the lab itself uses: charts, tiles, recording rules and alerts."""
    # The errors since the start are totals on purpose; their title says so.
    yield from (query.promql for name, query in QUERIES.items() if name != "errors_by_type")
    for tile in TILES:
        yield from [tile.query] if isinstance(tile.query, str) else tile.query.values()
    for group in yaml.safe_load(shipped())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_queries_without_a_mistake_raise_no_alarm(client: Client):
    alarms = {}
    for promql in dict.fromkeys([*WELL, *_of_the_lab()]):
        made = explain(client, promql)
        # That it is a young lab is true, and no mistake in the query.
        told = [str(mistake) for mistake in made.mistakes if "is younger than" not in mistake.what]
        alarms[promql] = [*told, *made.unchecked, made.unparsed]
    assert len(alarms) > len(WELL) + 20
    assert {promql: told for promql, told in alarms.items() if any(told)} == {}


def test_a_rate_over_more_than_there_is_says_how_much_too_low_it_is(client: Client):
    made = explain(client, "sum(rate(flask_requests_total[10m]))")
    (told,) = [mistake for mistake in made.mistakes if "is younger than" in mistake.what]
    age = client.query("max(timestamp(up)) - min(min_over_time(timestamp(up)[10m:250ms]))")
    seconds = age["value"].item()
    percent = re.search(r"about (\d+) % of the true one", told.why)
    assert percent is not None
    assert float(percent[1]) == pytest.approx(100 * seconds / 600, abs=2)
    assert "the window of 10 minutes: its first sample came" in told.what
    filled = re.fullmatch(r"sum\(rate\(flask_requests_total\[(\w+)\]\)\)", told.query)
    assert filled is not None
    assert not any("younger" in mistake.what for mistake in explain(client, told.query).mistakes)


def test_a_young_window_does_no_harm_where_it_cancels_out(client: Client):
    for promql in (
        "sum(rate(flask_errors_total[10m])) / sum(rate(flask_requests_total[10m]))",
        f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[10m])))",
        "sum(increase(flask_requests_total[10m]))",
    ):
        assert not any("younger" in str(mistake) for mistake in explain(client, promql).mistakes)


def test_what_was_not_checked_is_told(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "MOST_QUESTIONS", 1)
    made = explain(client, "rate(flask_error_rate[400ms]) / up")
    assert [str(mistake).split()[0] for mistake in made.mistakes] == ["rate()", "The"]
    assert any(text.startswith("the labels of an operator's sides (") for text in made.unchecked)
    assert "Not checked: " in str(made)
    assert "Not checked: " in made._repr_html_()
