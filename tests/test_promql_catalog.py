"""The named queries, run word for word on a past whose rates are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit import plots
from labkit.prometheus.server import PrometheusServer
from labkit.promql.catalog import QUERIES, describe
from labkit.promql.client import Client
from tests.promql_data import KEEP, T, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

SECONDS = 400
PER_SECOND = {
    ("/", "200"): 6.0,
    ("/health", "200"): 1.5,
    ("/health", "503"): 0.5,
    ("/error", "400"): 0.25,
    ("/error", "500"): 0.75,
}
# Of the requests, all within 0.3 s but one in ten, which takes up to 2.5 s.
BUCKETS = {"0.1": 0.5, "0.3": 0.9, "2.5": 1.0, "+Inf": 1.0}
THE_DESIGN_S = (
    "sum(rate(flask_requests_total[5m]))",
    "flask_error_rate",
    "sum by (error_type) (flask_errors_total)",
    "histogram_quantile(0.95, rate(flask_request_duration_seconds_bucket[5m]))",
    'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[5m])) / '
    "sum by (endpoint) (rate(flask_requests_total[5m])) * 100",
    "sum(increase(flask_requests_total[1m]))",
    "sum(increase(flask_errors_total[1m]))",
)


def known_past() -> str:
    def each(line: str, per_second: float) -> list[str]:
        return [f"{line} {per_second * i} {T + i}" for i in range(SECONDS + 1)]

    lines = ["# TYPE flask_requests counter"]
    for (endpoint, status), rate in PER_SECOND.items():
        labels = f'method="GET",endpoint="{endpoint}",status="{status}"'
        lines += each(f"flask_requests_total{{{labels}}}", rate)
    lines += ["# TYPE flask_errors counter"]
    lines += each('flask_errors_total{error_type="health_check_failed"}', 0.5)
    lines += each('flask_errors_total{error_type="database_error"}', 0.75)
    lines += each('flask_errors_total{error_type="timeout"}', 0)
    lines += ["# TYPE flask_error_rate gauge"]
    lines += [f"flask_error_rate 17 {T + i}" for i in range(SECONDS + 1)]
    lines += ["# TYPE flask_request_duration_seconds histogram"]
    for le, share in BUCKETS.items():
        labels = f'method="GET",endpoint="/",le="{le}"'
        lines += each(f"flask_request_duration_seconds_bucket{{{labels}}}", 10 * share)
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def client(prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("catalog")
    data = blocks(prometheus_binary, folder, known_past())
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
        ) as server,
        Client(server.url) as client,
    ):
        yield client


def ask(client: Client, name: str, label: str | None = None) -> dict[str, float]:
    frame = client.query(QUERIES[name].promql, time=T + SECONDS)
    keys = frame[label] if label else ["value"] * len(frame)
    return dict(zip(keys, frame["value"], strict=True))


def test_the_queries_that_must_work_are_there_word_for_word():
    assert [query.promql for query in QUERIES.values()][: len(THE_DESIGN_S)] == list(THE_DESIGN_S)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("request_rate", None, {"value": 9.0}),
        ("error_rate", None, {"value": 17.0}),
        (
            "errors_by_type",
            "error_type",
            {"health_check_failed": 200.0, "database_error": 300.0, "timeout": 0.0},
        ),
        ("latency_p95", "endpoint", {"/": 0.3 + 2.2 / 2}),
        ("error_ratio_by_endpoint", "endpoint", {"/health": 25.0, "/error": 75.0}),
        ("requests_last_minute", None, {"value": 540.0}),
        ("errors_last_minute", None, {"value": 75.0}),
        ("live_request_rate", "endpoint", {"/": 6.0, "/health": 2.0, "/error": 1.0}),
        ("live_error_ratio", None, {"value": 100 * 1.25 / 9}),
        ("live_error_ratio_by_endpoint", "endpoint", {"/health": 25.0, "/error": 75.0}),
        ("live_latency", "quantile", {"p50": 0.1, "p95": 1.4, "p99": 2.28}),
    ],
)
def test_a_named_query_gives_what_is_known(
    client: Client, name: str, label: str | None, expected: dict[str, float]
):
    # A window of a minute holds 61 samples in 2.x and 60 in 3.x; both extrapolate to its length.
    assert ask(client, name, label) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", QUERIES)
def test_each_named_query_draws_as_its_kind(client: Client, name: str):
    query = QUERIES[name]
    if query.kind == "bars":
        frame = client.query(query.promql, time=T + SECONDS)
    else:
        frame = client.query_range(query.promql, start=T + SECONDS - 60, end=T + SECONDS)
    assert not frame.empty
    draw = getattr(plots, query.kind)
    axes = draw(frame, title=query.title, unit=query.unit, threshold=query.threshold)
    assert plots.png(axes.figure).startswith(b"\x89PNG")
    assert query.unit in axes.get_ylabel() + axes.get_xlabel()


def test_a_query_of_the_catalog_is_described_as_there_whatever_its_line_breaks():
    known = QUERIES["error_ratio_by_endpoint"]
    assert describe(known.promql.replace(" / ", "\n/ ")) is known


@pytest.mark.parametrize(
    ("promql", "unit"),
    [
        ("sum(rate(flask_requests_total[30s]))", "requests/s"),
        ("sum(rate(flask_requests_total[$__rate_interval]))", "requests/s"),
        ('rate(x{status=~"5..", path="a/b"}[1m])', "per second"),
        ("sum(rate(a[1m])) / sum(rate(b[1m]))", "ratio"),
        ("100 * sum(rate(a[1m])) / sum(rate(b[1m]))", "%"),
        ("rate(a[100s]) / rate(b[100s])", "ratio"),
        ("histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[1m])))", "s"),
        ("avg_over_time(flask_error_rate[1m])", "%"),
        ("flask_requests_in_progress", "requests"),
        ("flask_uptime_seconds / 60", "minutes"),
        ("sum(increase(flask_requests_total[30s]))", "requests"),
        ("60 * sum by (error_type) (rate(flask_errors_total[10m]))", "errors/min"),
        ("x", "value"),
        ("x[1h-5m]", "value"),
    ],
)
def test_other_queries_get_the_unit_that_their_names_tell(promql: str, unit: str):
    query = describe(promql)
    assert (query.unit, query.kind, query.promql) == (unit, "line", promql)
