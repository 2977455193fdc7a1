"""`labkit explain`: what a PromQL expression means, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from labkit.cli import output
from labkit.cli.asking import asking, moment
from labkit.cli.options import prometheus_option
from labkit.cli.output import json_option
from labkit.cli.words import for_terminals, printable

if TYPE_CHECKING:
    from labkit.promql.explaining.explanation import Explanation


@click.command()
@click.argument("promql")
@click.option(
    "--time",
    "when",
    metavar="TIME",
    help="At this time: Unix seconds, or 2026-01-31T12:00 local time.",
)
@prometheus_option
@json_option
def explain(*, promql: str, when: str | None, prometheus_url: str | None, as_json: bool) -> None:
    r"""Say what a PROMQL expression means, step by step, with the size of each step.

    It warns of the usual mistakes, and says why the answer is empty where it is.

    With --json: `query`, `time`, `rows` (how many the result has), `steps` from the whole to its
    parts, `warnings`, `unchecked`, `unparsed` and `why_empty`.

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
    if as_json:
        output.emit_json(_data(found))
        return
    output.console.print(printable(for_terminals(str(found))), soft_wrap=True)


def _data(found: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data for JSON."""
    steps = [
        {
            "expression": step.node.text,
            "depth": step.depth,
            "sentence": step.sentence,
            "series": step.size.series,
            "samples": step.size.samples,
        }
        for step in found.steps
    ]
    return {
        "query": found.query,
        "time": found.result.attrs["time"],
        "rows": len(found.result),
        "steps": steps,
        "warnings": found.warnings,
        "unchecked": found.unchecked,
        "unparsed": found.unparsed,
        "why_empty": found.why_empty,
    }
