"""Tests of an objective's rules, for promtool: what has to fire, what not, and until when."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.slo.rules import labels, text_of, windows, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from labkit.slo.objective import Objective
    from labkit.slo.policy import Alert

_MATCHER = re.compile(r"""\s*(\w+)\s*(=~|!~|!=|=)\s*(["'`])((?:\\.|(?!\3).)*)\3\s*,?""")
_OPTIONAL = re.compile(r"\([^()]*\)\?")
# Parts of a pattern, and what they match; a dot that is meant is kept until the others are gone.
_PARTS = (("[.]", "\0"), ("\\.", "\0"), (".*", ""), (".+", "x"), (".", "0"), ("\0", "."))
# Values to try for a label, until one fits a matcher.
_GUESSES = ("200", "500", "404", "GET", "/", "x", "0.3", "1", "")
_DECIMALS = 6  # of a number of requests, where they are few
_DIGITS = 4  # of a ratio, as humanizePercentage writes it
_CALM, _OVER, _UNDER = 0.5, 1.1, 0.9  # of the burn rate that fires
_BURST = 1.4  # of an alert's highest factor: it crosses that after 43 minutes of an hour
_FEW, _ENOUGH = 0.8, 3.0  # of the failures that it takes: a third of the time is without as many
_EVERY = 2  # shortest windows there is an evaluation
_SAMPLES = 5  # in the shortest window


class Phase(NamedTuple):
    """A stretch of time with one error ratio."""

    seconds: float
    ratio: float


@dataclass(frozen=True)
class Expected:
    """What an alert does at a moment; a ratio is that of the alert that fires."""

    alert: Alert
    at: float
    ratio: float | None = None


@dataclass(frozen=True)
class Case:
    """One past, sampled at an interval in seconds, and what the alerts do in it.

    Attributes:
        requests: between two samples; by default so many that each digit of a ratio is exact.
    """

    name: str
    interval: float
    phases: Sequence[Phase]
    expected: Sequence[Expected]
    requests: float | None = None


def render(slo: Objective, rules_file: str, alerts: Sequence[Alert]) -> str:
    """Return the tests of an objective's rules; see :meth:`labkit.slo.SLO.rule_tests`."""
    import yaml

    grid = _EVERY * min(pair.short_seconds for alert in alerts for pair in alert.pairs)
    document = {
        "rule_files": [rules_file],
        "evaluation_interval": text_of(grid),
        "tests": [_test(slo, case, alerts) for case in _cases(slo, alerts, grid)],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return f"# Run with: promtool test rules FILE\n{text}"


def _cases(slo: Objective, alerts: Sequence[Alert], grid: float) -> Iterator[Case]:
    page, ticket = alerts
    steady = partial(_steady, slo, grid)
    yield steady("half of what is allowed is quiet", _CALM, {page: False, ticket: False})
    slow = min(pair.factor for pair in ticket.pairs)
    yield steady("just under the slowest burn rate is quiet", _UNDER * slow, {ticket: False})
    if _fires(slo, _OVER * slow):
        outcome = {page: False, ticket: True}
        yield steady("just over the slowest burn rate is a ticket", _OVER * slow, outcome)
    slow = min(pair.factor for pair in page.pairs)
    yield steady("just under the slower page's burn rate is no page", _UNDER * slow, {page: False})
    if _fires(slo, _OVER * slow):
        yield steady("just over the slower page's burn rate is a page", _OVER * slow, {page: True})
    for alert, last in ((page, page.pairs[0]), (ticket, ticket.pairs[-1])):
        if _fires(slo, _BURST * alert.pairs[0].factor):
            yield _burst(slo, alert, last.short_seconds, grid)
    for alert in alerts:
        if alert.pairs[-1].least_failed and _fires(slo, alert.pairs[-1].factor):
            word = f"{alert.pairs[-1].least_failed} failures among few requests"
            yield _few(alert, grid, f"fewer than {word} are no {alert.severity}", _FEW)
            yield _few(alert, grid, f"more than {word} are a {alert.severity}", _ENOUGH)


def _fires(slo: Objective, burn: float) -> bool:
    return burn < slo.highest_burn_rate


def _steady(
    slo: Objective, grid: float, name: str, burn: float, outcome: dict[Alert, bool]
) -> Case:
    """Return a past that burns alike from its beginning, with the alerts that fire in it."""
    ratio = _written(min(1.0, burn * slo.allowed))
    end = _end_of(grid, max(alert.for_seconds for alert in outcome))
    expected = [Expected(alert, end, ratio if fires else None) for alert, fires in outcome.items()]
    return Case(name, grid / _EVERY / _SAMPLES, [Phase(end, ratio)], expected)


def _burst(slo: Objective, alert: Alert, after: float, grid: float) -> Case:
    """Return a past with a burst that fires an alert by its fastest pair.

    Args:
        slo: the objective.
        alert: which alert.
        after: how many seconds after the burst it is over, at the latest.
        grid: seconds between two evaluations.
    """
    pair = alert.pairs[0]
    ratio = _written(_BURST * pair.factor * slo.allowed)
    calm = _up(max(each.long_seconds for each in alert.pairs), grid)
    length = _up(pair.long_seconds, grid) + grid
    crosses = math.floor(pair.long_seconds / _BURST / grid) * grid
    return Case(
        f"a burst fires {alert.name} once the long window burns, and ends with the short one",
        pair.short_seconds / _SAMPLES,
        [Phase(calm, 0.0), Phase(length, ratio), Phase(after + 3 * grid, 0.0)],
        [
            Expected(alert, calm + crosses),
            Expected(alert, calm + length, ratio),
            Expected(alert, calm + length + _up(after, grid) + grid),
        ],
    )


def _few(alert: Alert, grid: float, name: str, times: float) -> Case:
    """Return a past in which few requests come, and none is answered well.

    Args:
        alert: the alert that fires in it, or does not.
        grid: seconds between two evaluations.
        name: of the case.
        times: how often as many fail in the longest window, or until the end, as it takes.
    """
    end, interval = _end_of(grid, alert.for_seconds), grid / _EVERY / _SAMPLES
    seen = min(end, max(pair.long_seconds for pair in alert.pairs))
    requests = times * alert.pairs[-1].least_failed * interval / seen
    expected = Expected(alert, end, 1.0 if times > 1 else None)
    return Case(name, interval, [Phase(end, 1.0)], [expected], requests)


def _end_of(grid: float, for_seconds: float) -> float:
    """Return when a past is over in which an alert has had twice the time that it takes."""
    return _up(2 * (grid + for_seconds), grid)


def _written(ratio: float) -> float:
    """Return a ratio as it is written, so that the last digit is no matter of rounding."""
    return float(f"{ratio:.{_DIGITS}g}")


def _up(seconds: float, grid: float) -> float:
    """Return the first evaluation at or after a time."""
    return math.ceil(seconds / grid - 1e-9) * grid


def _test(slo: Objective, case: Case, alerts: Sequence[Alert]) -> dict[str, Any]:
    shortest = windows(alerts)[0]
    return {
        "name": case.name,
        "interval": text_of(case.interval),
        "input_series": _series(slo, case),
        "alert_rule_test": [
            {
                "eval_time": text_of(one.at),
                "alertname": one.alert.name,
                "exp_alerts": [] if one.ratio is None else [_alert(slo, one, shortest)],
            }
            for one in case.expected
        ],
    }


def _alert(slo: Objective, one: Expected, shortest: str) -> dict[str, Any]:
    assert one.ratio is not None  # noqa: S101 - the caller asks for those that fire only
    percent = f"{one.ratio * 100:.{_DIGITS}g}%"
    words = {
        key: text.replace("{{ $value | humanizePercentage }}", percent)
        for key, text in words_of(slo, one.alert, shortest).items()
    }
    return {"exp_labels": dict(labels(slo, one.alert)), "exp_annotations": words}


def _series(slo: Objective, case: Case) -> list[dict[str, str]]:
    """Return counters that fail at the phases' ratios, as promtool writes series of samples."""
    phases, interval = case.phases, case.interval
    good, of_total = series_of(slo.good), slo.total.partition("{")[0].strip()
    shares = [(1 - phase.ratio, phase.ratio) for phase in phases]
    if slo.good.partition("{")[0].strip() == of_total:  # one counter: the good ones, and others
        bad = series_of(slo.total, but_not=slo.good)
        given = {good: [each for each, _ in shares], bad: [each for _, each in shares]}
    else:
        given = {
            good: [each for each, _ in shares],
            series_of(slo.total): [1.0 for _ in shares],
        }
    # So many that each digit of the smallest ratio is a whole number of requests.
    requests = case.requests or 10.0 ** (_DIGITS + math.ceil(-math.log10(slo.allowed)))
    return [
        {"series": name, "values": _values([share * requests for share in each], phases, interval)}
        for name, each in given.items()
    ]


def _values(slopes: Sequence[float], phases: Sequence[Phase], interval: float) -> str:
    parts, value = [], 0.0
    for each, phase in zip(slopes, phases, strict=True):
        slope, samples = round(each, _DECIMALS), round(phase.seconds / interval)
        # The first sample counts, too. Fifteen digits: without what binary fractions add.
        parts.append(f"{value:.15g}+{slope:.15g}x{max(0, samples - 1)}")
        value += slope * max(1, samples)
    return " ".join(parts)


def series_of(selector: str, but_not: str | None = None) -> str:
    """Return a series that a selector matches, and another selector of the same metric does not.

    Args:
        selector: of a metric, by name.
        but_not: the other selector.

    Raises:
        ValueError: no value that came to mind fits.
    """
    name, _, _ = selector.partition("{")
    wanted, refused = matchers(selector), matchers(but_not or "")
    chosen = {label: _value(label, wanted, ()) for label, _, _ in (*wanted, *refused)}
    if but_not is not None:
        for matcher in refused:
            other = {**chosen, matcher[0]: _value(matcher[0], wanted, (matcher,))}
            if None not in other.values():
                chosen = other
                break
        else:
            chosen = {"": None}
    if None in chosen.values():
        raise ValueError(
            f"no series came to mind that matches {selector}"
            + (f" and not {but_not}" if but_not else "")
            + "; write the tests of these rules by hand"
        )
    inside = ", ".join(f"{label}={_quoted(text)}" for label, text in chosen.items() if text)
    return f"{name.strip()}{{{inside}}}" if inside else name.strip()


def matchers(selector: str) -> list[tuple[str, str, str]]:
    """Return the matchers of a selector: label, operator, value."""
    _, _, inside = selector.partition("{")
    return [
        (label, operator, re.sub(r"\\(.)", r"\1", value) if quote != "`" else value)
        for label, operator, quote, value in _MATCHER.findall(inside)
    ]


def _value(
    label: str, wanted: Sequence[tuple[str, str, str]], refused: Sequence[tuple[str, str, str]]
) -> str | None:
    """Return a value of a label that meets some matchers and not others, or None."""
    guesses = list(_GUESSES)
    for _, _, text in (*wanted, *refused):
        guesses += [text, _plain(text)]
    return next(
        (
            guess
            for guess in guesses
            if all(_meets(guess, each) for each in wanted if each[0] == label)
            and not any(_meets(guess, each) for each in refused if each[0] == label)
        ),
        None,
    )


def _plain(pattern: str) -> str:
    """Return what a simple pattern may match: its first branch, without what is optional."""
    text = _OPTIONAL.sub("", pattern).split("|")[0].strip("()^$")
    for part, instead in _PARTS:
        text = text.replace(part, instead)
    return text


def _meets(value: str, matcher: tuple[str, str, str]) -> bool:
    _, operator, text = matcher
    met = re.fullmatch(text, value) is not None if "~" in operator else value == text
    return met != operator.startswith("!")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
