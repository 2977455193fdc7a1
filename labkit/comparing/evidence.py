"""What Prometheus has of an interval: its counters at both ends, its answers, its buckets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.comparing.interval import REQUESTS, Interval, reach_seconds
from labkit.comparing.truth import unanswered
from labkit.errors import LabError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from labkit.comparing.truth import Truth
    from labkit.promql.client import Client

BUCKETS = "flask_request_duration_seconds_bucket"
_HAIR = 1e-9  # what interpolation may leave above a boundary that it means to hit
SERVER_ERROR = '{status=~"5.."}'


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many requests fell into each bucket between the two scrapes, not cumulative.

    They are counted by subtraction, or by increase() where the counters were reset in between.

    Attributes:
        bounds: the upper boundary of each bucket in seconds, ascending, +Inf the last.
        counts: the requests in each.
    """

    bounds: NDArray[np.float64]
    counts: NDArray[np.int64]

    def bucket(self, seconds: float) -> int:
        """Return the index of the bucket that a latency falls into."""
        return int(np.searchsorted(self.bounds, seconds * (1 - _HAIR), side="left"))

    def lower(self, index: int) -> float:
        """Return the lower boundary of a bucket."""
        return float(self.bounds[index - 1]) if index else 0.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that the figures and their causes are taken from.

    Attributes:
        client: where more can be asked.
        truth: what happened.
        interval: the window that was asked for.
        series: one row a counter that there is at the end: its labels, ``before`` (NaN where it
            was born inside), ``first`` and ``first_ms`` (the first sample inside the window),
            ``after``, ``last_ms``, ``increase`` and ``resets``.
        histograms: by endpoint, and of all under None.
        bounds: the finite boundaries of the buckets in seconds, ascending.
    """

    client: Client
    truth: Truth
    interval: Interval
    series: pd.DataFrame
    histograms: dict[str | None, Histogram]
    bounds: NDArray[np.float64]

    def value(self, promql: str, **labels: str) -> float:
        """Return the lone value of an expression at the window's end; NaN where there is none."""
        frame = self.client.query(promql, time=self.interval.end)
        for name, wanted in labels.items():
            frame = frame[frame[name] == wanted] if name in frame else frame.iloc[:0]
        return float(frame["value"].iloc[0]) if len(frame) else math.nan

    def of(self, endpoint: str | None) -> pd.DataFrame:
        """Return the counters of an endpoint, or all."""
        return self.series if endpoint is None else self.series[self.series["endpoint"] == endpoint]

    def grown(self, endpoint: str | None = None, *, errors: bool = False) -> float:
        """Return by how much the counters grew from scrape to scrape; a born one grew from 0."""
        rows = self.of(endpoint)
        if errors:
            rows = rows[rows["status"].str.startswith("5")]
        return float((rows["after"] - rows["before"].fillna(0)).sum())

    def resets(self, endpoint: str | None = None) -> int:
        """Return how often a counter began again from 0; each process counts once."""
        rows = self.of(endpoint)
        return int(rows.groupby("instance")["resets"].max().sum())

    def born(self, endpoint: str | None = None) -> pd.DataFrame:
        """Return the counters that were not there at the window's start."""
        rows = self.of(endpoint)
        return rows[rows["before"].isna()]

    def unanswered(self, endpoint: str | None = None) -> int:
        """Return how many requests got no answer, though the app may have counted them."""
        return sum(unanswered(self.truth, endpoint).values())


def gather(client: Client, truth: Truth, interval: Interval) -> Evidence:
    """Ask Prometheus for the counters and buckets at both ends of the window.

    Raises:
        LabError: there is no histogram of the latencies.
        QueryError: Prometheus is not reached or refuses.
    """
    series = _series(client, interval)
    histograms = _histograms(client, interval, reset=series["resets"].max() > 0)
    bounds = histograms[None].bounds
    return Evidence(client, truth, interval, series, histograms, bounds[np.isfinite(bounds)])


def _series(client: Client, interval: Interval) -> pd.DataFrame:
    window, end = interval.duration, interval.end
    columns = {
        "before": client.query(REQUESTS, time=interval.start),
        "after": client.query(REQUESTS, time=end),
        "last": client.query(f"timestamp({REQUESTS})", time=end),
        "increase": client.query(f"increase({REQUESTS}[{window}])", time=end),
        "resets": client.query(f"resets({REQUESTS}[{window}])", time=end),
    }
    values = {name: _by_labels(frame)["value"] for name, frame in columns.items()}
    first = _first_inside(client, interval)
    rows = values.pop("after").to_frame("after").join(values["before"].rename("before"))
    rows = rows.join(values["increase"].rename("increase")).join(values["resets"].rename("resets"))
    rows["last_ms"] = (values["last"] * 1000).round()
    rows = rows.join(first)
    # A counter with a single sample in the window has no increase.
    return rows.fillna({"increase": 0.0, "resets": 0.0}).reset_index()


def _by_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Index a frame by the labels that tell one counter from another."""
    labels = ("instance", "method", "endpoint", "status")
    return frame.assign(**{name: "" for name in labels if name not in frame}).set_index([*labels])


def _first_inside(client: Client, interval: Interval) -> pd.DataFrame:
    """Return each counter's first sample in the window, as the server itself bounds it.

    Prometheus 3 leaves a sample at the very start of a range out, 2 takes it in.
    """
    import pandas as pd

    reach = min(interval.seconds, reach_seconds(client))
    samples = client.query(f"{REQUESTS}[{round(reach * 1000)}ms]", time=interval.start + reach)
    if samples.empty:
        nothing: dict[str, Any] = {"first": [], "first_ms": []}
        return pd.DataFrame(nothing, index=_by_labels(samples).index, dtype="float64")
    samples["ms"] = pd.DatetimeIndex(samples["time"]).as_unit("ms").asi8
    ordered = _by_labels(samples.sort_values("ms"))
    kept = ordered[~ordered.index.duplicated()]
    return pd.DataFrame({"first": kept["value"], "first_ms": kept["ms"].astype("float64")})


def _histograms(client: Client, interval: Interval, *, reset: bool) -> dict[str | None, Histogram]:
    query = f"sum by (endpoint, le) ({BUCKETS})"
    after = _cumulative(client.query(query, time=interval.end))
    if after.empty:
        raise LabError(
            f"This Prometheus has no {BUCKETS} beside {REQUESTS}.",
            next_step="compare with an app whose latency is a classic histogram of this name.",
        )
    if reset:
        query = f"sum by (endpoint, le) (increase({BUCKETS}[{interval.duration}]))"
        grown = _cumulative(client.query(query, time=interval.end)).reindex_like(after).fillna(0.0)
    else:
        before = _cumulative(client.query(query, time=interval.start))
        grown = after.sub(before.reindex_like(after).fillna(0.0))
    found: dict[str | None, Histogram] = {
        str(endpoint): _histogram(row) for endpoint, row in grown.iterrows()
    }
    found[None] = _histogram(grown.sum())
    return found


def _cumulative(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cumulative counts: one row an endpoint, one column a boundary, ascending."""
    import pandas as pd

    if frame.empty:
        return pd.DataFrame(dtype="float64")
    bounds = frame.assign(le=frame["le"].astype("float64"))
    return bounds.pivot_table(index="endpoint", columns="le", values="value").sort_index(axis=1)


def _histogram(cumulative: pd.Series[float]) -> Histogram:
    counts = np.diff(cumulative.to_numpy(np.float64), prepend=0.0)
    return Histogram(
        bounds=cumulative.index.to_numpy(np.float64),
        counts=np.rint(counts).astype(np.int64),
    )
