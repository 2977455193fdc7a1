"""The `labkit` command: thin, over what the notebook uses; each command loads when it is named."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from traceback import walk_tb
from typing import Any

import click

from labkit import __version__
from labkit.cli.words import printable, told
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

# What a system says that keeps its files from the lab, and what helps.
_ROOM = "make room on the disk; `labkit check` looks at those that the lab needs."
_LEAVE = "allow writing there; `labkit check` looks at the folders that the lab needs."
_REFUSED = {errno.ENOSPC: _ROOM, errno.EDQUOT: _ROOM, errno.EROFS: _LEAVE, errno.EACCES: _LEAVE}


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
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where it can still be said that there is no room
        except LabError as error:
            words = f"{type(error).__name__}: {told(error)}"
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            words = _said(error)
        else:
            return result
        click.echo(words, err=True)
        return ctx.exit(1)


def _said(error: OSError) -> str:
    """Return what the system refused, and what to do about it."""
    if _raised_in(error) in ("click", "rich", __name__):
        _abandon_output()
        return f"The output cannot be written: {error.strerror}."
    return f"{printable(str(error))}\nNext: {_REFUSED[error.errno or 0]}"


def _raised_in(error: OSError) -> str:
    """Return whose code met an error: a package, or this module; click, rich and it print."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    name = str(frame.f_globals["__name__"])
    return name if name == __name__ else name.partition(".")[0]


def _abandon_output() -> None:
    """Have what could not be written thrown away, rather than tried once more at the exit."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
