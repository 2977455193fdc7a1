"""When each instance is up, since when, and which scrapes reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.history import chance
from labkit.history.rhythm import weekday
from labkit.history.timeline import DAY_MS, MINUTE_MS, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

DEPLOY, CRASH, RECOVERY = "deploy", "crash", "end of an outage"

# Deploys unless others are asked for: twice on working days, and once shortly before the end, so
# that the last hour has a restart in it, as the exercises about counters need.
_DEPLOY_MINUTES = (10 * 60 + 20, 15 * 60 + 40)
_LAST_DEPLOY_MINUTES = 25
_WORKING_DAYS = 5
_ROLLING_MS = 2 * MINUTE_MS  # a deploy restarts one instance after the other
# Nothing is left to chance in the last hour, which people look at most.
_CALM_END_MS = 60 * MINUTE_MS
# With three scrapes missing at one a minute, a series is four minutes old: still within the five
# that Prometheus looks back.
_LONGEST_GAP_MINUTES = 3
_APART_MINUTES = 5
_BOOT_MS = (2000, 5000)  # an instance starts in so long, from and to


@dataclass(frozen=True)
class Restart:
    """An instance that starts anew, just after a scrape, so that no request goes uncounted.

    Args:
        scrape: the scrape after which it went down, or after which an outage ended.
        created_ms: when it was up again, in milliseconds of unix time.
        cause: deploy, crash or end of an outage.
    """

    scrape: int
    created_ms: int
    cause: str


@dataclass(frozen=True, eq=False)
class Presence:
    """One instance over the scrapes of a history.

    Args:
        restarts: in order, the first start left out.
        life: which life of the process each scrape falls into, from 0.
        created_ms: when that life began.
        share: how much of the time since the scrape before it could serve, 0 to 1.
        up: what ``up`` says: 1, 0, or NaN where Prometheus did not scrape.
        last_scraped: the last scrape, up to each, that has samples; -1 before the first.
    """

    restarts: tuple[Restart, ...]
    life: NDArray[np.int64]
    created_ms: NDArray[np.int64]
    share: NDArray[np.float64]
    up: NDArray[np.float64]
    last_scraped: NDArray[np.int64]

    @property
    def scraped(self) -> NDArray[np.bool_]:
        """Whether each scrape has samples."""
        return np.asarray(self.up == 1.0)


def presence(
    timeline: Timeline,
    *,
    restarts: Iterable[Restart],
    outages: Sequence[tuple[int, int]],
    gaps: Sequence[tuple[int, int]],
    failed: Sequence[int],
) -> Presence:
    """Put together what happens to one instance.

    Requests that no scrape can see, as the process ends before the next one, do not take place:
    what is not in the samples is not in the truth either.

    Args:
        timeline: the scrapes.
        restarts: those that are planned or happen; one while it is down anyway is left out.
        outages: scrapes after which it went down, and after which it is back.
        gaps: first and last scrape that Prometheus did not make.
        failed: scrapes that it made and that failed.
    """
    down = np.zeros(timeline.scrapes, bool)
    for first, last in outages:
        down[first + 1 : last + 1] = True
    kept = _possible(restarts, down)
    life = np.zeros(timeline.scrapes, np.int64)
    for restart in kept:
        life[restart.scrape + 1 :] += 1
    created = np.array([timeline.first_ms, *(restart.created_ms for restart in kept)], np.int64)
    up = np.where(down, 0.0, 1.0)
    up[list(failed)] = 0.0
    for first, last in gaps:
        up[first : last + 1] = np.nan
    last_scraped = np.maximum.accumulate(np.where(up == 1.0, np.arange(timeline.scrapes), -1))
    served = (timeline.times_ms - created[life]) / timeline.interval_ms
    share = np.where(down | ~_seen(life, up == 1.0), 0.0, np.minimum(served, 1.0))
    return Presence(tuple(kept), life, created[life], share, up, last_scraped)


def _possible(restarts: Iterable[Restart], down: NDArray[np.bool_]) -> list[Restart]:
    """Return the restarts in order, one a scrape, without those that nothing comes after."""
    by_scrape = {restart.scrape: restart for restart in restarts}
    return [
        restart
        for scrape, restart in sorted(by_scrape.items())
        if scrape + 1 < len(down) and not down[scrape + 1]
    ]


def _seen(life: NDArray[np.int64], scraped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each slot whether a scrape, then or later, saw the same life."""
    last = np.full(int(life[-1]) + 1, -1)
    index = np.flatnonzero(scraped)
    last[life[index]] = index  # ascending, so the last one stays
    return np.asarray(np.arange(len(life)) <= last[life])


def default_deploys(timeline: Timeline) -> list[int]:
    """Return when the app is deployed unless others are asked for, in milliseconds of unix time."""
    first_day, last_day = timeline.start_ms // DAY_MS, timeline.end_ms // DAY_MS
    found = [
        day * DAY_MS + minutes * MINUTE_MS
        for day in range(first_day, last_day + 1)
        if weekday(day) < _WORKING_DAYS
        for minutes in _DEPLOY_MINUTES
    ]
    found.append(timeline.end_ms - _LAST_DEPLOY_MINUTES * MINUTE_MS)
    return [ms for ms in found if timeline.start_ms < ms < timeline.end_ms - _ROLLING_MS]


def restarts(
    timeline: Timeline,
    seed: int,
    instance: int,
    *,
    deploys: Iterable[int],
    crashes_per_day: float,
    outages: Iterable[tuple[int, int]],
) -> list[Restart]:
    """Return every restart of an instance; later ones in the list take a scrape from earlier.

    Args:
        timeline: the scrapes.
        seed: the history's.
        instance: the instance's number, from 1.
        deploys: when the first instance is restarted; each further one follows two minutes later.
        crashes_per_day: how many times a day it crashes, in the mean.
        outages: scrapes after which it went down, and after which it is back.
    """
    events = [(scrape, CRASH) for scrape in _crashes(timeline, seed, instance, crashes_per_day)]
    later = (instance - 1) * _ROLLING_MS
    events += [(timeline.at_or_after(ms + later), DEPLOY) for ms in deploys]
    events += [(last, RECOVERY) for _, last in outages]
    generator = chance.stream(seed, instance, chance.RESTARTS, 1)
    shortest, longest = _BOOT_MS
    boots = chance.uniform(generator, len(events)) * (longest - shortest) + shortest
    return [
        Restart(scrape, int(timeline.times_ms[scrape]) + int(boot), cause)
        for (scrape, cause), boot in zip(events, boots.tolist(), strict=True)
    ]


def _crashes(timeline: Timeline, seed: int, instance: int, a_day: float) -> list[int]:
    return _moments(timeline, chance.stream(seed, instance, chance.RESTARTS), a_day)


def gaps(timeline: Timeline, seed: int, a_day: float) -> list[tuple[int, int]]:
    """Return the first and last scrape of each time in which Prometheus was away.

    Args:
        timeline: the scrapes.
        seed: the history's.
        a_day: how many there are in the mean; each is one to three minutes long, and one that
            would follow another at once is left out.
    """
    generator = chance.stream(seed, chance.FLEET, chance.GAPS)
    starts = _moments(timeline, generator, a_day)
    minutes = 1 + (chance.uniform(generator, len(starts)) * _LONGEST_GAP_MINUTES).astype(np.int64)
    a_minute = MINUTE_MS // timeline.interval_ms
    found: list[tuple[int, int]] = []
    for first, lasts in zip(starts, minutes.tolist(), strict=True):
        if not found or first - found[-1][1] > _APART_MINUTES * a_minute:
            found.append((first, first + lasts * a_minute - 1))
    return found


def failed_scrapes(
    timeline: Timeline, seed: int, instance: int, a_day: float, away: Sequence[tuple[int, int]]
) -> list[int]:
    """Return the scrapes of an instance that fail, as one does that times out.

    Args:
        timeline: the scrapes.
        seed: the history's.
        instance: the instance's number, from 1.
        a_day: how many there are in the mean.
        away: the gaps; none fails near one.
    """
    apart = _APART_MINUTES * MINUTE_MS // timeline.interval_ms
    return [
        scrape
        for scrape in _moments(timeline, chance.stream(seed, instance, chance.UNSCRAPED), a_day)
        if not any(first - apart <= scrape <= last + apart for first, last in away)
    ]


def _moments(timeline: Timeline, generator: np.random.Philox, a_day: float) -> list[int]:
    """Return random scrapes, none at the very start and none in the last hour."""
    expected = np.array([timeline.days * a_day])
    drawn = chance.uniform(generator, int(chance.poisson(generator, expected)[0]))
    hour = _CALM_END_MS // timeline.interval_ms
    first, last = hour, timeline.scrapes - 2 * hour
    return sorted((first + (drawn * (last - first)).astype(np.int64)).tolist())
