"""`labkit lab` and `labkit prometheus`: open the notebooks, and see which Prometheus is used."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli.output import emit_json, json_option

if TYPE_CHECKING:
    from labkit.prometheus.binary import Binary


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), help="Port; by default a free one.")
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Open a browser or not; by default where there is a display.",
)
def lab(folder: Path | None, port: int | None, browser: bool | None) -> None:
    r"""Open the notebooks in JupyterLab.

    FOLDER is where to work: an installed lab copies its notebooks there first. By default it is
    the clone's own notebooks folder, or ./observability-lab.

    \b
    Examples:
      labkit lab
      labkit lab ~/lessons --no-browser --port 8888
    """
    from labkit.jupyter import open_lab

    have_prometheus()
    sys.exit(open_lab(folder=folder, port=port, browser=browser, tell=click.echo))


@click.command()
@json_option
def prometheus(*, as_json: bool) -> None:
    r"""Show which Prometheus the lab uses.

    It is fetched if there is none.

    \b
    Looked for in this order: LABKIT_PROMETHEUS, PATH, the lab's cache, the official release,
    the package of Debian or Ubuntu.

    \b
    Examples:
      labkit prometheus
      LABKIT_PROMETHEUS=/opt/prometheus/prometheus labkit prometheus
    """
    binary = have_prometheus()
    if as_json:
        emit_json(
            {
                "version": binary.version,
                "path": str(binary.path),
                "promtool": binary.promtool and str(binary.promtool),
                "source": binary.source,
            }
        )
        return
    click.echo(f"Prometheus {binary.version}")
    click.echo(f"  binary    {binary.path}")
    click.echo(f"  promtool  {binary.promtool or 'not found: rules cannot be tested'}")
    click.echo(f"  from      {binary.source}")


def have_prometheus() -> Binary:
    """Find Prometheus, with a line of progress while it is fetched."""
    from labkit.progress import Progress
    from labkit.prometheus.binary import find_prometheus

    with Progress() as progress:
        return find_prometheus(progress=progress.stage)
