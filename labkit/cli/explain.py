"""`labkit explain`: what a PromQL expression means, step by step."""

from __future__ import annotations

import click

from labkit.cli import output
from labkit.cli.asking import asking, moment
from labkit.cli.options import prometheus_option
from labkit.cli.words import for_terminals, printable


@click.command()
@click.argument("promql")
@click.option(
    "--time",
    "when",
    metavar="TIME",
    help="At this time: Unix seconds, or 2026-01-31T12:00 local time.",
)
@prometheus_option
def explain(*, promql: str, when: str | None, prometheus_url: str | None) -> None:
    r"""Say what a PROMQL expression means, step by step, with the size of each step.

    It warns of the usual mistakes, and says why the answer is empty where it is.

    \b
    Examples:
      labkit explain 'sum by (endpoint) (rate(flask_requests_total[1m]))'
      labkit explain 'rate(flask_error_rate[1m])'
    """
    from labkit.attached import scrape_interval_of
    from labkit.promql.explain import explain as explanation
    from labkit.promql.steps import unix_ms

    with asking(prometheus_url) as client:
        at = moment(when)
        client.scrape_interval = scrape_interval_of(client)
        found = explanation(client, promql, None if at is None else unix_ms(at, "time") / 1000)
    output.console.print(printable(for_terminals(str(found))), soft_wrap=True)
