"""Why a function over a window gives nothing: it needs two samples, and how often they come."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from labkit.promql.emptiness.absence import plain, subject
from labkit.promql.emptiness.lifetimes import why_no_sample
from labkit.promql.emptiness.moments import clock_time, lasting
from labkit.promql.syntax.node import NAME, seconds

if TYPE_CHECKING:
    from labkit.promql.emptiness.probe import Probe
    from labkit.promql.syntax.node import Node

# The functions that give nothing for a single sample
# (https://prometheus.io/docs/prometheus/latest/querying/functions/).
NEED_TWO = frozenset(
    {
        "rate",
        "irate",
        "increase",
        "delta",
        "idelta",
        "deriv",
        "predict_linear",
        "holt_winters",
        "double_exponential_smoothing",
    }
)
_TWO, _BETTER = 2, 4


def short_window(probe: Probe, node: Node) -> str:
    """Say why a window holds no sample although its series are alive; empty if they are not.

    Args:
        probe: where to ask, for the time that the window looks at.
        node: a range.

    Raises:
        QueryError: as any query.
    """
    newest = _newest(probe, node)
    if newest is None:
        return ""
    gap = newest.gap or probe.client.scrape_interval
    width = node.range_seconds or 0.0
    if width >= _TWO * gap:
        return ""
    return (
        f"The window of {seconds(width)} holds no sample of {subject(node)}, which come "
        f"{lasting(gap)} apart: {_wider(node, gap)}."
    )


def too_few(probe: Probe, call: Node, window: Node) -> str:
    """Say why a window has less than the two samples that a function needs; empty if it has them.

    Args:
        probe: where to ask.
        call: the function.
        window: the range or subquery in it, which is not empty.

    Raises:
        QueryError: as any query.
    """
    counts = [n for s in probe.series(f"count_over_time({window.text})") for n in s.values]
    if max(counts, default=0) >= _TWO:
        return ""
    if window.kind == "subquery":
        return _few_steps(call, window)
    seen = probe.seen_by(window)
    newest = _newest(seen, window)
    if newest is None:
        return f"{call.name} needs two samples in its window. {why_no_sample(seen, window)}"
    if newest.gap is None:
        return _young(seen, call, window, newest.time)
    width = window.range_seconds or 0.0
    if width >= _TWO * newest.gap:
        return (
            f"The window of {seconds(width)} holds only one sample of {subject(window)}, and "
            f"{call.name} needs two; some are missing, as they come {lasting(newest.gap)} apart."
        )
    return (
        f"The window of {seconds(width)} holds only one sample of {subject(window)}, and "
        f"{call.name} needs two. They come {lasting(newest.gap)} apart: "
        f"{_wider(window, newest.gap, call)}."
    )


class _Newest(NamedTuple):
    """When the newest sample of a series came, and how long after the one before it."""

    time: float
    gap: float | None


def _newest(probe: Probe, node: Node) -> _Newest | None:
    from labkit.promql.frames import series_text

    moment = probe.during(probe.end, probe.end)
    found = moment.series(f"topk(1, timestamp({plain(node).text}))")
    if not found:
        return None
    time = found[0].values[0]
    # Of one series: two targets are scraped at moments that have nothing to do with each other.
    one = plain(node).text
    if node.name:
        one = series_text({**found[0].labels, NAME: node.name})
    just_before = time - 0.001
    before = moment.during(just_before, just_before).series(f"timestamp({one})")
    return _Newest(time, time - before[0].values[0] if before else None)


def _young(probe: Probe, call: Node, window: Node, born: float) -> str:
    what = subject(window)
    came = clock_time(born, probe.now)
    sentence = f"{call.name} needs two samples, and {what} had only one, of {came}"
    interval = probe.client.scrape_interval
    wait = born + interval - probe.now
    if wait > -_TWO * interval:
        return f"{sentence}: the second will be there in about {max(1, math.ceil(wait))} s."
    if (second := probe.during(born, born).next_sample(plain(window).text)) is not None:
        return f"{sentence}; the second came at {clock_time(second, probe.now)}."
    return f"{sentence}; no second one has come."


def _few_steps(call: Node, window: Node) -> str:
    width = seconds(window.range_seconds or 0.0)
    if window.step_seconds is None:
        pace = "its step is the server's evaluation interval where none is written"
    else:
        pace = f"its step is {seconds(window.step_seconds)}"
    return (
        f"{call.name} needs two points, and {window.text} has only one in its {width}: {pace}. "
        "Take a shorter step or a longer window."
    )


def _wider(window: Node, gap: float, call: Node | None = None) -> str:
    # Whole seconds read well, where the pace is not faster than that.
    pace = math.ceil(gap - 0.1) if gap > 1 else math.ceil(gap * 20 - 0.1) / 20
    better = replace(window, range_seconds=_BETTER * pace)
    whole = better
    if call is not None:
        parts = tuple(better if child.bare is window else child for child in call.children)
        whole = replace(call, children=parts)
    return (
        f"a window needs to be at least {seconds(_TWO * pace)}, better {seconds(_BETTER * pace)}: "
        f"{whole.text}"
    )
