"""`labkit traffic`, `continuous` and `spike`: the traffic tools of the terminal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from labkit.cli.options import (
    REQUESTS,
    SECONDS,
    USERS,
    NumbersCommand,
    prometheus_option,
    traffic_options,
)
from labkit.cli.output import json_option

if TYPE_CHECKING:
    from labkit.cli.options import Sending

_DEFAULT_REQUESTS = 100


@click.command(cls=NumbersCommand)
@click.argument("requests", type=REQUESTS, required=False)
@click.argument("seconds", type=SECONDS, default=60)
@click.option("-s", "--stats", is_flag=True, help="Show what the app itself has counted.")
@click.option("-t", "--test", is_flag=True, help="Try the connections to app and Prometheus.")
@traffic_options
@prometheus_option
@json_option
@click.pass_context
def traffic(
    ctx: click.Context,
    *,
    requests: int | None,
    seconds: float,
    stats: bool,
    test: bool,
    prometheus_url: str | None,
    sending: Sending,
    as_json: bool,
) -> None:
    r"""Send exactly REQUESTS requests, evenly over SECONDS.

    By default 100 requests in 60 seconds. With -s or -t nothing is sent, unless REQUESTS is
    given: then -t comes before the traffic and -s after it.

    \b
    Examples:
      labkit traffic                     100 requests in a minute
      labkit traffic 500 30 --mix errors
      labkit traffic -t                  are the app and Prometheus there?
      labkit traffic -s                  what has the app counted?
      labkit traffic 50 10 --json --url http://127.0.0.1:5000

    \b
    Exit codes:
      0 all sent; 1 failed; 2 usage; 130 ended by Ctrl-C, after its summary
    """
    from labkit.cli import looking

    wanted = partial(_controlled, requests or _DEFAULT_REQUESTS, seconds, sending, as_json)
    if not (stats or test):
        ctx.exit(wanted())
    if as_json and (requests or (stats and test)):
        raise click.UsageError("--json prints one report: give it with -s, -t or traffic alone.")
    if test:
        looking.test_connections(sending.url, prometheus_url, as_json=as_json)
    code = wanted() if requests else 0
    if stats:
        looking.show_statistics(sending.url, as_json=as_json)
    ctx.exit(code)


def _controlled(requests: int, seconds: float, sending: Sending, as_json: bool) -> int:
    from labkit.cli.live import send_and_tell
    from labkit.traffic.shapes import Controlled

    return send_and_tell(
        partial(Controlled, requests, seconds),
        sending,
        what=f"{requests:,} requests in {seconds:g} s",
        as_json=as_json,
    )


@click.command()
@click.argument("intensity", type=click.Choice(["low", "normal", "high"]), default="normal")
@traffic_options
@json_option
@click.pass_context
def continuous(ctx: click.Context, *, intensity: str, sending: Sending, as_json: bool) -> None:
    r"""Be one user who goes on until Ctrl-C.

    After each answer the user waits 2 to 5 seconds (low), 0.5 to 2 (normal, the default) or 0.1
    to 0.5 (high).

    \b
    Examples:
      labkit continuous
      labkit continuous high --mix timeouts

    \b
    Exit codes:
      0 ended by Ctrl-C or SIGTERM, as it is meant to; 1 failed; 2 usage
    """
    from labkit.cli.live import send_and_tell
    from labkit.traffic.shapes import Continuous

    shape = partial(Continuous, intensity)
    what = f"One user, {intensity} intensity"
    ctx.exit(send_and_tell(shape, sending, what=what, as_json=as_json))


@click.command(cls=NumbersCommand)
@click.argument("threads", type=USERS, default=5)
@click.argument("seconds", type=SECONDS, default=30)
@traffic_options
@json_option
@click.pass_context
def spike(
    ctx: click.Context, *, threads: int, seconds: float, sending: Sending, as_json: bool
) -> None:
    r"""Be THREADS users at once for SECONDS.

    By default 5 users for 30 seconds. They never wait between requests.

    \b
    Examples:
      labkit spike
      labkit spike 20 60
      labkit spike 10 20 --mix timeouts --timeout 1

    \b
    Exit codes:
      0 done; 1 failed; 2 usage; 130 ended by Ctrl-C, after its summary
    """
    from labkit.cli.live import send_and_tell
    from labkit.traffic.shapes import Spike

    shape = partial(Spike, threads, seconds)
    what = f"{threads} users for {seconds:g} s"
    ctx.exit(send_and_tell(shape, sending, what=what, as_json=as_json))
