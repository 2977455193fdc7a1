"""The rows of a comparison: each a figure, known and asked for, with why the two differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from labkit.comparing import causes
from labkit.comparing.evidence import BUCKETS, SERVER_ERROR
from labkit.comparing.interval import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from labkit.comparing.evidence import Evidence

QUANTILES = (0.5, 0.95, 0.99)
BY_ENDPOINT = 0.95
_NOISE = 1e-12  # of a figure: what floating point adds


class Row(NamedTuple):
    """One figure.

    Attributes:
        what: what it is, with its unit.
        endpoint: of which endpoint; "" for all.
        truth: what happened.
        promql: what PromQL answers; NaN where it has no answer.
        difference: promql less truth.
        relative: the difference in percent of the truth.
        query: what was asked, at the window's end.
        cause: why they differ.
    """

    what: str
    endpoint: str
    truth: float
    promql: float
    difference: float
    relative: float
    query: str
    cause: str


def table(evidence: Evidence) -> pd.DataFrame:
    """Return every figure as a frame with the columns of `Row`."""
    import pandas as pd

    rows = [*_counts(evidence), *_ratios(evidence), *_quantiles(evidence)]
    return pd.DataFrame(rows, columns=list(Row._fields))


def _counts(evidence: Evidence) -> Iterator[Row]:
    interval, truth = evidence.interval, evidence.truth
    window, sent = interval.duration, truth.requests()
    growth = f"sum({REQUESTS}) - sum({REQUESTS} @ {interval.start:.3f})"
    yield _row("requests", "", sent, evidence.value(growth), growth, causes.growth(evidence))
    increase = f"sum(increase({REQUESTS}[{window}]))"
    answer = evidence.value(increase)
    cause = causes.extrapolation(evidence, answer)
    yield _row("requests by increase()", "", sent, answer, increase, cause)
    rate = f"sum(rate({REQUESTS}[{window}]))"
    answer = evidence.value(rate)
    happened = sent / (truth.end - truth.start)
    yield _row("requests/s", "", happened, answer, rate, causes.rate(evidence, answer))


def _ratios(evidence: Evidence) -> Iterator[Row]:
    window = evidence.interval.duration
    errors, all_of_them = f"rate({REQUESTS}{SERVER_ERROR}[{window}])", f"rate({REQUESTS}[{window}])"
    total = f"sum({errors}) / sum({all_of_them}) * 100"
    each = f"sum by (endpoint) ({errors}) / sum by (endpoint) ({all_of_them}) * 100"
    for endpoint in (None, *_asked(evidence)):
        requests = evidence.truth.requests(endpoint)
        happened = 100 * evidence.truth.server_errors(endpoint) / requests
        if endpoint is None:
            query, answer = total, evidence.value(total)
        else:
            query, answer = each, evidence.value(each, endpoint=endpoint)
        cause = causes.ratio(evidence, endpoint, happened, answer)
        yield _row("5xx ratio (%)", endpoint, happened, answer, query, cause)


def _quantiles(evidence: Evidence) -> Iterator[Row]:
    window = evidence.interval.duration
    for q in QUANTILES:
        query = f"histogram_quantile({q:g}, sum by (le) (rate({BUCKETS}[{window}])))"
        yield _quantile(evidence, q, None, query, evidence.value(query))
    by = f"histogram_quantile({BY_ENDPOINT:g}, sum by (endpoint, le) (rate({BUCKETS}[{window}])))"
    for endpoint in _asked(evidence):
        answer = evidence.value(by, endpoint=endpoint)
        yield _quantile(evidence, BY_ENDPOINT, endpoint, by, answer)


def _quantile(evidence: Evidence, q: float, endpoint: str | None, query: str, answer: float) -> Row:
    happened = evidence.truth.quantile(q, endpoint)
    cause = causes.quantile(evidence, q, endpoint, happened, answer)
    return _row(f"p{100 * q:g} (s)", endpoint, happened, answer, query, cause)


def _asked(evidence: Evidence) -> list[str]:
    """Return the endpoints that answered at all."""
    return [name for name in evidence.truth.endpoints if evidence.truth.requests(name)]


def _row(  # noqa: PLR0917 - the order of the columns
    what: str, endpoint: str | None, truth: float, answer: float, query: str, cause: str
) -> Row:
    difference = 0.0 if math.isclose(answer, truth, rel_tol=_NOISE) else answer - truth
    relative = 100 * difference / truth if truth else (math.nan if difference else 0.0)
    return Row(what, endpoint or "", truth, answer, difference, relative, query, cause)
