"""`labkit grafana`: the lab's dashboard as files for Grafana, and a Grafana that runs on them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli.options import prometheus_option, usage_errors

if TYPE_CHECKING:
    from labkit.grafana.provisioning import Datasource

_LOOK_SECONDS = 0.5


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@prometheus_option
@click.option("--start", is_flag=True, help="Run the Grafana of this machine on it until Ctrl-C.")
def grafana(*, folder: Path, prometheus_url: str | None, start: bool) -> None:
    r"""Write the dashboard for Grafana.

    DIR takes the datasource, the dashboard, settings, and a README.md that says how to start
    Grafana on them. Files of an earlier export are overwritten.

    \b
    LABKIT_PROMETHEUS_HEADERS, a JSON object, gives headers for a Prometheus that asks for them.

    \b
    Examples:
      labkit grafana ./grafana
      labkit grafana ./grafana --start
      labkit grafana ./grafana --prometheus-url http://127.0.0.1:9090
    """
    from labkit.grafana import provisioning, server

    datasource = _datasource(prometheus_url)
    port = server.free_port() if start else provisioning.PORT
    for path in provisioning.write(folder, datasource, port=port):
        click.echo(f"wrote {path}")
    if start:
        _run(folder.expanduser().absolute(), datasource, port)
    else:
        click.echo(f"\nNow start Grafana on it: see {folder / 'README.md'}, or add --start.")


def _datasource(prometheus_url: str | None) -> Datasource:
    from labkit.attached import headers_from_environment, scrape_interval_of
    from labkit.cli.finding import find_prometheus_url
    from labkit.grafana.provisioning import Datasource
    from labkit.promql.client import Client

    url = find_prometheus_url(prometheus_url).rstrip("/")
    with usage_errors():
        headers = headers_from_environment()
        client = Client(url, headers=headers)
    with client:
        return Datasource(url, scrape_interval_of(client), headers)


def _run(folder: Path, datasource: Datasource, port: int) -> None:
    from labkit.cli import output
    from labkit.cli.signals import interrupting
    from labkit.grafana.server import GrafanaServer, find_grafana

    command = find_grafana()
    try:
        with interrupting():
            click.echo("Starting Grafana …")
            with GrafanaServer(command, folder, port=port, prometheus_url=datasource.url) as server:
                click.echo(f"Grafana shows the lab at {server.board_url}; Ctrl-C ends it.")
                never = threading.Event()
                while not never.wait(_LOOK_SECONDS):
                    server.check()
    except KeyboardInterrupt:
        output.notes.print("Stopped; nothing is left running.")
