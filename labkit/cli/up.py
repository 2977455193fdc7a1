"""`labkit up`: the app and Prometheus in the foreground, for use without Jupyter."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import click

from labkit.cli import output
from labkit.cli.options import PORT, Number
from labkit.cli.output import json_option

if TYPE_CHECKING:
    import pandas as pd

    from labkit.errors import PortInUse
    from labkit.lab import Lab

_LOOK_SECONDS = 0.5
_FIGURES_SECONDS = 2.0
_PRESETS = ("classic", "healthy")
_THREADS = Number(1, 1000, whole=True, unit="of threads")
_INTERVAL = Number(0.1, 3600, least=True, unit="of seconds")


@click.command()
@click.option("--app-port", type=PORT, default=5000, show_default=True, help="0: a free one.")
@click.option("--prometheus-port", type=PORT, default=9090, show_default=True, help="0: likewise.")
@click.option(
    "--scrape-interval",
    type=_INTERVAL,
    default=1.0,
    show_default=True,
    help="Seconds between two scrapes.",
)
@click.option(
    "--threads",
    type=_THREADS,
    default=32,
    show_default=True,
    help="Requests that the app works on at once.",
)
@click.option(
    "--preset",
    type=click.Choice(_PRESETS),
    default="classic",
    show_default=True,
    help="How the app misbehaves; healthy is a good day in production.",
)
@click.option("--seed", type=int, help="Makes the app's faults repeat.")
@json_option
def up(
    *,
    app_port: int,
    prometheus_port: int,
    scrape_interval: float,
    threads: int,
    preset: str,
    seed: int | None,
    as_json: bool,
) -> None:
    r"""Run the app and Prometheus until Ctrl-C.

    The other commands find them by themselves, from any terminal of yours.

    \b
    Examples:
      labkit up
      labkit up --preset healthy --seed 7
      labkit up --app-port 0 --prometheus-port 0      any free ports

    \b
    Exit codes:
      0 ended by Ctrl-C or SIGTERM; 1 a part did not start or ended by itself; 2 usage
    """
    from labkit.cli.signals import interrupting
    from labkit.errors import PortInUse
    from labkit.lab import Lab

    lab = Lab(
        scrape_interval=scrape_interval,
        app_port=app_port,
        app_threads=threads,
        prometheus_port=prometheus_port,
        seed=seed,
        name="labkit up",
    )
    lab.kind = "up"
    try:
        with interrupting():
            try:
                with lab:
                    lab.faults.preset(preset)
                    _show(lab, preset, as_json=as_json)
                    _watch(lab)
            except PortInUse as error:
                raise _advised(error, app_port, prometheus_port) from error
    except KeyboardInterrupt:
        output.notes.print("Stopped; nothing is left running.")


def _show(lab: Lab, preset: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(
            {
                "url": lab.url,
                "prometheus_url": lab.prometheus_url,
                "pid": os.getpid(),
                "preset": preset,
                "seed": lab.seed,
            }
        )
        return
    parts = [part for part in lab.status().parts if part.name != "Traffic"]
    rows = [(part.name, part.state, part.url, part.detail) for part in parts]
    output.console.print(output.table(["part", "state", "address", ""], rows))
    output.console.print(
        "Now, in another terminal: `labkit traffic`, `labkit demo`, `labkit query up`. "
        "Ctrl-C ends it."
    )


def _watch(lab: Lab) -> None:
    """Show the state on a terminal until a signal comes, or raise why a part ended."""
    begin = time.monotonic()
    never = threading.Event()
    with output.notes.status("") as line:
        due = 0.0
        while not never.wait(_LOOK_SECONDS):
            _require_prometheus(lab)
            now = time.monotonic() - begin
            if output.notes.is_terminal and now >= due:
                due = now + _FIGURES_SECONDS
                line.update(f"up for {now:.0f} s, {_figures(lab)}")


def _require_prometheus(lab: Lab) -> None:
    from labkit.errors import PrometheusExited

    part = lab.status()["Prometheus"]
    if part.state == "down":
        raise PrometheusExited(
            f"Prometheus {part.detail.partition(':')[0]}.",
            evidence=lab.logs("prometheus", 10),
            next_step="start both again with `labkit up`.",
        )


def _figures(lab: Lab) -> str:
    """Return the traffic of the last half minute, or four scrapes, in a few words."""
    from labkit.errors import QueryError
    from labkit.promql.catalog import QUERIES, live, live_seconds

    def ask(name: str, promql: str = "{}") -> pd.Series[float]:
        # Not lab.query: its notes on what is empty would stand in the status line.
        words = live(promql.format(QUERIES[name].promql), live_seconds(lab.scrape_interval))
        return lab.client.query(words)["value"].dropna()

    try:
        rate, ratio = ask("live_request_rate", "sum({})"), ask("live_error_ratio")
    except QueryError as error:
        return error.message
    if rate.empty or not rate.item():
        return "no traffic"
    return f"{rate.item():.1f} requests/s" + (
        "" if ratio.empty else f", {ratio.item():.0f} % of them 5xx"
    )


def _advised(error: PortInUse, app_port: int, prometheus_port: int) -> PortInUse:
    """Say which option helps, and whether it is another `labkit up` that has the port."""
    from labkit import registry
    from labkit.errors import PortInUse

    option, port = "--app-port", app_port
    if "Prometheus" in error.message:
        option, port = "--prometheus-port", prometheus_port
    others = [
        entry
        for entry in registry.running("up")
        if any(url.endswith(f":{port}") for url in (entry.url, entry.prometheus_url))
    ]
    use = (
        f"`labkit up` runs already, as process {others[0].pid}: use that one, or end it there "
        "with Ctrl-C. "
        if others
        else "stop the program that has it. "
    )
    return PortInUse(
        error.message,
        evidence=error.evidence,
        next_step=f"{use}Or choose another port with {option}; 0 takes a free one.",
    )
