"""Why PromQL's answer differs from the truth, found in the counters and buckets themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.comparing.truth import SENDER, unanswered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from labkit.comparing.evidence import Evidence, Histogram
    from labkit.comparing.truth import Truth

_ROUNDING = 5e-4  # of the truth: less shows in no figure
_LEAST_FACTOR = 1e-3
_MOST_NAMED = 2


def agree(truth: float, answer: float) -> bool:
    """Whether two figures are the same as far as anyone reads them."""
    return math.isclose(truth, answer, rel_tol=_ROUNDING, abs_tol=1e-9)


def number(value: float) -> str:
    """Write a figure with four digits that count, whole numbers whole."""
    if math.isnan(value):
        return "–"
    if math.isclose(value, round(value), abs_tol=1e-9):
        return f"{round(value):,}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 - four digits


def growth(evidence: Evidence) -> str:
    """Say why the counters grew by more or less than was answered."""
    difference = round(evidence.grown() - evidence.truth.requests())
    if resets := evidence.resets():
        return (
            f"Reset: the app restarted {_times(resets)} inside and its counters began again from "
            "0, so subtracting loses what they held before; increase() puts it back."
        )
    if difference < 0:
        return (
            f"The counters grew by {-difference} fewer: {evidence.truth.source} has answers that "
            "the app did not count, or that no scrape saw."
        )
    return surplus(evidence, None) or "Agrees: a counter's growth between two scrapes is exact."


def surplus(evidence: Evidence, endpoint: str | None) -> str:
    """Say whose requests the app counted beside those that were answered; "" if there are none."""
    grown = round(evidence.grown(endpoint))
    extra = grown - evidence.truth.requests(endpoint)
    if extra <= 0 or evidence.resets(endpoint):
        return ""
    known = min(extra, evidence.unanswered(endpoint))
    parts = []
    if known:
        words = " and ".join(
            f"{count} {why.replace('_', ' ')}"
            for why, count in unanswered(evidence.truth, endpoint).items()
        )
        parts.append(
            f"No answer: the app counted {known} request{_s(known)} that had no whole answer at "
            f"{evidence.truth.source} ({words})."
        )
    if other := extra - known:
        parts.append(
            f"Other traffic: {other} of the {grown} requests that the app counted in the window "
            f"{'is' if other == 1 else 'are'} not {evidence.truth.source}'s."
        )
    return " ".join(parts)


def extrapolation(evidence: Evidence, answer: float) -> str:
    """Say how the samples in the window led to what increase() answers."""
    seen, window = _seen(evidence), evidence.interval.seconds
    factor = answer / seen.growth if seen.growth else math.nan
    parts = [surplus(evidence, None), born(evidence)]
    if resets := evidence.resets():
        parts.append(
            f"{'Agrees' if agree(evidence.truth.requests(), answer) else 'Extrapolation'}: "
            f"increase() adds up the parts around {resets} reset{_s(resets)} and scales the sum to "
            "the window."
        )
    elif not math.isfinite(factor):
        parts.append("No counter has two samples in the window.")
    elif abs(factor - 1) < _LEAST_FACTOR and not any(parts):
        parts.append(
            "Agrees: the window's first and last sample lie on its ends, so nothing is "
            "extrapolated."
            if agree(evidence.truth.requests(), answer)
            else ""
        )
    else:
        spans = f"{seen.least:.4g}" + f" to {seen.most:.4g}" * (seen.most > seen.least)
        parts.append(
            f"Extrapolation: the samples inside the window are {spans} s apart and grew by "
            f"{number(seen.growth)}; increase() scales that to the window's {window:.4g} s "
            f"(× {factor:.4f})."
        )
        if factor < seen.factor - _LEAST_FACTOR:
            parts.append(f"It would be × {seen.factor:.4f}, but {seen.why_less}.")
    parts.append(_left_out(evidence))
    return " ".join(filter(None, parts))


class _Seen(NamedTuple):
    """What is inside the window: how far the samples grew, and over how many seconds they reach.

    The factor is what scaling each series to the whole window comes to, and ``why_less`` what may
    keep increase() from that.
    """

    growth: float
    least: float
    most: float
    factor: float
    why_less: str


def _seen(evidence: Evidence) -> _Seen:
    """Return what increase() has to go by.

    It takes the last sample of a range less the first, and scales that to the range, but not to
    where the counter would be below 0, nor over more than about a scrape interval at an end:
    https://prometheus.io/docs/prometheus/latest/querying/functions/#increase.
    """
    rows = evidence.series.dropna(subset=["first"])
    growth = rows["after"] - rows["first"]
    spans = (rows["last_ms"] - rows["first_ms"]) / 1000
    rows, growth, spans = rows[spans > 0], growth[spans > 0], spans[spans > 0]
    if not growth.sum():
        return _Seen(0.0, 0.0, 0.0, math.nan, "")
    gap = (rows["first_ms"] - evidence.interval.start_ms) / 1000
    near = (rows["first"] * spans < growth * gap).any()
    factor = float((growth * evidence.interval.seconds / spans).sum() / growth.sum())
    why = (
        "counters that stand near 0 are not extrapolated below it"
        if near
        else "over an end without a scrape it extrapolates half a scrape interval only"
    )
    return _Seen(float(growth.sum()), float(spans.min()), float(spans.max()), factor, why)


def _left_out(evidence: Evidence) -> str:
    """Say what came between the window's start and its first sample."""
    rows = evidence.series.dropna(subset=["first", "before"])
    missed = float((rows["first"] - rows["before"]).sum())
    late = float((rows["first_ms"] - evidence.interval.start_ms).max()) if len(rows) else 0.0
    if late <= 0 or evidence.resets():
        return ""
    return (
        f"The scrape at the window's very start is not part of it: {number(missed)} "
        f"request{_s(missed)} of the first {late / 1000:.3g} s can only be guessed."
    )


def born(evidence: Evidence) -> str:
    """Say what series that were born inside hide from increase() and rate(); "" if none was."""
    rows = evidence.born()
    rows = rows[rows["after"] > 0]
    if rows.empty:
        return ""
    named = ", ".join(
        f"{row.endpoint} {row.status}" for row in rows.head(_MOST_NAMED).itertuples(index=False)
    )
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    first = float(rows["first"].sum())
    return (
        f"Newborn series: {named}{more} began inside the window, and a series' first value "
        f"({number(first)}) is no increase."
    )


def rate(evidence: Evidence, answer: float) -> str:
    """Say how a rate over the window differs from one over the time that the requests took."""
    truth = evidence.truth
    took, window = truth.end - truth.start, evidence.interval.seconds
    counted = answer * window
    parts = [surplus(evidence, None)]
    if not agree(took, window):
        parts.append(
            f"Window: rate() divides by the {window:.4g} s from scrape to scrape, while "
            f"{truth.source}'s requests took {took:.4g} s (× {took / window:.4f})."
        )
    if not agree(truth.requests(), counted):
        parts.append(
            f"It divides {number(counted)} requests, what increase() gives, rather than "
            f"{truth.requests():,} (× {counted / truth.requests():.4f})."
        )
    parts.append(_steady(truth))
    return " ".join(filter(None, parts)) or "Agrees."


def _steady(truth: Truth) -> str:
    """Say what the sender itself calls its rate, where late answers make that another one."""
    own = getattr(truth, "steady_rate", None)
    if own is None or agree(own, truth.requests() / (truth.end - truth.start)):
        return ""
    return f"Without the time in which only late answers came, run.stats.rate is {number(own)}."


def ratio(evidence: Evidence, endpoint: str | None, truth: float, answer: float) -> str:
    """Say why a share of 5xx answers, in percent, differs."""
    if math.isnan(answer):
        return _no_ratio(evidence, endpoint)
    if agree(truth, answer):
        return "Agrees: what scales both sides of a division cancels."
    parts = [surplus(evidence, endpoint), born(evidence) if endpoint is None else ""]
    grown = evidence.grown(endpoint)
    exact = 100 * evidence.grown(endpoint, errors=True) / grown if grown else math.nan
    if resets := evidence.resets(endpoint):
        parts.append(
            f"Extrapolation: rate() scales each series by itself, around {resets} "
            f"reset{_s(resets)}."
        )
    elif not agree(exact, answer):
        parts.append(_weighed(evidence, endpoint, exact, answer))
    elif not any(parts):
        parts.append(
            f"Counts: the app answered {number(evidence.grown(endpoint, errors=True))} with a 5xx, "
            f"{evidence.truth.source} knows of {evidence.truth.server_errors(endpoint):,}."
        )
    return " ".join(filter(None, parts))


def _weighed(evidence: Evidence, endpoint: str | None, exact: float, answer: float) -> str:
    """Say what rate() makes of counters that themselves grew at the share ``exact``, in percent."""
    rows = evidence.of(endpoint).dropna(subset=["first"])
    growth, late = rows["after"] - rows["first"], rows["first_ms"] - evidence.interval.start_ms
    of_5xx = growth[rows["status"].str.startswith("5")]
    inside = 100 * float(of_5xx.sum()) / float(growth.sum()) if growth.sum() else math.nan
    text = f"Extrapolation: the counters themselves grew at {number(exact)} %"
    if late.max() > 0:
        text += f", after the first {late.max() / 1000:.3g} s at {number(inside)} %"
    if not agree(inside, answer):
        text += "; rate() scales each series by itself, and one that stands near 0 by less"
    return f"{text}."


def _no_ratio(evidence: Evidence, endpoint: str | None) -> str:
    if not evidence.grown(endpoint):
        return _unknown(evidence, endpoint)
    if not evidence.of(endpoint)["status"].str.startswith("5").any():
        return (
            "No series: the app has no counter of a 5xx here, and PromQL's division leaves out "
            "what only one side has. Absent means 0."
        )
    return "Too few samples: rate() needs two of a series inside the window."


def quantile(
    evidence: Evidence, q: float, endpoint: str | None, truth: float, answer: float
) -> str:
    """Say in which bucket a quantile lies, and what was measured elsewhere than it was sent."""
    histogram = evidence.histograms.get(endpoint)
    if histogram is None or math.isnan(answer):
        return _unknown(evidence, endpoint)
    parts = [surplus(evidence, endpoint)]
    true, found = histogram.bucket(truth), histogram.bucket(answer)
    if math.isinf(histogram.bounds[true]):
        parts.append(
            f"The truth lies above the last boundary, {histogram.lower(true):g} s: "
            "histogram_quantile() can give no more than that."
        )
    elif true == found:
        parts.append(_same_bucket(histogram, found, agrees=agree(truth, answer)))
    else:
        parts.append(
            f"The truth lies in the bucket {_range(histogram, true)}, the answer in "
            f"{_range(histogram, found)}."
        )
        outside = _outside(evidence, endpoint, histogram, found, true)
        parts.append(outside or _rank(histogram, q, min(true, found)))
    return " ".join(filter(None, parts))


def _same_bucket(histogram: Histogram, index: int, *, agrees: bool) -> str:
    width = histogram.bounds[index] - histogram.lower(index)
    return (
        f"{'Agrees' if agrees else 'Bucket width'}: both lie in the bucket "
        f"{_range(histogram, index)}, through which histogram_quantile() draws a straight line: "
        f"up to {width:.3g} s off."
    )


def _outside(
    evidence: Evidence, endpoint: str | None, histogram: Histogram, found: int, true: int
) -> str:
    """Say how many answers passed a boundary between the app's clock and the sender's."""
    if evidence.truth.source != SENDER or evidence.resets(endpoint):
        return ""
    sent = _above(evidence.truth.latency_counts([0.0, *histogram.bounds.tolist()], endpoint))
    app = _above(histogram.counts)
    passed = [(sent[i] - app[i], float(histogram.bounds[i])) for i in range(found, true)]
    moved, boundary = max(passed, default=(0, 0.0))
    if moved <= 0:
        return ""
    # What the app counted beside these answers can only hide some that passed.
    least = "at least " * bool(surplus(evidence, endpoint))
    return (
        f"Outside the app: {least}{moved} answer{_s(moved)} that the app measured at "
        f"{boundary:g} s or less took the sender longer; waiting for a thread and the network are "
        "not in the app's histogram."
    )


def _rank(histogram: Histogram, q: float, index: int) -> str:
    """Say how much of what the app counted lies under the boundary that a quantile is near."""
    total = int(histogram.counts.sum())
    under = int(histogram.counts[: index + 1].sum())
    return (
        f"Rank: {under} of the {total} requests that the app counted "
        f"({100 * under / total:.4g} %) took {histogram.bounds[index]:g} s or less: "
        f"p{100 * q:g} lies beside that boundary, and interpolation takes it across."
        if total
        else ""
    )


def _above(counts: NDArray[np.int64]) -> list[int]:
    """Return how many lie above each bucket's upper boundary."""
    below = np.cumsum(counts)
    return [int(below[-1] - count) for count in below]


def _range(histogram: Histogram, index: int) -> str:
    upper = histogram.bounds[index]
    return f"{histogram.lower(index):g} to {upper:g} s" if math.isfinite(upper) else "above all"


def _unknown(evidence: Evidence, endpoint: str | None) -> str:
    known = ", ".join(sorted(set(evidence.series["endpoint"])))
    return (
        f"No requests: the app counted none of {endpoint} in the window; it has {known}. A path "
        "without a route counts as <unmatched>."
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _s(count: float) -> str:
    return "" if count == 1 else "s"
