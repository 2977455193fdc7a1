"""Reading an app's metrics: the same numbers as the app counts and Prometheus estimates."""

from __future__ import annotations

import math

import pytest

from app import create_app
from labkit.errors import LabError
from labkit.exposition import bucket_quantile, read


def test_a_reading_has_what_the_app_counted():
    app = create_app({"SEED": 1})
    client = app.test_client()
    statuses = [client.get(path).status_code for path in ("/", "/", "/error", "/error", "/nowhere")]
    reading = read(client.get("/metrics").text)
    assert reading.requests["/", "200"] == 2
    assert reading.requests["<unmatched>", "404"] == 1
    assert sum(n for (endpoint, _), n in reading.requests.items() if endpoint == "/error") == 2
    assert (reading.total, sum(reading.errors.values())) == (5, 2)
    assert reading.error_percent == reading.error_rate_percent == 40
    assert 0 < reading.uptime_seconds < 60
    assert 0 < reading.quantile(0.95, "/") <= 0.005, "in the first bucket"
    assert len(statuses) == 5


def test_a_fresh_app_has_no_quantile_and_no_error_share():
    reading = read(create_app().test_client().get("/metrics").text)
    assert math.isnan(reading.quantile(0.95))
    assert math.isnan(reading.error_percent)
    assert reading.to_dict()["requests_total"] == 0


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        # 10 up to 0.1 s, 80 more up to 0.5 s, 5 up to 1 s, and 5 beyond.
        (0.05, 0.05),
        (0.10, 0.1),
        (0.50, 0.3),
        (0.90, 0.5),
        (0.925, 0.75),
        (0.95, 1.0),
        (0.99, 1.0),
    ],
)
def test_a_quantile_is_interpolated_as_histogram_quantile_does(q, expected):
    buckets = [(0.1, 10.0), (0.5, 90.0), (1.0, 95.0), (math.inf, 100.0)]
    assert bucket_quantile(q, buckets) == pytest.approx(expected)


def test_empty_buckets_are_passed_over():
    buckets = [(0.1, 0.0), (0.2, 0.0), (0.4, 4.0), (math.inf, 4.0)]
    assert bucket_quantile(0.5, buckets) == pytest.approx(0.3)
    assert math.isnan(bucket_quantile(0.5, []))
    with pytest.raises(ValueError, match="from 0 to 1"):
        bucket_quantile(95, buckets)


@pytest.mark.parametrize("text", ["<html>Sign in</html>", "up 1\n", "", '{"routes": []}'])
def test_what_is_not_the_apps_metrics_is_said(text):
    with pytest.raises(LabError):
        read(text)
