"""The window that PromQL is asked for: from the last scrape before to the first one after."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.promql.steps import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from labkit.promql.client import Client

REQUESTS = "flask_requests_total"
_SCRAPES = 10  # how many scrape intervals are looked through at each end
_LEAST_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0  # beyond three scrape intervals
_TOLD_LATE_SECONDS = 0.05  # that a run began is told by another process
_ALIGNED_SECONDS = 0.002  # Prometheus moves the time of a scrape by up to this onto its grid


@dataclass(frozen=True)
class Interval:
    """A window whose both ends are scrapes.

    Attributes:
        start_ms: the time of the scrape before, in unix milliseconds.
        end_ms: the time of the scrape after.
    """

    start_ms: int
    end_ms: int

    @property
    def start(self) -> float:
        """The time of the scrape before, in unix seconds."""
        return self.start_ms / 1000

    @property
    def end(self) -> float:
        """The time of the scrape after, in unix seconds."""
        return self.end_ms / 1000

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_ms - self.start_ms) / 1000

    @property
    def duration(self) -> str:
        """How long it is, as PromQL writes it."""
        return duration(self.end_ms - self.start_ms)


def around(
    client: Client,
    start: float,
    end: float,
    *,
    live: bool,
    settle: bool = True,
    alive: Callable[[], None] | None = None,
) -> Interval:
    """Return the window from the last scrape before an interval to the first one after it.

    Where there are several instances, it is wide enough for each of them. Of a past, an end that
    is a scrape's own time is taken as it is: what each instance had by then is meant.

    Args:
        client: where to ask.
        start: unix seconds.
        end: unix seconds.
        live: whether the requests come while scrapes do: then a scrape that had begun shortly
            before the start may hold the first of them, and does not count.
        settle: wait for the scrape after the end.
        alive: called before each look.

    Raises:
        LabError: there is no scrape on one of the sides.
        QueryError: Prometheus is not reached or refuses.
    """
    reach = reach_seconds(client)
    before = _scrapes(client, _clear_of(client, start, reach) if live else start, reach)
    if before.empty:  # the lab has just started: its very first scrape is all there is
        before = _scrapes(client, start, reach)
    if before.empty:
        raise LabError(
            f"This Prometheus has no {REQUESTS} from before the requests.",
            next_step='see lab.query("up") for whether it scrapes the app, and send them again.',
        )
    last = before.groupby("instance")["ms"].max()
    first = _first_after(client, end + _ALIGNED_SECONDS * live, reach)
    deadline = clock.monotonic() + 3 * client.scrape_interval + _PATIENCE_SECONDS
    while live and settle and not set(last.index) <= set(first.index):
        if clock.monotonic() >= deadline:
            break
        if alive is not None:
            alive()
        clock.sleep(client.scrape_interval / 4)
        first = _first_after(client, end + _ALIGNED_SECONDS, reach)
    if first.empty:
        raise LabError(
            f"No scrape of {REQUESTS} came after the requests.",
            next_step='see lab.query("up") for whether the app is still scraped.',
        )
    end_ms = round(end * 1000)
    return Interval(int(last.max()), end_ms if end_ms in set(first) else int(first.max()))


def reach_seconds(client: Client) -> float:
    """Return how far from an end of the interval its scrapes are looked for."""
    return max(_SCRAPES * client.scrape_interval, _LEAST_SECONDS)


def _clear_of(client: Client, start: float, reach: float) -> float:
    """Return the latest time of a scrape that had surely ended when the first request came."""
    took = client.query(
        f"max(max_over_time(scrape_duration_seconds[{_range(reach)}]) "
        f"and on (job, instance) {REQUESTS})",
        time=start,
    )["value"]
    return start - _TOLD_LATE_SECONDS - (float(took.iloc[0]) if len(took) else 0.0)


def _first_after(client: Client, end: float, reach: float) -> pd.Series[int]:
    """Return the time of each instance's first scrape from a moment on, in milliseconds."""
    # Further back than the end: Prometheus 3 leaves out a sample at the very start of a range.
    after = _scrapes(client, end + reach, reach + _LEAST_SECONDS)
    return after[after["ms"] >= round(end * 1000)].groupby("instance")["ms"].min()


def _scrapes(client: Client, until: float, reach: float) -> pd.DataFrame:
    """Return instance and time of each sample in the seconds before a moment, it included."""
    import pandas as pd

    samples = client.query(f"{REQUESTS}[{_range(reach)}]", time=until)
    if samples.empty:
        return pd.DataFrame({"instance": pd.Series(dtype="str"), "ms": pd.Series(dtype="int64")})
    times = pd.DatetimeIndex(samples["time"]).as_unit("ms").asi8
    return pd.DataFrame({"instance": samples.get("instance", ""), "ms": times}).drop_duplicates()


def _range(seconds: float) -> str:
    return duration(round(seconds * 1000))
