"""The truth beside PromQL: what a sender or a model knows exactly, and what a query makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.comparing.truth import RunTruth, Truth
from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.comparing.comparison import Comparison
    from labkit.promql.client import Client

__all__ = ["Comparison", "RunTruth", "Truth", "compare"]


def __getattr__(name: str) -> Any:
    # Numpy takes a tenth of a second to import: the result's class is loaded when first used.
    if name != "Comparison":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from labkit.comparing.comparison import Comparison

    return Comparison


def compare(
    client: Client,
    truth: Truth,
    *,
    settle: bool = True,
    alive: Callable[[], None] | None = None,
) -> Comparison:
    """Put exact figures beside PromQL's answers for the same interval, with why they differ.

    PromQL is asked for the window from the last scrape before the start to the first one after
    the end. A Prometheus that serves the past (``client.at``) is never waited for.

    Args:
        client: where to ask.
        truth: what happened, such as ``RunTruth(run)``.
        settle: wait for the scrape after the end, a few scrape intervals at most.
        alive: called before each look while waiting; what it raises ends the wait.

    Returns:
        The figures as ``table``, which a notebook shows with a chart of the true latencies; see
        :class:`labkit.comparing.comparison.Comparison`.

    Raises:
        LabError: nothing was answered, or this Prometheus holds no scrape around the interval.
        QueryError: Prometheus is not reached or refuses.
    """
    from labkit.comparing.comparison import Comparison, distribution
    from labkit.comparing.evidence import gather
    from labkit.comparing.interval import around
    from labkit.comparing.rows import table

    if not truth.requests():
        raise LabError(
            f"There is nothing to compare: {truth.source} has no answered request.",
            next_step="see run.stats for why, and send traffic to an app that answers.",
        )
    live = client.at is None
    interval = around(client, truth.start, truth.end, live=live, settle=settle, alive=alive)
    evidence = gather(client, truth, interval)
    rows = table(evidence)
    return Comparison(
        table=rows,
        start=interval.start,
        end=interval.end,
        truth_seconds=truth.end - truth.start,
        source=truth.source,
        latency=distribution(evidence, rows),
    )
