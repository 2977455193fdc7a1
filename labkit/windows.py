"""Windows that are long enough for the interval at which Prometheus scrapes."""

from __future__ import annotations

import math

LIVE_SECONDS = 30  # the windows of the catalog's live queries
_SCRAPES = 4  # a rate needs two, and one may be late or missing


def live(promql: str, scrape_interval: float) -> str:
    """Return a live query of the catalog over at least 30 seconds and four scrapes.

    Args:
        promql: a query whose windows are of 30 seconds.
        scrape_interval: seconds between two scrapes.
    """
    seconds = max(LIVE_SECONDS, math.ceil(_SCRAPES * scrape_interval))
    return promql.replace(f"[{LIVE_SECONDS}s]", f"[{seconds}s]")
