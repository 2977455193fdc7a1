"""`labkit demo`: scenarios to choose from a menu, or by name."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from labkit.cli import output
from labkit.cli.options import Number, prometheus_option, target_options
from labkit.cli.output import json_option
from labkit.cli.words import told
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.cli.finding import Found
    from labkit.cli.options import Sending
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.scenarios import Scenario

_NAMES = ("basic", "errors", "timeouts", "heavy", "full")
_SPEED = Number(0, 100)
_QUERIES = (
    "sum(rate(flask_requests_total[30s]))",
    "sum by (error_type) (rate(flask_errors_total[30s]))",
    "histogram_quantile(0.95, sum by (le) (rate(flask_request_duration_seconds_bucket[30s])))",
)


@click.command()
@click.option("--scenario", type=click.Choice(_NAMES), help="Run this one without asking.")
@click.option(
    "--speed",
    type=_SPEED,
    default=1.0,
    show_default=True,
    help="So many times shorter, at the same rates.",
)
@target_options
@prometheus_option
@json_option
@click.pass_context
def demo(
    ctx: click.Context,
    *,
    scenario: str | None,
    speed: float,
    sending: Sending,
    prometheus_url: str | None,
    as_json: bool,
) -> None:
    r"""Run a scenario, chosen from a menu.

    Each shows how one kind of trouble looks in the metrics. The full demonstration takes about
    two and a half minutes.

    \b
    Examples:
      labkit demo
      labkit demo --scenario errors
      labkit demo --scenario full --speed 4 --json

    \b
    Exit codes:
      0 done; 1 failed; 2 usage; 130 a named scenario was ended by Ctrl-C
    """
    from labkit.cli.finding import check_reachable, find_app

    if scenario is None and (as_json or not sys.stdin.isatty()):
        why = "--json prints no menu" if as_json else "there is no terminal to ask on"
        raise click.UsageError(f"Name one with --scenario, as {why}: {', '.join(_NAMES)}.")
    target = find_app(sending.url, prometheus_url)
    check_reachable(target.url, allow_remote=sending.allow_remote)
    if scenario is None:
        _menu(target, sending, speed)
    else:
        ctx.exit(_run(scenario, target, sending, speed, as_json=as_json))


def _menu(target: Found, sending: Sending, speed: float) -> None:
    """Ask what to run until the answer is to quit; Ctrl-C at the question and Ctrl-D quit too."""
    from labkit.traffic.scenarios import SCENARIOS

    lines = [f"{s.title:<24}{s.words}" for s in SCENARIOS.values()]
    lines += ["How to watch it        ", "Quit"]
    watch, leave = len(lines) - 1, len(lines)
    while True:
        output.console.print(f"\nTraffic to {target.what} at {target.url}")
        for number, line in enumerate(lines, 1):
            output.console.print(f"  {number}  {line.rstrip()}")
        try:
            choice = click.prompt("Choose", type=click.IntRange(1, leave), default=leave)
        except click.Abort:
            choice = leave
        if choice == leave:
            return
        if choice == watch:
            _tell_how_to_watch(target)
        else:
            _try(_NAMES[choice - 1], target, sending, speed)


def _try(name: str, target: Found, sending: Sending, speed: float) -> None:
    """Run one scenario; say what failed, as the menu goes on after it."""
    from labkit.cli.finding import check_reachable

    try:
        check_reachable(target.url, allow_remote=sending.allow_remote)
        _run(name, target, sending, speed, as_json=False)
    except LabError as error:
        click.echo(f"{type(error).__name__}: {told(error)}", err=True)


def _run(name: str, target: Found, sending: Sending, speed: float, *, as_json: bool) -> int:
    """Run one scenario with a line for each step; return the exit code."""
    from labkit.cli.live import require_answers, start, worker
    from labkit.cli.signals import noting
    from labkit.traffic.scenarios import SCENARIOS, run_scenario

    scenario = SCENARIOS[name].at_speed(speed)
    runs: list[TrafficRun] = []
    with noting() as ending, worker() as sender:

        def send(shape: Any, *, mix: str) -> TrafficRun:
            runs.append(start(sender, target, sending.of(mix, len(runs)), shape))
            return runs[-1]

        teller = _Teller(scenario)
        ended = "broken off"
        try:
            with teller:
                run_scenario(send, scenario, tell=teller.tell, stop_event=ending.event)
            ended = "stopped" if ending.asked else "done"
        finally:
            ending.finish()
            _show(scenario, runs, ended, as_json=as_json)
    for run in runs:
        require_answers(run)
    return ending.exit_code


class _Teller:
    """Says each step as it begins, and how it goes on a terminal."""

    def __init__(self, scenario: Scenario) -> None:
        self._steps = list(scenario.steps)
        self._step: Any = None
        self._line = output.notes.status("")

    def __enter__(self) -> None:
        self._line.start()

    def __exit__(self, *_: object) -> None:
        self._line.stop()

    def tell(self, step: Any, run: TrafficRun | None) -> None:
        from labkit.cli.live import figures

        if step is not self._step:
            self._step = step
            number = self._steps.index(step) + 1
            output.notes.print(f"{number}/{len(self._steps)}  {step.title}")
            output.notes.print(f"     Watch: {step.watch}")
        self._line.update("a pause, for the charts" if run is None else figures(run))


def _show(scenario: Scenario, runs: list[TrafficRun], ended: str, *, as_json: bool) -> None:
    from labkit.cli.summary import brief, run_to_dict

    if as_json:
        steps = [
            {"title": step.title, "watch": step.watch, **run_to_dict(run)}
            for step, run in zip(scenario.steps, runs, strict=False)
        ]
        output.emit_json({"scenario": scenario.name, "stopped": ended == "stopped", "steps": steps})
        return
    output.console.print(f"{scenario.title}: {ended}")
    for step, run in zip(scenario.steps, runs, strict=False):
        output.console.print(f"  {step.title}\n    {brief(run.stats)}")


def _tell_how_to_watch(target: Found) -> None:
    known = target.prometheus_url
    prometheus = known or "(not known: --prometheus-url tells it)"
    page = f"{prometheus}/graph, with queries such as"
    if known and not _has_page(known):
        page = "this build has no web page; ask `labkit query`, with queries such as"
    queries = "\n".join(f"      {query}" for query in _QUERIES)
    output.console.print(
        f"""
  In a terminal   labkit query '{_QUERIES[0]}' --range 5m
  In a notebook   labkit lab, and in a cell:
      import labkit
      lab = labkit.connect(app_url="{target.url}", prometheus_url="{prometheus}")
      lab.plot("{_QUERIES[0]}")
  In Prometheus   {page}
{queries}
  In Grafana      labkit grafana DIR{f" --prometheus-url {known}" if known else ""}
                  writes the lab's dashboard for it; with --start it runs a Grafana on it"""
    )


def _has_page(prometheus_url: str) -> bool:
    """Whether Prometheus has a page for the browser; one that does not answer now may have one."""
    from labkit.prometheus import probe

    status = probe.get(f"{prometheus_url}/graph")[0]
    return status is None or status < HTTPStatus.NOT_FOUND
