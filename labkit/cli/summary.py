"""What came of traffic, as tables and as data: by endpoint and status, latency, errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from labkit.cli import output
from labkit.cli.words import printable

if TYPE_CHECKING:
    from rich.text import Text

    from labkit.exposition import Reading
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.stats import Stats

_MILLISECONDS = 1000.0
_QUANTILES = (0.5, 0.95, 0.99)
_ENDS = {
    "finished": "finished",
    "stopped": "stopped before its end",
    "died": "broken off: the sending process ended",
    "failed": "broken off",
}


def run_to_dict(run: TrafficRun) -> dict[str, Any]:
    """Return a run and what came of it as plain data for JSON; times are Unix seconds."""
    from labkit.traffic.shapes import to_dict

    return {
        "url": run.url,
        "shape": to_dict(run.shape),
        "mix": dict(run.mix.weights),
        "seed": run.seed,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        **run.stats.to_dict(),
        "by_endpoint_and_status": run.stats.to_frame().to_dict("records"),
    }


def print_summary(run: TrafficRun, what: str) -> None:
    """Print what came of a run."""
    stats = run.stats
    console = output.console
    ended = _ENDS.get(stats.state, stats.state)
    if run.shape.duration is None and stats.state == "stopped":
        ended = "stopped"
    console.print(f"{what}: {ended} after {stats.seconds:.1f} s (seed {run.seed})")
    if stats.sent:
        console.print(_by_endpoint_and_status(stats))
    console.print(_counts(stats))
    if stats.responses:
        console.print(f"achieved {stats.rate:.2f} requests/s; latency {_latency(stats)}")
    if stats.errors_by_type:
        errors = sorted(stats.errors_by_type.items(), key=lambda item: -item[1])
        words = ", ".join(f"{name} {n:,}" for name, n in errors)
        console.print(f"errors by type: {printable(words)}")
    if stats.problem:
        console.print(printable(stats.problem), style="bold red")


def print_statistics(reading: Reading, url: str) -> None:
    """Print what the app itself has counted."""
    from labkit.cli.output import console, table

    console.print(f"Counted by the app at {url} since it started")
    rows = [
        (endpoint, _painted(status), round(count))
        for (endpoint, status), count in sorted(reading.requests.items())
        if count
    ]
    console.print(table(["endpoint", "status", "requests"], rows or [("none yet", "", 0)]))
    errors = [(name, round(count)) for name, count in sorted(reading.errors.items())]
    console.print(table(["error_type", "errors"], errors))
    minute = _known(reading.error_rate_percent, "{:.1f} % of the last minute's requests")
    whole = _known(reading.error_percent, "{:.1f} % since the start")
    facts = [
        ("requests", f"{reading.total:,.0f}"),
        ("error rate", f"{minute}; {whole}"),
        ("uptime", _known(reading.uptime_seconds, "{:,.0f} s")),
        ("p95 latency", _known(reading.quantile(0.95), "{:.3g} s (estimated from the buckets)")),
    ]
    console.print(table(["figure", "value"], facts))


def brief(stats: Stats) -> str:
    """Return what came of a run in one line."""
    others = f"; {printable(stats.problem)}" if stats.problem else ""
    return f"{_counts(stats)}; latency {_latency(stats)}{others}" if stats.sent else "nothing sent"


def _by_endpoint_and_status(stats: Stats) -> Any:
    rows = [
        (
            row["endpoint"],
            _painted(row["status"].replace("_", " ")),
            row["count"],
            f"{100 * row['count'] / stats.sent:.1f} %",
            *(_in_ms(row[f"{name}_seconds"]) for name in ("p50", "p95", "p99")),
        )
        for row in stats.to_frame().to_dict("records")
    ]
    columns = ["endpoint", "status", "requests", "share", "p50 ms", "p95 ms", "p99 ms"]
    return output.table(columns, rows, spare=["p99 ms", "p95 ms", "p50 ms"])


def _counts(stats: Stats) -> str:
    others = ("timed_out", "failed", "cancelled", "in_flight", "late", "dropped")
    found = [(name.replace("_", " "), getattr(stats, name)) for name in others]
    counts = [("sent", stats.sent), ("answered", stats.responses), *(f for f in found if f[1])]
    return ", ".join(f"{count:,} {name}" for name, count in counts)


def _latency(stats: Stats) -> str:
    values = [(f"p{round(100 * q)}", stats.quantile(q)) for q in _QUANTILES]
    return ", ".join(f"{name} {_known(value, '{:.3g} s')}" for name, value in values)


def _in_ms(seconds: float) -> int | None:
    return None if math.isnan(seconds) else round(seconds * _MILLISECONDS)


def _known(value: float, template: str) -> str:
    return "not known" if math.isnan(value) else template.format(value)


def _painted(status: str) -> Text:
    """Paint a status: green where it is well, red where it is not."""
    from rich.text import Text

    shown = printable(status)
    return Text(shown, style="green" if status.startswith(("2", "3")) else "red")
