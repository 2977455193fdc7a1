"""Rules of an objective: error ratios as records, and the alerts that compare them."""

from __future__ import annotations

import json
import math
import warnings
from functools import partial
from typing import TYPE_CHECKING

from labkit.promql.steps import duration
from labkit.slo.arguments import is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from labkit.slo.objective import Objective
    from labkit.slo.policy import Alert, Pair

MOST_SPEED = 3600.0


def render(slo: Objective, speed: float, scrape_interval: float, least_failed: int) -> str:
    """Return the rules of an objective as the text of a rules file.

    Args:
        slo: the objective.
        speed: how much shorter the windows are.
        scrape_interval: seconds between two scrapes; a window has four of them at least.
        least_failed: how many requests have to fail in the long window of an alert.

    Raises:
        ValueError: a number is out of range.
    """
    alerts = checked(slo, speed, scrape_interval, least_failed)
    notes = [*slo.warnings, *_too_fast(alerts)]
    for note in notes:
        warnings.warn(note, stacklevel=3)  # at the call of SLO.rules
    lines = [
        f"# {slo.name}: {slo.objective:g} % of {slo.total}",
        f"# are {slo.good} over {slo.window}.",
        "# Alerts as in the SRE workbook, https://sre.google/workbook/alerting-on-slos/.",
        *([f"# Windows {speed:g} times shorter than there."] if speed != 1 else []),
        *([f"# {least_failed} requests have to fail, too."] if least_failed else []),
        *(f"# {note}" for note in notes),
        "groups:",
        f"  - name: {_quoted(group(slo))}",
        "    rules:",
        *_records(slo, alerts),
    ]
    for alert in alerts:
        lines += _alert(slo, alert, alerts)
    return "\n".join(lines) + "\n"


def checked(
    slo: Objective, speed: float, scrape_interval: float, least_failed: int
) -> tuple[Alert, ...]:
    """Return the alerts of an objective at a speed.

    Raises:
        ValueError: a number is out of range.
    """
    if not is_number(speed) or not 1 <= speed <= MOST_SPEED:
        raise ValueError(f"speed is {speed!r}; it is from 1 to {MOST_SPEED:g}, such as 60")
    known = is_number(scrape_interval) and math.isfinite(scrape_interval)
    if not known or not scrape_interval > 0:
        raise ValueError(f"scrape_interval is {scrape_interval!r}; it is in seconds, more than 0")
    return slo.alerting(speed, scrape_interval, least_failed)


def group(slo: Objective) -> str:
    """Return the name of the group that holds an objective's rules."""
    return f"slo-{slo.name}"


def text_of(seconds: float) -> str:
    """Write a duration as PromQL does, to the millisecond."""
    return duration(round(seconds * 1000))


def condition(
    slo: Objective, pair: Pair, ratio: Callable[[str], str], failed: Callable[[str], str]
) -> str:
    """Return the PromQL that is there while both windows of a pair burn too fast.

    Its value is the error ratio of the long window.

    Args:
        slo: the objective.
        pair: the windows and the burn rate.
        ratio: gives the error ratio over a window: a record's name or an expression.
        failed: gives how many requests failed over a window, in the same way.
    """
    limit = f"{pair.factor:.10g} * {slo.allowed:.10g}"
    long, short = (ratio(text_of(window)) for window in (pair.long_seconds, pair.short_seconds))
    parts = [f"{long} > {limit}", f"{short} > {limit}"]
    if pair.least_failed:
        parts.append(f"{failed(text_of(pair.long_seconds))} >= {pair.least_failed}")
    return " and ".join(parts)


def words_of(slo: Objective, alert: Alert, shortest: str) -> dict[str, str]:
    """Return an alert's words, templates as they are; ``$value`` is the long window's ratio.

    Args:
        slo: the objective.
        alert: which of its alerts.
        shortest: the shortest window of any of them.
    """
    longs = " or ".join(text_of(pair.long_seconds) for pair in alert.pairs)
    factors = " or ".join(f"{pair.factor:.4g}" for pair in alert.pairs)
    word = "fast" if alert.severity == "page" else "steadily"
    by_endpoint = [f"sum by (endpoint) (rate({x}[{shortest}]))" for x in (slo.total, slo.good)]
    return {
        "summary": f"The error budget of {slo.name} is being spent {word}.",
        "description": (
            f"{{{{ $value | humanizePercentage }}}} of the requests of the last {longs} were not "
            f"good. {slo.objective:g} % over {slo.window} allows {slo.allowed * 100:.6g}%; this is "
            f"more than {factors} times that, and it goes on."
        ),
        "next_step": f"See which endpoint it is: topk(3, {' - '.join(by_endpoint)})",
    }


def record(slo: Objective, window: str) -> str:
    """Return the series that a window's error ratio is recorded as."""
    return f"slo:errors_per_request:ratio_rate{window}{{slo={_quoted(slo.name)}}}"


def record_of_failed(slo: Objective, window: str) -> str:
    """Return the series that the number of a window's failed requests is recorded as."""
    return f"slo:failed_requests:increase{window}{{slo={_quoted(slo.name)}}}"


def windows(alerts: Iterable[Alert]) -> list[str]:
    """Return each window once, the shortest first."""
    lengths = {
        length
        for alert in alerts
        for pair in alert.pairs
        for length in (pair.long_seconds, pair.short_seconds)
    }
    return list(dict.fromkeys(text_of(length) for length in sorted(lengths)))


def labels(slo: Objective, alert: Alert) -> Mapping[str, str]:
    """Return the labels that an alert fires with."""
    return {"slo": slo.name, "severity": alert.severity}


def _records(slo: Objective, alerts: Iterable[Alert]) -> list[str]:
    pairs = [pair for alert in alerts for pair in alert.pairs]
    counted = sorted({pair.long_seconds for pair in pairs if pair.least_failed})
    made = [(record(slo, window), slo.ratio(window, "rate")) for window in windows(alerts)]
    made += [(record_of_failed(slo, each), slo.failed(each)) for each in map(text_of, counted)]
    lines = []
    for series, promql in made:
        lines += [
            f"      - record: {series.partition('{')[0]}",
            f"        expr: {_quoted(promql)}",
            f"        labels: {{slo: {_quoted(slo.name)}}}",
        ]
    return lines


def _alert(slo: Objective, alert: Alert, alerts: Iterable[Alert]) -> list[str]:
    conditions = [
        condition(slo, pair, partial(record, slo), partial(record_of_failed, slo)).replace(
            " and ", "\n  and "
        )
        for pair in alert.pairs
    ]
    expression = "\nor\n".join(f"(\n  {each}\n)" for each in conditions)
    words = words_of(slo, alert, windows(alerts)[0])
    return [
        f"      - alert: {alert.name}",
        "        expr: |",
        *(f"          {line}" for line in expression.splitlines()),
        f"        for: {text_of(alert.for_seconds)}",
        "        labels:",
        *(f"          {key}: {_quoted(value)}" for key, value in labels(slo, alert).items()),
        "        annotations:",
        *(f"          {key}: {_quoted(value)}" for key, value in words.items()),
    ]


def _too_fast(alerts: Iterable[Alert]) -> list[str]:
    """Say which pairs have become one window: they page after the trouble is over, too."""
    return [
        f"Both windows of a pair of {alert.name} are {text_of(pair.long_seconds)}, which is four "
        "scrapes: a lower speed or a shorter scrape interval keeps them apart."
        for alert in alerts
        for pair in alert.pairs
        if pair.long_seconds == pair.short_seconds
    ]


def _quoted(text: str) -> str:
    """A JSON string is a YAML string and a PromQL string, too."""
    return json.dumps(text, ensure_ascii=False)
