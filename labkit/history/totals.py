"""What happened between two scrapes of a history, exactly: totals, ratios and quantiles."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from labkit.history import latency
from labkit.history.definitions import ENDPOINTS, outcomes
from labkit.history.timeline import iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from labkit.history.definitions import Outcome
    from labkit.history.simulation import Instance
    from labkit.history.timeline import Timeline

_PERCENTILES = (0.5, 0.95, 0.99)


class Totals:
    """What happened between two scrapes of a history, exactly.

    Of each instance it covers what came after its last sample at or before the start, up to its
    last sample at or before the end: what ``x @ end - x @ start`` gives for a counter without a
    restart in between, and what ``increase`` estimates. Requests that no scrape saw (on their way
    when the app was down, or counted by a process that ended before the next scrape) are in
    neither.

    Attributes:
        start: the last scrape at or before the start that was asked for, in unix seconds.
        end: the last scrape at or before the end that was asked for, in unix seconds.
        source: "the model".
        endpoints: the app's endpoints.
    """

    source = "the model"
    endpoints: Sequence[str] = ENDPOINTS

    def __init__(
        self, instances: Sequence[Instance], timeline: Timeline, start_ms: int, end_ms: int
    ) -> None:
        self._instances = {instance.name: instance for instance in instances}
        self._timeline = timeline
        self._spans = {
            instance.name: (
                _last_sample(instance, timeline, start_ms),
                _last_sample(instance, timeline, end_ms),
            )
            for instance in instances
        }
        self._spread: dict[str, NDArray[np.int64]] = {}  # simulated when first asked for
        starts, ends = zip(*self._spans.values(), strict=True)
        self.start = int(timeline.times_ms[max(*starts, 0)]) / 1000
        self.end = int(timeline.times_ms[max(*ends, 0)]) / 1000

    @property
    def instances(self) -> list[str]:
        """The names of the instances."""
        return [*self._instances]

    def requests(
        self,
        endpoint: str | None = None,
        instance: str | None = None,
        status: str | int | None = None,
    ) -> int:
        """Return how many requests were answered.

        Args:
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.
            status: "503" or 503, or a class such as "5xx"; all by default.

        Raises:
            ValueError: for an endpoint, instance or status that there is none of.
        """
        wanted = by_status(status)
        return self._count(lambda outcome: wanted(outcome.status), endpoint, instance)

    def server_errors(self, endpoint: str | None = None, instance: str | None = None) -> int:
        """Return how many were answered with a 5xx.

        Args:
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.

        Raises:
            ValueError: for an endpoint or instance that there is none of.
        """
        return self._count(lambda outcome: outcome.is_server_error, endpoint, instance)

    def errors(
        self,
        error_type: str | None = None,
        instance: str | None = None,
        endpoint: str | None = None,
    ) -> int:
        """Return how many recorded an error, 4xx among them.

        Args:
            error_type: one type; all by default.
            instance: one instance; all by default.
            endpoint: one endpoint; all by default.

        Raises:
            ValueError: for a type, instance or endpoint that there is none of.
        """
        known = [outcome.error_type for outcome in outcomes() if outcome.error_type]
        _check("error_type", error_type, known)
        return self._count(
            lambda outcome: (
                outcome.error_type is not None and error_type in (None, outcome.error_type)
            ),
            endpoint,
            instance,
        )

    def error_ratio(self, endpoint: str | None = None, instance: str | None = None) -> float:
        """Return the share of requests that were answered with a 5xx, 0 to 1; NaN without any.

        Args:
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.
        """
        requests = self.requests(endpoint, instance)
        return self.server_errors(endpoint, instance) / requests if requests else math.nan

    def quantile(self, q: float, endpoint: str | None = None, instance: str | None = None) -> float:
        """Return a quantile of the latency: the least that a share q of requests did not exceed.

        That is numpy's method "inverted_cdf"; its bucket is the one that
        ``histogram_quantile`` interpolates in.

        Args:
            q: from 0 to 1; 0.95 is the 95th percentile.
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.

        Returns:
            Seconds; NaN without requests.

        Raises:
            ValueError: for q out of range, an endpoint or instance that there is none of.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be from 0 to 1, not {q!r}")
        cumulative = np.cumsum(self._latencies(endpoint, instance))
        if not cumulative[-1]:
            return math.nan
        rank = max(q * int(cumulative[-1]), 1)
        return float(latency.VALUES_SECONDS[np.searchsorted(cumulative, rank)])

    def latency_counts(
        self,
        edges: Sequence[float],
        endpoint: str | None = None,
        instance: str | None = None,
    ) -> NDArray[np.int64]:
        """Return how many answers took longer than each edge and up to the next.

        Args:
            edges: ascending, in seconds. The model's latencies lie 1.8 % apart: edges that are
                closer leave empty bins.
            endpoint: one endpoint; all by default.
            instance: one instance; all by default.

        Returns:
            A count for each two neighbouring edges.
        """
        below = np.concatenate([[0], np.cumsum(self._latencies(endpoint, instance))])
        places = np.searchsorted(latency.VALUES_SECONDS, np.asarray(edges), side="right")
        return np.asarray(np.diff(below[places]), np.int64)

    def to_frame(self) -> pd.DataFrame:
        """Return one row an endpoint and instance.

        Returns:
            Columns ``endpoint``, ``instance``, ``requests``, ``server_errors``, ``errors`` (4xx
            among them), ``error_ratio`` (5xx), ``p50_seconds``, ``p95_seconds``,
            ``p99_seconds``.
        """
        import pandas as pd

        rows = [
            {
                "endpoint": endpoint,
                "instance": instance,
                "requests": self.requests(endpoint, instance),
                "server_errors": self.server_errors(endpoint, instance),
                "errors": self.errors(endpoint=endpoint, instance=instance),
                "error_ratio": self.error_ratio(endpoint, instance),
                **{
                    f"p{round(q * 100)}_seconds": self.quantile(q, endpoint, instance)
                    for q in _PERCENTILES
                },
            }
            for endpoint in ENDPOINTS
            for instance in self._instances
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {iso(self.start * 1000)} to {iso(self.end * 1000)}: "
            f"{self.requests():,} requests, {self.server_errors():,} of them 5xx "
            f"({self.error_ratio():.3%})>"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.4g}".format, border=0)
        return f"<p>{escape(repr(self)[1:-1])}</p>{table}"

    def _count(
        self, wanted: Callable[[Outcome], bool], endpoint: str | None, instance: str | None
    ) -> int:
        rows = rows_of(wanted, endpoint)
        return sum(
            int(found.counts[rows, first + 1 : last + 1].sum(dtype=np.int64))
            for found, first, last in self._chosen(instance)
        )

    def _latencies(self, endpoint: str | None, instance: str | None) -> NDArray[np.int64]:
        """Return how many took each latency of the grid."""
        _check("endpoint", endpoint, ENDPOINTS)
        rows = slice(None) if endpoint is None else [ENDPOINTS.index(endpoint)]
        total = np.zeros(latency.VALUES, np.int64)
        for found, first, last in self._chosen(instance):
            if found.name not in self._spread:
                self._spread[found.name] = found.latency_totals(first + 1, last + 1)
            total += self._spread[found.name][rows].sum(axis=0)
        return total

    def _chosen(self, instance: str | None) -> list[tuple[Instance, int, int]]:
        """Return the instances meant, each with the samples that it covers the time between."""
        _check("instance", instance, self._instances)
        names = self._instances if instance is None else [instance]
        return [(self._instances[name], *self._spans[name]) for name in names]


def _last_sample(instance: Instance, timeline: Timeline, ms: int) -> int:
    """Return the last scrape at or before a time that has samples of an instance, or -1."""
    scrape = timeline.at_or_before(ms)
    return int(instance.presence.last_scraped[scrape]) if scrape >= 0 else -1


def rows_of(wanted: Callable[[Outcome], bool], endpoint: str | None) -> list[int]:
    """Return the indices of the outcomes of an endpoint that are wanted."""
    _check("endpoint", endpoint, ENDPOINTS)
    return [
        index
        for index, outcome in enumerate(outcomes())
        if endpoint in (None, outcome.endpoint) and wanted(outcome)
    ]


def by_status(status: str | int | None) -> Callable[[str], bool]:
    """Return what tells whether a status is meant."""
    text = str(status)
    known = sorted({outcome.status for outcome in outcomes()})
    classes = sorted({f"{code[0]}xx" for code in known})
    _check("status", None if status is None else text, [*known, *classes])
    return lambda code: status is None or code == text or f"{code[0]}xx" == text


def _check(name: str, value: str | None, known: Iterable[str]) -> None:
    accepted = list(dict.fromkeys(known))
    if value is not None and value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(accepted)}, not {value!r}")
