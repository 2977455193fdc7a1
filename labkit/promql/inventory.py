"""What there is to ask for: the metrics a Prometheus holds, with type, help and labels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from labkit.promql.connection import Connection

_COUNT = 'count by (__name__) ({__name__!=""})'
_MOST_SERIES = 50_000  # above this the labels are left out: listing every series costs too much
_SUFFIXES = {
    "_bucket": {"histogram", "gaugehistogram"},
    "_sum": {"histogram", "summary"},
    "_count": {"histogram", "summary"},
    "_gsum": {"gaugehistogram"},
    "_gcount": {"gaugehistogram"},
    "_total": {"counter"},
    "_info": {"info"},
    "_created": {"counter", "histogram", "summary"},
}
# Prometheus writes these itself at each scrape and keeps no metadata of them
# (https://prometheus.io/docs/concepts/jobs_instances/).
_BUILT_IN = {
    "up": "1 if the last scrape of the target succeeded, 0 if it failed.",
    "scrape_duration_seconds": "How long the last scrape took.",
    "scrape_samples_scraped": "How many samples the target exposed.",
    "scrape_samples_post_metric_relabeling": "How many samples were left after relabelling.",
    "scrape_series_added": "About how many new series the last scrape brought.",
}


def inventory(connection: Connection, at: float | None = None) -> pd.DataFrame:
    """Return a row for every name that has a sample at a moment, sorted by name.

    Args:
        connection: where to ask.
        at: the moment in unix seconds; the server's now by default.

    Columns: ``name`` as a query takes it (a histogram has three: ``_bucket``, ``_sum``,
    ``_count``), ``type`` and ``help`` of the metric it belongs to (``unknown`` and empty where the
    target gave none), ``labels`` (their names, sorted, joined by ", "; empty on servers with more
    than 50,000 series) and ``series``, how many there are now.

    Raises:
        QueryError: as any query.
    """
    import pandas as pd

    moment = {} if at is None else {"time": f"{at:.3f}"}
    counted = connection.ask("query", {"query": _COUNT, **moment}).data["result"]
    series = {s["metric"]["__name__"]: int(float(s["value"][1])) for s in counted}
    metadata = connection.ask("metadata").data or {}
    labels = _labels(connection, moment) if 0 < sum(series.values()) <= _MOST_SERIES else {}
    rows = [
        (name, *_meaning(name, metadata), ", ".join(sorted(labels.get(name, ()))), series[name])
        for name in sorted(series)
    ]
    frame = pd.DataFrame(rows, columns=["name", "type", "help", "labels", "series"])
    text = dict.fromkeys(["name", "type", "help", "labels"], "str")
    return frame.astype({**text, "series": "int64"})


def _labels(connection: Connection, moment: Mapping[str, str]) -> Mapping[str, set[str]]:
    """Return the label names of each metric that had a sample in the five minutes before."""
    now = float(connection.ask("query", {"query": "time()", **moment}).data["result"][1])
    span = {"start": f"{now - 300:.3f}", "end": f"{now:.3f}"}
    found = connection.ask("series", {"match[]": '{__name__!=""}', **span}).data
    names: defaultdict[str, set[str]] = defaultdict(set)
    for labels in found:
        names[labels["__name__"]].update(labels.keys() - {"__name__"})
    return names


def _meaning(name: str, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """Return the type and help of the metric that a name belongs to."""
    if name in metadata:
        return metadata[name][0]["type"], metadata[name][0]["help"]
    for suffix, types in _SUFFIXES.items():
        family = metadata.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if family and family[0]["type"] in types:
            return family[0]["type"], family[0]["help"]
    return ("gauge", _BUILT_IN[name]) if name in _BUILT_IN else ("unknown", "")
