"""Links into Prometheus's own page in the browser: an expression, drawn over a time."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from labkit.promql.steps import duration


def address(url: str, path: str, promql: str, *, end: float | None, minutes: float) -> str:
    """Return the address at which Prometheus draws an expression.

    Prometheus 2 and 3 read the same parameters, of the first panel: the end of the graph, the
    moment of the table (both in UTC) and the length of the range.

    Args:
        url: the server's address.
        path: its page: ``/graph`` in 2.x, ``/query`` in 3.x; see `labkit.prometheus.lines`.
        promql: the expression, without variables such as ``$__rate_interval``.
        end: the last moment in unix seconds; None for now, whenever that is.
        minutes: how far back.
    """
    panel = {"g0.expr": promql, "g0.tab": "0", "g0.range_input": duration(round(minutes * 60_000))}
    if end is not None:
        moment = f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M:%S}"
        panel |= {"g0.end_input": moment, "g0.moment_input": moment}
    return f"{url.rstrip('/')}{path}?{urlencode(panel)}"
