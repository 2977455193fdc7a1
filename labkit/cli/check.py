"""`labkit check` and `labkit deploy-files`: what is wrong here, and files to run elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli import output
from labkit.cli.options import prometheus_option, usage_errors
from labkit.cli.output import json_option
from labkit.cli.words import for_terminals, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.text import Text

    from labkit.checks import Finding, Report

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
# Where errors are in the folder of a run; requests that failed are no errors of the log.
_LOGS = {"app": "server.log", "prometheus": "prometheus/prometheus.log", "traffic": "traffic.log"}
_LINES = 200


@click.command()
@click.option(
    "--url",
    envvar="LABKIT_APP_URL",
    show_envvar=True,
    help="The app's address; by default that of the lab or `labkit up` that runs.",
)
@prometheus_option
@json_option
@click.pass_context
def check(
    ctx: click.Context, *, url: str | None, prometheus_url: str | None, as_json: bool
) -> None:
    r"""Look at everything the lab needs; say what is wrong and what to do about it.

    The installation, the ports and the disk; of the lab that runs, or of the addresses given, the
    app, its metrics, Prometheus, its target and samples, the clocks and logs. It takes at most
    five seconds, and changes nothing.

    \b
    Examples:
      labkit check
      labkit check --json | jq '.findings[] | select(.state == "failed")'
      labkit check --url http://app:5000 --prometheus-url http://prometheus:9090

    \b
    Exit codes:
      0 all is well, or only warnings; 1 something failed; 2 usage
    """
    report = _look(url, prometheus_url)
    if as_json:
        output.emit_json(report.to_dict())
    else:
        _print(report)
    ctx.exit(0 if report.ok else 1)


def _look(url: str | None, prometheus_url: str | None) -> Report:
    """Check the addresses that were given, or else the lab that runs, or else this machine."""
    from labkit import checks
    from labkit.attached import headers_from_environment
    from labkit.cli.finding import find_entry

    entry = find_entry(url, prometheus_url)
    headers = None
    if url or prometheus_url:
        with usage_errors():
            headers = headers_from_environment()
    return checks.check(
        app_url=url or (entry.url if entry else "") or None,
        prometheus_url=prometheus_url or (entry.prometheus_url if entry else "") or None,
        headers=headers,
        log_tails=_tails(Path(entry.folder)) if entry and entry.folder else None,
    )


def _tails(folder: Path) -> Mapping[str, Callable[[], str]]:
    from labkit.processes import tail

    return {name: partial(tail, folder / file, _LINES) for name, file in _LOGS.items()}


def _print(report: Report) -> None:
    rows = [(_state(f), f.name, _words(f)) for f in report]
    output.console.print(output.table(("state", "check", "what was seen, and what to do"), rows))
    output.console.print(report.summary)


def _state(finding: Finding) -> Text:
    from rich.text import Text

    return Text(finding.state, style=_STYLES[finding.state])


def _words(finding: Finding) -> Text:
    from rich.text import Text

    words = Text(printable(finding.detail))
    if finding.remedy:
        words.append(printable(f"\n→ {for_terminals(finding.remedy)}"), style="bold")
    return words


@click.command("deploy-files")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--python", metavar="PATH", help="The interpreter of the service; this one.")
@click.option("--user", metavar="NAME", help="The user of the service; you, unless you are root.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def deploy_files(*, folder: Path, python: str | None, user: str | None, force: bool) -> None:
    r"""Write files that run the app and Prometheus as services, without Jupyter.

    DIR takes flask-app.service, a unit of systemd that logs to the journal, and prometheus.yml.
    Both explain themselves; attach to them with labkit.connect(...).

    \b
    Examples:
      labkit deploy-files deploy
      labkit deploy-files deploy --python /opt/flask-app/bin/python3 --user flask-app
    """
    from labkit import deploy

    with usage_errors():
        written = deploy.write(
            folder, python=python, user=user or deploy.default_user(), force=force
        )
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"\n{deploy.next_steps(folder)}")
