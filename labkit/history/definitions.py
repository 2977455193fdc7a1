"""What the app can answer and which series it exposes: read from the app itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry

from app.faults import Faults
from app.metrics import BUCKETS, ERROR_TYPES, ROUTES, Metrics
from app.views import ERRORS, UNHANDLED

if TYPE_CHECKING:
    from collections.abc import Sequence

ENDPOINTS = tuple(ROUTES)
BOUNDS_SECONDS: tuple[float, ...] = BUCKETS
MADE_ERRORS = tuple(ERRORS)  # the kinds that /error chooses from
JOB = "flask"
OK = "200"

# What the two routes record that fail in one way only; a test asks the app itself.
_FAILS_WITH = {"/health": "health_check_failed", "/slow": "timeout"}
# In calm: how much of the traffic each route gets, and how often one fails that can succeed.
# /error always fails, so that it is rare. 0.04 % of all answers are 5xx.
MIX = {"/": 0.70, "/health": 0.15, "/slow": 0.1494, "/error": 0.0006}
CALM_FAILURES = {"/health": 0.0003, "/slow": 0.0003}


class Family(NamedTuple):
    """A metric family.

    Attributes:
        name: as OpenMetrics has it, so a counter's lacks ``_total``.
        type: counter, gauge or histogram.
        help: its help text.
    """

    name: str
    type: str
    help: str


class Labelled(NamedTuple):
    """One series of an instance, without ``job`` and ``instance``."""

    family: str
    name: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """One way in which a request can end.

    Args:
        endpoint: the URL rule.
        status: of the answer.
        error_type: what it records; None where it succeeds.
        newborn: its series appear with its first request, as nothing in the app foresees it.
    """

    endpoint: str
    status: str
    error_type: str | None = None
    newborn: bool = False

    @property
    def is_server_error(self) -> bool:
        """Whether the status is a 5xx."""
        return self.status.startswith("5")


# An exception in a view: a bug, which no route is meant to have.
BUG = Outcome("/", "500", UNHANDLED, newborn=True)


@cache
def outcomes() -> tuple[Outcome, ...]:
    """Return every way in which a request can end, in the order of the app's routes.

    The last is a bug's, which happens only in an incident.
    """
    found = [
        Outcome(endpoint, status, None if status == OK else _FAILS_WITH[endpoint])
        for endpoint, statuses in ROUTES.items()
        if endpoint != "/error"
        for status in statuses
    ]
    found += [Outcome("/error", str(status), kind) for kind, (status, _) in ERRORS.items()]
    return (*found, BUG)


def error_types() -> tuple[str, ...]:
    """Return the error types that the app foresees."""
    return ERROR_TYPES


def outcome_of(endpoint: str, *, fails: bool) -> int:
    """Return the index of a route's one success or one failure."""
    return next(
        index
        for index, outcome in enumerate(outcomes())
        if outcome.endpoint == endpoint and (outcome.error_type is not None) == fails
    )


def outcome_recording(error_type: str) -> int:
    """Return the index of the outcome that records an error type."""
    return [outcome.error_type for outcome in outcomes()].index(error_type)


def declared() -> list[object]:
    """Return all that the samples take from the app, as plain data."""
    ways = [(way.endpoint, way.status, way.error_type) for way in outcomes()]
    return [series(with_bug=True), families(), ways, BUCKETS, Faults("healthy").to_dict()]


def families() -> tuple[Family, ...]:
    """Return the app's metric families, then that of ``up``."""
    metrics = Metrics(CollectorRegistry()).collect()
    own = [Family(metric.name, metric.type, metric.documentation) for metric in metrics]
    return (*own, Family("up", "gauge", "1 where the target was scraped, 0 where it was not."))


def series(*, with_bug: bool = False) -> Sequence[Labelled]:
    """Return the series of one instance in the order in which the app exposes them, then ``up``.

    Args:
        with_bug: include those that appear when a view raises an exception.
    """
    metrics = Metrics(CollectorRegistry())
    if with_bug:
        metrics.requests.labels("GET", BUG.endpoint, BUG.status)
        metrics.errors.labels(BUG.error_type)
    found = [
        Labelled(metric.name, sample.name, dict(sample.labels))
        for metric in metrics.collect()
        for sample in metric.samples
    ]
    return [*found, Labelled("up", "up", {})]
