"""Metrics: every instrument of the app, bound to one registry."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics import MetricWrapperBase

# What the routes can answer. These children exist from the start, at 0: a series that is born
# at 1 hides its first increment from rate() and increase().
ROUTES = {
    "/": ("200",),
    "/health": ("200", "503"),
    "/slow": ("200", "504"),
    "/error": ("400", "403", "500", "504"),
}
ERROR_TYPES = (
    "health_check_failed",
    "timeout",
    "database_error",
    "validation_error",
    "permission_error",
    "timeout_error",
)
UNCOUNTED = frozenset({"/metrics", "/faults"})
UNMATCHED = "<unmatched>"
# A label value for each method in use; what else a client may invent shares one.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
OTHER_METHOD = "other"
# Boundaries at the SLO (0.3 s), at the time-out of /slow (2.0 s) and just above it.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 2.5, 5.0)
# Where a view leaves the type of the error that it answers with, in the WSGI environment.
ERROR_KEY = "app.error_type"


class ErrorRate:
    """The share of requests that recorded an error over the last 60 seconds.

    A ring of one-second slots, so the cost and the memory do not depend on the traffic. The
    second that runs now and the 59 before it count. Times are those of a clock that never runs
    backwards, in seconds.
    """

    SECONDS = 60

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second = [-self.SECONDS] * self.SECONDS  # which second each slot holds
        self._requests = [0] * self.SECONDS
        self._errors = [0] * self.SECONDS

    def record(self, failed: bool, now: float) -> None:
        """Count one request that ended now."""
        second = int(now)
        slot = second % self.SECONDS
        with self._lock:
            if self._second[slot] < second:
                self._second[slot] = second
                self._requests[slot] = self._errors[slot] = 0
            self._requests[slot] += 1
            self._errors[slot] += failed

    def percent(self, now: float) -> float:
        """Return the error rate in percent, 0 to 100; 0 when there were no requests."""
        oldest = int(now) - self.SECONDS + 1
        with self._lock:
            slots = [i for i, second in enumerate(self._second) if second >= oldest]
            requests = sum(self._requests[i] for i in slots)
            errors = sum(self._errors[i] for i in slots)
        return 100.0 * errors / requests if requests else 0.0


class Metrics:
    """The instruments, what they have counted, and the WSGI middleware that feeds them.

    A collector of the registry: the instruments themselves stay out of it, so that their
    ``_created`` series can be left out without prometheus_client's switch for the process.

    Example:
        >>> registry = CollectorRegistry()
        >>> app.wsgi_app = Metrics(registry).track(app.wsgi_app)
        >>> registry.get_sample_value("flask_requests_in_progress")
        0.0

    Args:
        registry: where the metrics appear. A registry takes one app.

    Raises:
        ValueError: when the registry holds metrics of these names already.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "flask_requests_total",
            "Requests answered, by method, URL rule and status.",
            ("method", "endpoint", "status"),
            registry=None,
        )
        self.errors = Counter(
            "flask_errors_total", "Errors recorded, by type.", ("error_type",), registry=None
        )
        self.error_rate = Gauge(
            "flask_error_rate",
            "Percent of the requests of the last 60 seconds that recorded an error.",
            registry=None,
        )
        self.uptime = Gauge(
            "flask_uptime_seconds", "Seconds since the app was created.", registry=None
        )
        self.duration = Histogram(
            "flask_request_duration_seconds",
            "Time from the app's start on a request to its answer, by method and URL rule.",
            ("method", "endpoint"),
            buckets=BUCKETS,
            registry=None,
        )
        self.in_progress = Gauge(
            "flask_requests_in_progress",
            "Requests that the app is working on now.",
            registry=None,
        )
        # A set takes and gives up a member in one step, at a fraction of a gauge's cost, and
        # cannot drift: what is in it is what is being worked on.
        self._active: set[object] = set()
        self._recent = ErrorRate()
        created = time.perf_counter()
        self.error_rate.set_function(lambda: self._recent.percent(time.perf_counter()))
        self.uptime.set_function(lambda: time.perf_counter() - created)
        self.in_progress.set_function(lambda: len(self._active))
        self._outcomes: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        for endpoint, statuses in ROUTES.items():
            for status in statuses:
                self._outcome("GET", endpoint, status)
        self._error_children = {name: self.errors.labels(name) for name in ERROR_TYPES}
        registry.register(self)

    @property
    def _instruments(self) -> tuple[MetricWrapperBase, ...]:
        return (
            self.requests,
            self.errors,
            self.error_rate,
            self.uptime,
            self.duration,
            self.in_progress,
        )

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without samples; the registry asks, to refuse duplicates."""
        for instrument in self._instruments:
            yield from instrument.describe()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with their samples, `_created` left out."""
        for instrument in self._instruments:
            for metric in instrument.collect():
                created = f"{metric.name}_created"
                metric.samples = [sample for sample in metric.samples if sample.name != created]
                yield metric

    def track(self, application: WSGIApplication) -> WSGIApplication:
        """Return the application with every request counted, apart from `UNCOUNTED`.

        A request is counted before the first byte of its answer leaves, so that a client that
        has its answer finds it in the next scrape.
        """
        active, finish, clock = self._active, self._finish, time.perf_counter

        def tracked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            if environ.get("PATH_INFO") in UNCOUNTED:
                return application(environ, start_response)
            endpoint, status = UNMATCHED, "500"  # should the application raise

            def started(
                line: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None
            ) -> Callable[[bytes], object]:
                nonlocal endpoint, status
                endpoint, status = rule_of(environ), line[:3]
                return start_response(line, headers, exc_info)

            active.add(started)
            start = clock()
            try:
                return application(environ, started)
            finally:
                active.discard(started)
                finish(environ, endpoint, status, start)

        return tracked

    def _finish(self, environ: WSGIEnvironment, endpoint: str, status: str, start: float) -> None:
        now = time.perf_counter()
        key = environ["REQUEST_METHOD"], endpoint, status
        counter, histogram = self._outcomes.get(key) or self._outcome(*key)
        counter.inc()
        histogram.observe(now - start)
        error_type = environ.get(ERROR_KEY)
        if error_type is not None:
            self._error(error_type).inc()
        self._recent.record(error_type is not None, now)

    def _outcome(self, method: str, endpoint: str, status: str) -> tuple[Counter, Histogram]:
        """Return the children for one kind of outcome, made at their first use."""
        if method not in METHODS:
            method = OTHER_METHOD
        key = method, endpoint, status
        if key not in self._outcomes:
            children = self.requests.labels(*key), self.duration.labels(method, endpoint)
            self._outcomes[key] = children
        return self._outcomes[key]

    def _error(self, error_type: str) -> Counter:
        child = self._error_children.get(error_type)
        return child if child is not None else self.errors.labels(error_type)


def rule_of(environ: WSGIEnvironment) -> str:
    """Return the URL rule that a request matched, or ``<unmatched>``.

    Known from dispatch until the answer starts: Flask forgets the request after that.
    """
    request = environ.get("werkzeug.request")
    rule = request.url_rule if request is not None else None
    return rule.rule if rule is not None else UNMATCHED
