"""`labkit background`: start, see, follow and stop traffic that outlives the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from labkit.cli.options import Sending, traffic_options, usage_errors
from labkit.cli.output import emit_json, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from labkit.traffic.background import Background, BackgroundStatus

_POLL_SECONDS = 0.25
_EVIDENCE_LINES = 5

_url_option = click.option("--url", help="The target; by default the only one there is.")


@click.group()
def background() -> None:
    r"""Send traffic that goes on when the terminal is closed.

    There is at most one for a target. It ends by `stop`, after 24 hours, when nothing has
    answered for ten minutes, or when the machine restarts.

    \b
    Examples:
      labkit background start --intensity high
      labkit background status
      labkit background logs -f
      labkit background stop
    """


@background.command()
@click.option(
    "--intensity",
    type=click.Choice(["low", "normal", "high"]),
    default="normal",
    show_default=True,
    help="How long the user waits after each answer: 2–5 s, 0.5–2 s, 0.1–0.5 s.",
)
@traffic_options
@json_option
def start(sending: Sending, intensity: str, as_json: bool) -> None:
    """Start background traffic; one that runs with the same settings is left as it is."""
    from labkit.traffic.background import Background

    with usage_errors():
        started = Background.start(
            sending.url or _found_url(),
            intensity=intensity,
            mix=sending.mix,
            seed=sending.seed,
            allow_remote=sending.allow_remote,
            timeout=sending.timeout,
        )
    status = started.status()
    if as_json:
        emit_json({**status.to_dict(), "started": started.fresh, "log": started.log})
        return
    click.echo("Started." if started.fresh else "It is running already.")
    click.echo(str(status))
    click.echo("See it: labkit background status, logs -f.  End it: labkit background stop")


@background.command()
@_url_option
@json_option
def status(url: str | None, as_json: bool) -> None:
    """Show what runs, since when, and what came of it; exit code 0 also when nothing does.

    With --json: `running`, and under `background` one object for each one shown, which is the
    last one that ended where none runs.
    """
    chosen = _chosen(url)
    seen = [each.status() for each in chosen]
    if as_json:
        _emit(chosen, seen)
    elif not chosen:
        click.echo("No background traffic is running. Start it: labkit background start")
    elif len(chosen) == 1:
        _show(chosen[0], seen[0])
    else:
        _show_table(seen)


@background.command()
@_url_option
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C or its end.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="How many of the last lines.",
)
@json_option
def logs(url: str | None, follow: bool, lines: int, as_json: bool) -> None:
    """Show the last lines of its log: starts, ends, outages, and the counts every 10 seconds.

    With --json: the path as `log`, and its `lines`.
    """
    if follow and as_json:
        raise click.UsageError("Give either --follow or --json.")
    chosen = _only(_chosen(url))
    if as_json:
        emit_json({"log": chosen and chosen.log, "lines": _last(chosen, lines)})
        return
    if chosen is None:
        click.echo("There is no background traffic, nor a log of one that ended.", err=True)
        return
    # Asked before the lines are read: what comes in between is shown twice rather than never.
    position = _size(chosen.log)
    if text := chosen.logs(lines):
        click.echo(text)
    if follow:
        _follow(chosen, position)


@background.command()
@_url_option
@click.option("--all", "everything", is_flag=True, help="Stop those of all targets.")
@json_option
def stop(url: str | None, everything: bool, as_json: bool) -> None:
    """Stop background traffic, and show what came of it; fine also when none runs."""
    if url and everything:
        raise click.UsageError("Give either --url or --all.")
    chosen = _chosen(url)
    if not everything:
        _only(chosen)
    ran = [each.status().running for each in chosen]
    seen = [each.stop() for each in chosen]
    if as_json:
        _emit(chosen, seen)
        return
    if not any(ran):
        click.echo("No background traffic is running.")
    for each, ended in zip(chosen, seen, strict=True):
        _show(each, ended)


def _found_url() -> str:
    from labkit.cli.finding import APP_ELSEWHERE
    from labkit.registry import find_target

    return find_target(APP_ELSEWHERE).url


def _chosen(url: str | None) -> list[Background]:
    """Return those that are meant: of that target, or all that run, or the last that ended."""
    from labkit.traffic.background import Background

    if url:
        found = Background.of(url)
        return [found] if found else []
    everything = Background.all()
    return [each for each in everything if each.running] or everything[:1]


def _only(chosen: Sequence[Background]) -> Background | None:
    """Return the one that is meant.

    Raises:
        click.UsageError: when there are several.
    """
    if len(chosen) > 1:
        targets = "\n".join(f"  --url {each.url}" for each in chosen)
        raise click.UsageError(f"Background traffic goes to several targets; say which:\n{targets}")
    return chosen[0] if chosen else None


def _last(chosen: Background | None, lines: int) -> list[str]:
    return chosen.logs(lines).splitlines() if chosen else []


def _emit(chosen: Sequence[Background], seen: Sequence[BackgroundStatus]) -> None:
    emit_json(
        {
            "running": any(status.running for status in seen),
            "background": [_data(*pair) for pair in zip(chosen, seen, strict=True)],
        }
    )


def _data(each: Background, status: BackgroundStatus) -> dict[str, Any]:
    return {**status.to_dict(), "log": each.log}


def _show(each: Background, status: BackgroundStatus) -> None:
    """Print a status; where it ended badly, with the end of its log."""
    click.echo(str(status))
    if status.state in ("crashed", "failed", "gave up") and (text := each.logs(_EVIDENCE_LINES)):
        click.echo(f"  the end of its log, {each.log}:")
        click.echo("\n".join(f"    {line}" for line in text.splitlines()))


def _show_table(seen: Sequence[BackgroundStatus]) -> None:
    from labkit.cli.output import console, table
    from labkit.traffic.background_state import clock

    columns = ("target", "sent", "responses", "per second", "silent since")
    rows = [(s.url, s.sent, s.responses, round(s.rate, 2), clock(s.silent_since)) for s in seen]
    console.print(table(columns, rows))
    click.echo("More on one: labkit background status --url TARGET")


def _follow(each: Background, position: int) -> None:
    """Print what is added to the log until it has ended or Ctrl-C says so."""
    from labkit.cli.signals import noting

    with noting() as ending:
        while not ending.asked:
            goes_on = each.running  # before the last look, so that its last words are seen
            text, position = _added(each.log, position)
            click.echo(text, nl=False)
            if not goes_on:
                return
            ending.event.wait(_POLL_SECONDS)


def _added(log: Path, position: int) -> tuple[str, int]:
    """Return what a log got since it was so long, and how long it is now; it may be rotated."""
    older = b""
    if _size(log) < position:
        older, _ = _read(log.with_name(f"{log.name}.1"), position)
        position = 0
    new, position = _read(log, position)
    return (older + new).decode("utf-8", "replace"), position


def _read(path: Path, position: int) -> tuple[bytes, int]:
    """Return the whole lines from a position on, and the position after them."""
    try:
        with path.open("rb") as file:  # not kept open: on Windows it could not be rotated
            file.seek(position)
            text = file.read()
    except FileNotFoundError:
        return b"", position
    whole = text[: text.rfind(b"\n") + 1]
    return whole, position + len(whole)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
