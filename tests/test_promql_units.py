"""The units of expressions, from their trees and the names of their metrics."""

from __future__ import annotations

import pytest

from labkit.promql.catalog import QUERIES
from labkit.promql.syntax.tree import parse
from labkit.promql.units import unit_of

BUCKETS = "flask_request_duration_seconds_bucket"
SUM, COUNT = "flask_request_duration_seconds_sum", "flask_request_duration_seconds_count"
P95 = f"histogram_quantile(0.95, sum by (le) (rate({BUCKETS}[1m])))"
RATIO = "sum(rate(flask_errors_total[100s])) / sum(rate(flask_requests_total[100s]))"


@pytest.mark.parametrize(
    ("promql", "unit"),
    [
        # metrics
        ("flask_requests_total", "requests"),
        ('flask_errors_total{error_type="timeout"}', "errors"),
        ("flask_uptime_seconds", "s"),
        ("flask_requests_in_progress", "requests"),
        ("process_resident_memory_bytes", "bytes"),
        ("prometheus_tsdb_head_series", "series"),
        ("prometheus_tsdb_head_samples_appended_total", "samples"),
        ("room_temperature_celsius", "°C"),
        ("up", "1 = true"),
        ("flask_error_rate", ""),
        ("http_response_status", ""),
        (SUM, "s"),
        (COUNT, "requests"),
        (BUCKETS, "requests"),
        ("rpc_payload_bytes_count", "observations"),
        ("job:flask_requests:rate2m", "requests/s"),
        ("job:flask_request_failures_per_requests:ratio_rate2m", "ratio"),
        # over time
        ("rate(flask_requests_total[1m])", "requests/s"),
        ("sum by (endpoint) (irate(flask_errors_total[1m]))", "errors/s"),
        ('rate(x{status=~"5..", path="a/b"}[1m])', "per second"),
        ("increase(flask_requests_total[1m])", "requests"),
        ("sum(increase(flask_errors_total[5m]))", "errors"),
        ("rate(process_cpu_seconds_total[1m])", "ratio"),
        ("rate(node_network_receive_bytes_total[1m])", "bytes/s"),
        ("deriv(process_resident_memory_bytes[5m])", "bytes/s"),
        ("delta(flask_uptime_seconds[5m])", "s"),
        ("max_over_time(flask_uptime_seconds[5m])", "s"),
        ("quantile_over_time(0.9, flask_uptime_seconds[5m])", "s"),
        ("max_over_time(sum(rate(flask_requests_total[1m]))[5m:])", "requests/s"),
        ("count_over_time(up[5m])", "samples"),
        ("changes(flask_error_rate[5m])", "changes"),
        ("resets(flask_requests_total[5m])", "resets"),
        ("predict_linear(process_resident_memory_bytes[1h], 3600)", "bytes"),
        ("time() - flask_uptime_seconds", "s"),
        ("time() - process_start_time_seconds", "s"),
        ("timestamp(up)", "s"),
        # aggregations
        ("topk(3, rate(flask_requests_total[1m]))", "requests/s"),
        ("quantile(0.9, flask_uptime_seconds)", "s"),
        ("count(flask_requests_total)", "series"),
        (f"count({P95})", "series"),
        (f"count({P95} > 0.3)", "series"),
        ("group(up)", ""),
        ("stdvar(flask_uptime_seconds)", ""),
        # histograms
        (P95, "s"),
        (f"1000 * {P95}", "ms"),
        (f"{P95} * 1e6", "µs"),
        (f"max by (endpoint) ({P95})", "s"),
        (f"sum(rate({SUM}[1m])) / sum(rate({COUNT}[1m]))", "s"),
        (f"sum(increase({SUM}[1m])) / sum(increase({COUNT}[1m]))", "s"),
        (f"1000 * sum(rate({SUM}[1m])) / sum(rate({COUNT}[1m]))", "ms"),
        (f"1000 * (sum(rate({SUM}[1m])) / sum(rate({COUNT}[1m])))", "ms"),
        (f'rate({BUCKETS}{{le="0.3"}}[1m]) / ignoring (le) rate({COUNT}[1m])', "ratio"),
        ("histogram_quantile(0.5, rate(response_size_bytes_bucket[5m]))", "bytes"),
        # arithmetic
        (RATIO, "ratio"),
        (f"{RATIO} * 100", "%"),
        (f"100 * ({RATIO})", "%"),
        (f"100 * {RATIO}", "%"),
        (f"1 - {RATIO}", "ratio"),
        (f"100 * (1 - {RATIO})", "%"),
        (f"(1 - {RATIO}) * (50 * 2)", "%"),
        ("rate(flask_requests_total[100s]) / rate(flask_requests_total[100s])", "ratio"),
        ("rate(a[1m]) / rate(b[1m])", "ratio"),
        ("flask_uptime_seconds / 60", "minutes"),
        ("flask_uptime_seconds / 3600", "hours"),
        ("flask_uptime_seconds / 60 / 60", "hours"),
        ("flask_uptime_seconds / (60 * 60 * 24)", "days"),
        ("process_resident_memory_bytes / 1024 / 1024", "MiB"),
        ("process_resident_memory_bytes / 1e6", "MB"),
        ("process_resident_memory_bytes / 2 ^ 20", ""),
        ("sum(rate(flask_requests_total[1m])) * 60", "requests/min"),
        ("60 * sum(rate(x[10m]))", "per minute"),
        ("3600 * sum(rate(flask_errors_total[1m]))", "errors/h"),
        ("sum(rate(flask_requests_total[1m])) * 2", "requests/s"),
        ("rate(flask_requests_total[1m]) * flask_uptime_seconds", "requests"),
        ("flask_requests_total / flask_uptime_seconds", "requests/s"),
        ("flask_requests_total / 1000", ""),
        ("flask_requests_in_progress / 32", "requests"),
        ("1 / flask_uptime_seconds", ""),
        ("flask_requests_total + flask_uptime_seconds", ""),
        ("flask_uptime_seconds ^ 2", ""),
        ("-flask_uptime_seconds", "s"),
        # comparisons and sets
        ("flask_uptime_seconds > 60", "s"),
        ("60 < flask_uptime_seconds", "s"),
        ("flask_uptime_seconds > bool 60", "1 = true"),
        ("sum(rate(flask_errors_total[1m])) or vector(0)", "errors/s"),
        ("flask_uptime_seconds and up", "s"),
        ("flask_uptime_seconds unless on (job) up", "s"),
        ("flask_uptime_seconds or flask_requests_total", ""),
        # values and labels
        ("round(flask_uptime_seconds)", "s"),
        ("clamp_max(flask_uptime_seconds, 5)", "s"),
        ("sqrt(flask_uptime_seconds)", ""),
        ('label_replace(flask_uptime_seconds, "a", "b", "", "")', "s"),
        ("flask_uptime_seconds / scalar(sum(flask_uptime_seconds))", "ratio"),
        ("absent(up)", "1 = true"),
        ("5", ""),
        ("vector(1)", ""),
        ('"text"', ""),
    ],
)
def test_the_unit_of_an_expression(promql: str, unit: str):
    assert unit_of(parse(promql)) == unit


def test_a_type_tells_a_count_that_is_no_part_of_a_histogram():
    assert unit_of(parse("queue_messages_count")) == "observations"
    assert unit_of(parse("queue_messages_count"), {"queue_messages_count": "gauge"}) == "messages"


def test_a_unit_that_no_name_tells_may_be_known():
    known = {"flask_error_rate": "%"}
    assert unit_of(parse("avg_over_time(flask_error_rate[5m])"), known=known) == "%"
    assert unit_of(parse("flask_error_rate / 100"), known=known) == "ratio"


@pytest.mark.parametrize("name", [n for n in QUERIES if n != "error_rate"])
def test_the_units_of_the_catalog_are_those_of_its_queries(name: str):
    assert unit_of(parse(QUERIES[name].promql)) == QUERIES[name].unit
