"""What an app's `/metrics` says, as numbers: requests, errors, uptime, latency."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REQUESTS = "flask_requests_total"
ERRORS = "flask_errors_total"
ERROR_RATE = "flask_error_rate"
UPTIME = "flask_uptime_seconds"
BUCKET = "flask_request_duration_seconds_bucket"

Buckets = dict[float, float]  # requests that took at most so many seconds, by that bound


@dataclass(frozen=True)
class Reading:
    """The figures of one scrape, counted since the app was created.

    Attributes:
        requests: answers by endpoint and status.
        errors: recorded errors by ``error_type``.
        error_rate_percent: requests of the last 60 s that recorded an error; NaN if not exposed.
        uptime_seconds: since the app was created; NaN if not exposed.
        buckets: the latency histogram of each endpoint, cumulative.
    """

    requests: Mapping[tuple[str, str], float]
    errors: Mapping[str, float]
    error_rate_percent: float
    uptime_seconds: float
    buckets: Mapping[str, Buckets]

    @property
    def total(self) -> float:
        """All answers."""
        return sum(self.requests.values())

    @property
    def error_percent(self) -> float:
        """Recorded errors in percent of all answers since the start; NaN without answers."""
        return 100 * sum(self.errors.values()) / self.total if self.total else math.nan

    def quantile(self, q: float, endpoint: str | None = None) -> float:
        """Return a quantile of the latency in seconds, as `bucket_quantile` estimates it.

        Args:
            q: from 0 to 1.
            endpoint: one URL rule; all together by default.
        """
        chosen = [b for name, b in self.buckets.items() if endpoint in (None, name)]
        together: dict[float, float] = defaultdict(float)
        for buckets in chosen:
            for bound, count in buckets.items():
                together[bound] += count
        return bucket_quantile(q, sorted(together.items()))

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON; what is not known is NaN."""
        return {
            "requests": [
                {"endpoint": endpoint, "status": status, "count": count}
                for (endpoint, status), count in sorted(self.requests.items())
            ],
            "requests_total": self.total,
            "errors": dict(self.errors),
            "errors_percent": self.error_percent,
            "error_rate_percent": self.error_rate_percent,
            "uptime_seconds": self.uptime_seconds,
            "p95_seconds": self.quantile(0.95),
            "p95_seconds_by_endpoint": {name: self.quantile(0.95, name) for name in self.buckets},
        }


def read(text: str) -> Reading:
    """Read the text form of the lab app's metrics.

    Raises:
        LabError: when it is not an exposition, or one without the app's metrics.
    """
    requests: dict[tuple[str, str], float] = defaultdict(float)
    errors: dict[str, float] = defaultdict(float)
    single: dict[str, float] = {}
    buckets: dict[str, Buckets] = defaultdict(lambda: defaultdict(float))
    for name, labels, value in _samples(text):
        endpoint = labels.get("endpoint", "")
        if name == REQUESTS:
            requests[endpoint, labels.get("status", "")] += value
        elif name == ERRORS:
            errors[labels.get("error_type", "")] += value
        elif name == BUCKET:
            buckets[endpoint][float(labels["le"])] += value
        elif name in (ERROR_RATE, UPTIME):
            single[name] = value
    if not requests:
        raise LabError(
            f"These metrics hold no {REQUESTS}: it is not the lab's app that answers there.",
            evidence="\n".join(text.splitlines()[:3]),
            next_step="give the address of the app itself, without /metrics; see `labkit check`.",
        )
    return Reading(
        requests=dict(requests),
        errors=dict(errors),
        error_rate_percent=single.get(ERROR_RATE, math.nan),
        uptime_seconds=single.get(UPTIME, math.nan),
        buckets={name: dict(found) for name, found in buckets.items()},
    )


def bucket_quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Estimate a quantile from a histogram's buckets as PromQL's histogram_quantile does.

    Within a bucket the observations are taken to be spread evenly, the first one begins at 0,
    and a quantile beyond the highest finite bound is that bound
    (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).

    Args:
        q: from 0 to 1.
        buckets: pairs of an upper bound and the cumulative count, by rising bound, to +Inf.

    Returns:
        In the unit of the bounds; NaN where nothing was observed.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q must be from 0 to 1, not {q!r}")
    if not buckets or buckets[-1][1] <= 0:
        return math.nan
    rank = q * buckets[-1][1]
    low, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank and count > below:
            return (
                low if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
            )
        if not math.isinf(bound):
            low, below = bound, count
    return low


def _samples(text: str) -> Iterable[tuple[str, dict[str, str], float]]:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield sample.name, sample.labels, float(sample.value)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise LabError(
            "What the app answers at /metrics is not in Prometheus's text form.",
            evidence=f"{error}\n" + "\n".join(text.splitlines()[:3]),
            next_step="open that address in a browser; is it the lab's app that listens there?",
        ) from error
