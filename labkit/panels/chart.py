"""The control panel's live chart: request rate and error ratio, as one picture."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from labkit import plots
from labkit.promql.catalog import QUERIES, live, live_seconds

if TYPE_CHECKING:
    from labkit.promql.client import Client

SHORTEST_MINUTES, LONGEST_MINUTES = 1.0, 3.0
TILES = (QUERIES["live_request_rate"], QUERIES["live_error_ratio_by_endpoint"])


class LiveChart:
    """Draws two tiles on one figure that is kept; asks Prometheus anew for each picture.

    Args:
        client: where to ask.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._began = time.monotonic()
        self._figure = plots.figure(columns=2, width=8.4, height=3.1)

    def png(self) -> bytes:
        """Return the picture of now; its window grows with the age of the panel."""
        age_minutes = (time.monotonic() - self._began) / 60
        minutes = min(max(SHORTEST_MINUTES, age_minutes), LONGEST_MINUTES)
        for axes, query in zip(self._figure.axes, TILES, strict=True):
            promql = live(query.promql, live_seconds(self._client.scrape_interval))
            frame = self._client.query_range(promql, minutes=minutes)
            draw = getattr(plots, query.kind)
            draw(frame, ax=axes, title=query.title, unit=query.unit, threshold=query.threshold)
        return plots.png(self._figure)
