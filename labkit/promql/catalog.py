"""The queries that have a name: what to ask, in which unit, and how to draw it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from labkit.promql.steps import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["line", "bars", "quantiles", "ratio"]  # functions of labkit.plots

ERROR_RATIO_THRESHOLD_PERCENT = 20.0
LATENCY_OBJECTIVE_SECONDS = 0.3


@dataclass(frozen=True)
class Query:
    """A query with its title, its unit, how to draw it, and the line it should stay under."""

    title: str
    promql: str
    unit: str
    kind: Kind
    threshold: float | None = None


def _quantile(quantile: float, label: str) -> str:
    """Return a quantile over all endpoints that carries its own name as a label."""
    return (
        f"label_replace(histogram_quantile({quantile}, sum by (le) "
        f'(rate(flask_request_duration_seconds_bucket[30s]))), "quantile", "{label}", "", "")'
    )


QUERIES: Mapping[str, Query] = MappingProxyType(
    {
        "request_rate": Query(
            "Requests per second, over 5 minutes",
            "sum(rate(flask_requests_total[5m]))",
            "requests/s",
            "line",
        ),
        "error_rate": Query(
            "Requests that recorded an error, as the app reports it",
            "flask_error_rate",
            "%",
            "ratio",
            ERROR_RATIO_THRESHOLD_PERCENT,
        ),
        "errors_by_type": Query(
            "Errors by type since the start",
            "sum by (error_type) (flask_errors_total)",
            "errors",
            "bars",
        ),
        "latency_p95": Query(
            "95th percentile of the latency, over 5 minutes",
            "histogram_quantile(0.95, rate(flask_request_duration_seconds_bucket[5m]))",
            "s",
            "quantiles",
            LATENCY_OBJECTIVE_SECONDS,
        ),
        "error_ratio_by_endpoint": Query(
            "5xx answers by endpoint, over 5 minutes",
            'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[5m])) / '
            "sum by (endpoint) (rate(flask_requests_total[5m])) * 100",
            "%",
            "ratio",
            ERROR_RATIO_THRESHOLD_PERCENT,
        ),
        "requests_last_minute": Query(
            "Requests in the last minute",
            "sum(increase(flask_requests_total[1m]))",
            "requests",
            "line",
        ),
        "errors_last_minute": Query(
            "Errors in the last minute",
            "sum(increase(flask_errors_total[1m]))",
            "errors",
            "line",
        ),
        # The live charts look at the last 30 seconds, so that a button shows within a breath.
        "live_request_rate": Query(
            "Requests per second",
            "sum by (endpoint) (rate(flask_requests_total[30s]))",
            "requests/s",
            "line",
        ),
        "live_error_ratio": Query(
            "5xx answers",
            'sum(rate(flask_requests_total{status=~"5.."}[30s])) / '
            "sum(rate(flask_requests_total[30s])) * 100",
            "%",
            "ratio",
            ERROR_RATIO_THRESHOLD_PERCENT,
        ),
        "live_error_ratio_by_endpoint": Query(
            "5xx answers by endpoint",
            'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[30s])) / '
            "sum by (endpoint) (rate(flask_requests_total[30s])) * 100",
            "%",
            "ratio",
            ERROR_RATIO_THRESHOLD_PERCENT,
        ),
        "live_latency": Query(
            "Latency: p50, p95, p99",
            " or ".join([_quantile(0.5, "p50"), _quantile(0.95, "p95"), _quantile(0.99, "p99")]),
            "s",
            "quantiles",
            LATENCY_OBJECTIVE_SECONDS,
        ),
    }
)

UNKNOWN = "value"  # where the unit is not known; an axis says at least that


_WINDOW_SECONDS = (30, 60, 120, 300, 600, 1800, 3600)
_SCRAPES = 4  # a rate needs two, and one may be late or missing


def live_seconds(scrape_interval: float) -> int:
    """Return the window of live queries: half a minute, or as long as four scrapes take.

    Args:
        scrape_interval: seconds between two scrapes.
    """
    least = _SCRAPES * scrape_interval
    return next((s for s in _WINDOW_SECONDS if s >= least), _WINDOW_SECONDS[-1])


def live(promql: str, seconds: int) -> str:
    """Return a live query over another window than its 30 seconds."""
    return promql.replace("[30s]", f"[{duration(seconds * 1000)}]")


def describe(promql: str) -> Query:
    """Return how to draw an expression: as the catalog has it, or as a line with its unit."""
    text = " ".join(promql.split())
    for query in QUERIES.values():
        if query.promql == text:
            return query
    return Query(text, promql, _likely_unit(text), "line")


def _likely_unit(promql: str) -> str:
    """Return the unit of an expression by its names; ``value`` where they do not tell it."""
    from labkit.promql.steps import expand
    from labkit.promql.syntax.tree import Unparsed, parse
    from labkit.promql.units import unit_of

    known = {query.promql: query.unit for query in QUERIES.values()}  # some are a metric's name
    try:
        # The variables are windows; which ones does not matter to a unit.
        tree = parse(expand(promql, step_ms=1000, span_ms=1000, scrape_interval=1.0))
    except Unparsed:
        return UNKNOWN
    return unit_of(tree, known=known) or UNKNOWN
