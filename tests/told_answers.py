"""Wrong answers that no exercise lists, or that are written otherwise, and what they are told."""

from __future__ import annotations

from tests.lucky_answers import first_above, page, ratio

# The exercise, the answer, the reason in one word, and words of the feedback.
FEEDBACK = (
    ("join-3", "max_over_time(sum(rate(flask_requests_total[2m]))[2h:1m])", "window", "2h"),
    ("find-1", first_above(ratio("10m")), "window", "The window is 10m; the task is about 5m"),
    ("slo-4", page("1h", "30m", "0.072"), "window", "The window is 30m; the task is about 5m"),
    ("slo-4", page("1h", "5m", "0.05"), "series", "At some of the moments there is a value"),
    (
        "errors-1",
        'sum(rate(flask_requests_total{status=~"5.."}[10m])) '
        "/ sum(rate(flask_requests_total[$__rate_interval]))",
        "window",
        "The window is 4m",
    ),
    ("count-2", "sum(increase(flask_requests_total[30m]))", "window", "30m"),
    ("count-2", "sum(rate(flask_requests_total[1h])) * 60", "factor", "60"),
    ("count-2", "-sum(increase(flask_requests_total[1h]))", "factor", "sign"),
    ("count-2", "flask_requests_total[1h]", "range", "range vector"),
    ("count-2", "sum(increase(flask_requets_total[1h]))", "empty", "flask_requests_total"),
    ("count-2", "sum by (endpoint) (increase(flask_requests_total[1h]))", "labels", "endpoint"),
    ("count-2", "sum(increase(flask_requests_total[1h])", "refused", ""),
    ("count-1", "sum(rate(flask_requests_total[1h])) + 1", "labels", "endpoint"),
    (
        "count-1",
        'sum by (endpoint) (rate(flask_requests_total{endpoint!="/"}[1h]))',
        "series",
        'Missing: {endpoint="/"}',
    ),
    ("count-1", "avg by (endpoint) (rate(flask_requests_total[1h])) * 9", "value", "right series"),
    ("count-1", "sum by (endpoint) (flask_requests_total) / 3600", "raw", "counter"),
    ("count-2", "increase(sum(flask_requests_total)[1h:1m])", "order", "restart"),
    (
        "errors-1",
        "sum(rate(flask_requests_total[10m])) "
        '/ sum(rate(flask_requests_total{status=~"5.."}[10m]))',
        "inverted",
        "upside down",
    ),
    (
        "errors-1",
        'sum(rate(flask_requests_total{status!~"5.."}[10m])) '
        "/ sum(rate(flask_requests_total[10m]))",
        "complement",
        "1 minus",
    ),
    ("errors-1", "sum(rate(flask_requests_total[10m]))", "ratio", "divide"),
    ("lat-1", "rate(flask_requests_in_progress[10m])", "labels", "instance"),
    ("lat-1", "sum(rate(flask_requests_in_progress[10m])) + 1", "gauge", "gauge"),
    ("dash-6", "avg by (instance) (flask_error_rate)", "metric", "flask_error_rate"),
    (
        "errors-6",
        'sum(rate(flask_requests_total{status=~"5.."}[1h]))'
        ' / sum(rate(flask_requests_total{status=~"[45].."}[1h]))',
        "complement",
        "1 minus",
    ),
    (
        "lat-1",
        "sum(rate(flask_request_duration_seconds_sum[10m])"
        " / rate(flask_request_duration_seconds_count[10m]))",
        "listed",
        "adds up",
    ),
    (
        "dash-4",
        '100 * sum(rate(flask_requests_total{status!~"5"}[1h]))'
        " / sum(rate(flask_requests_total[1h]))",
        "listed",
        "whole value",
    ),
    (
        "errors-1",
        'sum(rate(flask_requests_total{status=~"[45].."}[10m]))'
        " / sum(rate(flask_requests_total[10m]))",
        "listed",
        "begins with 4",
    ),
    (
        "errors-4",
        '100 * sum(rate(flask_requests_total{status=~"5.*"}[10m]))'
        " / sum(rate(flask_request_duration_seconds_count[10m]))",
        "listed",
        "400 and 403",
    ),
    ("count-3", "avg by (instance) (resets(flask_requests_total[2d]))", "listed", "mean"),
    (
        "own-5",
        "sum by (version) (rate(mine_requests_total[2m]) * on (instance) group_left mine_info)",
        "listed",
        "group_left (version)",
    ),
    (
        "slo-4",
        page("5m", "1h", "0.072"),
        "listed",
        "left side",
    ),
    (
        "slo-4",
        page("1h", "5m", "0.072").replace(" and ", " or "),
        "listed",
        "Both have to hold",
    ),
    (
        "errors-2",
        'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[10m]))'
        " / sum by (endpoint) (rate(flask_requests_total[10m])) or vector(0)",
        "listed",
        "beside",
    ),
    (
        "errors-2",
        'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[10m]))'
        " / sum by (endpoint) (rate(flask_requests_total[10m])) or vector(7)",
        "series",
        "A value without labels is there",
    ),
    (
        "errors-2",
        "sum by (endpoint) (rate(flask_errors_total[10m]))"
        " / sum by (endpoint) (rate(flask_requests_total[10m]))",
        "grouping",
        "flask_errors_total has no label endpoint",
    ),
    (
        "errors-3",
        "60 * avg by (error_type) (rate(flask_errors_total[10m]))",
        "factor",
        "1/3 of what was asked",
    ),
    ("count-2", "sum(increase(flask_requests_total[1h])) / 3600 / 3600", "factor", "times what"),
)
