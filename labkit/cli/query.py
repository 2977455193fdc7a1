"""`labkit query`: PromQL in a terminal, as a table, and as sparklines for ranges."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from labkit.cli import output
from labkit.cli.asking import asking, moment
from labkit.cli.options import prometheus_option
from labkit.cli.output import json_option
from labkit.cli.words import for_terminals, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.table import Table

    from labkit.promql.client import Client

_WIDTHS = (40, 30, 20, 12)  # of sparklines, for ever narrower screens


@click.command()
@click.argument("promql")
@click.option("--range", "span", metavar="DURATION", help="Over a time range, such as 5m or 1h30m.")
@click.option(
    "--step", metavar="DURATION", help="Between two points of a range; by default its own."
)
@click.option(
    "--time",
    "when",
    metavar="TIME",
    help="At this time, or up to it with --range: Unix seconds, or 2026-01-31T12:00 local time.",
)
@prometheus_option
@json_option
def query(
    *,
    promql: str,
    span: str | None,
    step: str | None,
    when: str | None,
    prometheus_url: str | None,
    as_json: bool,
) -> None:
    r"""Ask Prometheus a PROMQL expression.

    LABKIT_PROMETHEUS_HEADERS, a JSON object, gives headers for a Prometheus that asks for them.

    \b
    Examples:
      labkit query 'sum(rate(flask_requests_total[1m]))'
      labkit query flask_error_rate --range 5m
      labkit query 'sum by (error_type) (flask_errors_total)' --json
      labkit query up --prometheus-url https://prometheus.example.org
    """
    if step and not span:
        raise click.UsageError("--step goes with --range, such as --range 5m --step 15s.")
    from labkit.promql.emptiness.nan import why_nan

    with asking(prometheus_url) as client:
        frame = _ask(client, promql=promql, span=span, step=step, when=when)
        why = _why_empty(client, promql, frame)
        no_number = why_nan(client, frame)
    data = _instant_data(frame) if span is None else _range_data(frame)
    for warning in frame.attrs.get("warnings", ()):
        output.notes.print(printable(f"Prometheus warns: {warning}"))
    if no_number:
        output.notes.print(printable(for_terminals(no_number)))
    if as_json:
        output.emit_json(data)
    elif why:
        output.console.print(printable(f"The answer is empty. {for_terminals(why)}"))
    elif span is None:
        _show_instant(frame)
    else:
        _show_range(frame)


def _ask(
    client: Client, *, promql: str, span: str | None, step: str | None, when: str | None
) -> pd.DataFrame:
    _learn_interval(client, promql, span)
    if span is None:
        return client.query(promql, time=moment(when))
    return client.query_range(promql, _minutes(span), _step(step), None, moment(when))


def _why_empty(client: Client, promql: str, frame: pd.DataFrame) -> str:
    """Return why there is nothing in an answer; nothing where there is something."""
    from labkit.promql.emptiness import why_empty, why_empty_range

    if not frame.empty:
        return ""
    if "time" in frame.attrs:
        return why_empty(client, promql, frame.attrs["time"])
    return why_empty_range(client, promql, frame.attrs["start"], frame.attrs["end"])


def _learn_interval(client: Client, promql: str, span: str | None) -> None:
    """Have default steps and `$__rate_interval` come from the targets' own scrape interval."""
    from labkit.attached import scrape_interval_of

    if span is not None or "$__" in promql:
        client.scrape_interval = scrape_interval_of(client)


def _instant_data(frame: pd.DataFrame) -> dict[str, Any]:
    rows = frame.astype({c: str for c in frame.columns if c == "time"}).to_dict("records")
    series = [
        {"labels": {k: v for k, v in row.items() if k not in ("value", "time") and v != ""}}
        | {k: row[k] for k in ("time", "value") if k in row}
        for row in rows
    ]
    return {"query": frame.attrs["query"], "time": frame.attrs["time"], "series": series}


def _range_data(frame: pd.DataFrame) -> dict[str, Any]:
    attributes = ("query", "start", "end", "step")
    times = [moment.timestamp() for moment in frame.index]
    series = [
        {
            "labels": frame.attrs.get("labels", {}).get(column, {}),
            "points": list(zip(times, frame[column].tolist(), strict=True)),
            **_figures(frame[column]),
        }
        for column in frame.columns
    ]
    return {name: frame.attrs[name] for name in attributes} | {"series": series}


def _show_instant(frame: pd.DataFrame) -> None:
    rows = [[*map(_shown, row)] for row in frame.itertuples(index=False, name=None)]
    output.console.print(output.table([str(column) for column in frame.columns], rows))


def _show_range(frame: pd.DataFrame) -> None:
    drawn = (made for width in _WIDTHS if output.fits(made := _range_table(frame, width)))
    narrow = partial(_range_table, frame, _WIDTHS[-1], spare=("mean", "min", "max"))
    output.console.print(next(drawn, None) or narrow())


def _range_table(frame: pd.DataFrame, width: int, spare: Sequence[str] = ()) -> Table:
    """Return a row for each series, with a sparkline of at most so many characters."""
    from labkit.cli.sparkline import sparkline

    columns = ["series", "", "min", "mean", "max", "last"]
    rows = [
        (str(column), sparkline(frame[column].tolist(), width), *_figures(frame[column]).values())
        for column in frame.columns
    ]
    start, end = (datetime.fromtimestamp(frame.attrs[e]).astimezone() for e in ("start", "end"))
    title = f"{start:%H:%M:%S} to {end:%H:%M:%S}, every {frame.attrs['step']:g} s"
    return output.table(columns, rows, title=title, whole=[""], spare=spare)


def _figures(series: pd.Series[float]) -> dict[str, float]:
    """Return what sums a series up; NaN where it has no point."""
    known = series.dropna()
    last = float(known.iloc[-1]) if len(known) else float("nan")
    figures = {"min": known.min(), "mean": known.mean(), "max": known.max()}
    return {**{name: float(value) for name, value in figures.items()}, "last": last}


def _shown(value: object) -> object:
    """Return a cell as a person wants it: plain numbers whole, times short."""
    if isinstance(value, datetime):
        # Not value.astimezone(): pandas's own wants a zone.
        local = datetime.fromtimestamp(value.timestamp()).astimezone()
        return local.strftime("%H:%M:%S.%f")[:-3]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:  # noqa: PLR2004 - exact
        return int(value)
    return value


def _minutes(span: str) -> float:
    from labkit.promql.steps import step_in_ms

    try:
        return step_in_ms(_step(span) or span) / 60_000
    except ValueError as error:
        raise ValueError(
            f"--range must be above 0 seconds, or a duration such as 5m or 1h30m, not {span!r}"
        ) from error


def _step(text: str | None) -> float | str | None:
    """Return plain numbers as seconds, and anything else for Prometheus's own durations."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
