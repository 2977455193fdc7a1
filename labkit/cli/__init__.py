"""The `labkit` command: thin, over what the notebook uses; each command loads when it is named."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from labkit import __version__
from labkit.errors import LabError

# The commands in the order of `labkit --help`, and the module and function that each is.
COMMANDS = {
    "lab": "labkit.cli.front:lab",
    "up": "labkit.cli.up:up",
    "traffic": "labkit.cli.traffic:traffic",
    "continuous": "labkit.cli.traffic:continuous",
    "spike": "labkit.cli.traffic:spike",
    "background": "labkit.cli.background:background",
    "demo": "labkit.cli.demo:demo",
    "query": "labkit.cli.query:query",
    "explain": "labkit.cli.explain:explain",
    "logs": "labkit.cli.logs:logs",
    "check": "labkit.cli.check:check",
    "grafana": "labkit.cli.grafana:grafana",
    "course": "labkit.cli.course:course",
    "scores": "labkit.cli.scores:scores",
    "bundle": "labkit.cli.bundle:bundle",
    "deploy-files": "labkit.cli.check:deploy_files",
    "prometheus": "labkit.cli.front:prometheus",
}


class LazyGroup(click.Group):
    """Commands that are imported when used, whose failures are one message and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which they are listed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        _mark_paragraphs(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say a failure in the lab's own words, without a traceback."""
        try:
            return super().invoke(ctx)
        except LabError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            ctx.exit(1)


def _mark_paragraphs(command: click.Command) -> None:
    """Have click see its mark for a paragraph that keeps its lines.

    The docstrings are raw, as linters ask of those with a backslash: the mark arrives as two
    characters.
    """
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for part in command.commands.values():
            _mark_paragraphs(part)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="labkit")
def main() -> None:
    """An observability lab: an instrumented app, a real Prometheus, traffic and PromQL."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # An old console that lacks a character shows a question mark instead of a traceback.
            stream.reconfigure(errors="replace")
