"""The `labkit` command: thin, over what the notebook uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from labkit import __version__
from labkit.errors import LabError


class _Group(click.Group):
    """Commands whose failures are the lab's own words, with exit code 1 and no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="labkit")
def main() -> None:
    """An observability lab: an instrumented app, a real Prometheus, traffic and PromQL."""


@main.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--port", type=click.IntRange(1, 65535), help="Port; by default a free one.")
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Open a browser or not; by default where there is a display.",
)
def lab(folder: Path | None, port: int | None, browser: bool | None) -> None:
    """Open the notebooks in JupyterLab.

    FOLDER is where to work: an installed lab copies its notebooks there first. By default it is
    the clone's own notebooks folder, or ./observability-lab.
    """
    from labkit.jupyter import open_lab

    _have_prometheus()
    sys.exit(open_lab(folder=folder, port=port, browser=browser, tell=click.echo))


@main.command()
def prometheus() -> None:
    r"""Show which Prometheus the lab uses; fetch one if there is none.

    \b
    Looked for in this order: LABKIT_PROMETHEUS, PATH, the lab's cache, the official release,
    the package of Debian or Ubuntu.
    """
    binary = _have_prometheus()
    click.echo(f"Prometheus {binary.version}")
    click.echo(f"  binary    {binary.path}")
    click.echo(f"  promtool  {binary.promtool or 'not found: rules cannot be tested'}")
    click.echo(f"  from      {binary.source}")


def _have_prometheus() -> Any:
    """Find Prometheus, with a line of progress while it is fetched."""
    from labkit.progress import Progress
    from labkit.prometheus.binary import find_prometheus

    with Progress() as progress:
        return find_prometheus(progress=progress.stage)
