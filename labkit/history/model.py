"""History: weeks of the app's metrics, simulated, the same every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from labkit.history import definitions, lifetimes, timeline
from labkit.history.incident import Incident
from labkit.history.incidents import BadEndpoint, Outage
from labkit.history.samples import Exposition, Series
from labkit.history.simulation import Instance, Placed
from labkit.history.timeline import DAY_MS, MINUTE_MS, Timeline, iso
from labkit.history.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from labkit.history.definitions import Family
    from labkit.history.timeline import Moment

# To be raised with every change that makes other samples of the same arguments: caches of built
# histories know them by their digest, which this is part of.
MODEL_VERSION = 1

INTERVALS = (10, 15, 20, 30, 60)  # seconds; each goes into a minute
MOST_DAYS = 90
MOST_INSTANCES = 10
MOST_SCRAPES = 1_300_000  # of all instances together: 90 days of 10 at one a minute
MOST_REQUESTS_PER_SECOND = 50.0
MOST_A_DAY = 24.0
_SEEDS = 2**63


class Chunk(NamedTuple):
    """All series over consecutive scrapes.

    Attributes:
        times_ms: the scrapes, in milliseconds of unix time.
        series: always the same ones in the same order, those of an instance together.
    """

    times_ms: NDArray[np.int64]
    series: list[Series]


class History:
    """A past of the app, simulated: what a Prometheus that scraped it all the while would hold.

    The metrics are the app's own, with ``up`` beside them. In calm it is a healthy production
    app: busy by day and on working days, about 0.04 % of the answers 5xx, ``/`` without any. The
    first scrape finds an app that was just started; requests that no scrape saw do not take
    place. A scrape is 17 s past the minute, and every interval from there. The same arguments
    make the same samples on any machine.

    Example:
        >>> history = History(days=7, incidents=[Outage("1d", "30m"), Leak("3h", "3h")])
        >>> history.truth.between("1d").error_ratio()

    Args:
        days: how many, up to the end: 1 to 90.
        seed: where chance starts: a whole number, 0 or more.
        end: when it ends, on a whole minute: ISO 8601 text or a datetime, with a time zone, or
            unix seconds.
        interval: seconds between two scrapes: 10, 15, 20, 30 or 60.
        instances: how many there are, 1 to 10: ``app-1``, ``app-2``, …. The second gets half as
            much traffic as the first, the third a third, and so on.
        incidents: what goes wrong; see :mod:`labkit.history.incidents`.
        requests_per_second: of all instances together, in the mean of a week; up to 50.
        deploys: when the app is restarted on purpose, one instance two minutes after the other,
            each just after a scrape. By default at 10:20 and 15:40 on working days, and 25
            minutes before the end.
        crashes_per_day: how often an instance restarts by itself, in the mean.
        gaps_per_day: how often Prometheus misses one to three minutes of scrapes (no samples at
            all), and how often a single scrape of an instance fails (``up`` is 0), in the mean.
            The last hour has neither, and no crash.

    Raises:
        ValueError: when an argument is out of range, or an incident outside of the history.
    """

    def __init__(  # noqa: PLR0917 - the names people type: days, seed and end need none
        self,
        days: int = 7,
        seed: int = 7,
        end: Moment = "2026-01-31T00:00Z",
        interval: int = 60,
        instances: int = 1,
        incidents: Sequence[Incident] = (),
        *,
        requests_per_second: float = 10.0,
        deploys: Sequence[Moment] | None = None,
        crashes_per_day: float = 0.25,
        gaps_per_day: float = 0.5,
    ) -> None:
        self.days = _whole("days", days, 1, MOST_DAYS)
        self.seed = _whole("seed", seed, 0, _SEEDS - 1)
        if interval not in INTERVALS or isinstance(interval, bool):
            raise ValueError(
                f"interval must be one of {_list(INTERVALS)} seconds, not {interval!r}"
            )
        self.interval = int(interval)
        self.instances = [
            f"app-{n + 1}" for n in range(_whole("instances", instances, 1, MOST_INSTANCES))
        ]
        self.requests_per_second = _number(
            "requests_per_second", requests_per_second, MOST_REQUESTS_PER_SECOND
        )
        self.crashes_per_day = _number("crashes_per_day", crashes_per_day, MOST_A_DAY)
        self.gaps_per_day = _number("gaps_per_day", gaps_per_day, MOST_A_DAY)
        self._timeline = Timeline(_end_ms(end, self.days), self.days, self.interval * 1000)
        scrapes = self._timeline.scrapes * len(self.instances)
        if scrapes > MOST_SCRAPES:
            raise ValueError(
                f"{self.days} days of {len(self.instances)} instances every {interval} s are "
                f"{scrapes:,} scrapes; up to {MOST_SCRAPES:,} are possible: take a longer "
                "interval, fewer days or fewer instances"
            )
        self.deploys_ms = self._deploys(deploys)
        if not isinstance(incidents, Iterable):
            raise _no_incident(incidents)
        self.incidents = tuple(incidents)
        self._placed = [self._place(incident) for incident in self.incidents]

    @property
    def start(self) -> float:
        """When it starts, in unix seconds."""
        return self._timeline.start_ms / 1000

    @property
    def end(self) -> float:
        """When it ends, in unix seconds; what "now" means when it is served."""
        return self._timeline.end_ms / 1000

    @property
    def times(self) -> NDArray[np.int64]:
        """Every scrape, in milliseconds of unix time, ascending."""
        return self._timeline.times_ms

    @cached_property
    def families(self) -> Sequence[Family]:
        """The metric families: name, type and help, as the app declares them, and ``up``."""
        return definitions.families()

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of all that the samples depend on, in hexadecimal; takes no simulation."""
        parts = {
            "model": MODEL_VERSION,
            "app": definitions.declared(),
            "arguments": [self.days, self.seed, self.end, self.interval, self.instances],
            "rates": [self.requests_per_second, self.crashes_per_day, self.gaps_per_day],
            "deploys": self.deploys_ms,
            "incidents": [
                [type(incident).__name__, first, last, _shape(incident)]
                for incident, first, last in self._placed
            ],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def truth(self) -> Truth:
        """What happened, exactly: totals of any interval, incidents and restarts."""
        return Truth(self._simulated, self._timeline, self._placed)

    def chunks(self) -> Iterator[Chunk]:
        """Yield all series, 1440 scrapes at a time, which is a day at one a minute."""
        expositions = [self._exposition(instance) for instance in self._simulated]
        for block in range(self._timeline.blocks):
            times = self.times[block * timeline.BLOCK : (block + 1) * timeline.BLOCK]
            series = [each for exposition in expositions for each in exposition.block(block)]
            yield Chunk(times, series)

    def series(self) -> Iterator[Series]:
        """Yield each series over the whole history, one instance after the other.

        All of an instance's are in memory at once: 27 MB for 30 days at one scrape a minute.
        ``chunks`` needs far less.
        """
        for instance in self._simulated:
            exposition = self._exposition(instance)
            blocks = [exposition.block(block) for block in range(self._timeline.blocks)]
            for parts in zip(*blocks, strict=True):
                values = np.concatenate([part.values for part in parts])
                yield parts[0]._replace(values=values)

    def __repr__(self) -> str:
        several = len(self.instances)
        parts = [
            f"{self.days} day{'s' * (self.days > 1)} to {iso(self._timeline.end_ms)}",
            f"a scrape every {self.interval} s",
            f"{several} instance{'s' * (several > 1)}",
            f"seed {self.seed}",
            f"{len(self.incidents)} incident{'s' * (len(self.incidents) != 1)}",
        ]
        return f"<History {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        summary = f"<p>{escape(repr(self)[1:-1])}</p>"
        if not self.incidents:
            return summary
        import pandas as pd

        with pd.option_context("display.max_colwidth", None):
            return summary + str(self.truth.incidents.to_html(index=False, border=0))

    @cached_property
    def _simulated(self) -> list[Instance]:
        weights = [1 / (number + 1) for number in range(len(self.instances))]
        gaps = lifetimes.gaps(self._timeline, self.seed, self.gaps_per_day)
        return [
            Instance(
                name,
                number,
                seed=self.seed,
                timeline=self._timeline,
                presence=self._presence(name, number, gaps),
                requests_per_second=self.requests_per_second * weight / sum(weights),
                incidents=self._placed,
            )
            for number, (name, weight) in enumerate(
                zip(self.instances, weights, strict=True), start=1
            )
        ]

    def _presence(
        self, name: str, number: int, gaps: Sequence[tuple[int, int]]
    ) -> lifetimes.Presence:
        outages = [
            (first, last)
            for incident, first, last in self._placed
            if isinstance(incident, Outage) and incident.on in (None, name)
        ]
        restarts = lifetimes.restarts(
            self._timeline,
            self.seed,
            number,
            deploys=self.deploys_ms,
            crashes_per_day=self.crashes_per_day,
            outages=outages,
        )
        failed = lifetimes.failed_scrapes(
            self._timeline, self.seed, number, self.gaps_per_day, gaps
        )
        return lifetimes.presence(
            self._timeline, restarts=restarts, outages=outages, gaps=gaps, failed=failed
        )

    def _exposition(self, instance: Instance) -> Exposition:
        bug = definitions.BUG.endpoint
        with_bug = any(isinstance(i, BadEndpoint) and i.endpoint == bug for i in self.incidents)
        return Exposition(instance, self._timeline, with_bug=with_bug)

    def _deploys(self, deploys: Sequence[Moment] | None) -> list[int]:
        if deploys is None:
            return lifetimes.default_deploys(self._timeline)
        if isinstance(deploys, str) or not isinstance(deploys, Iterable):
            raise ValueError(  # noqa: TRY004 - one kind of error for arguments
                f"deploys must be a list of moments, such as ['2d', '1h'], not {deploys!r}"
            )
        found = sorted(self._timeline.moment_ms(when, "each of deploys") for when in deploys)
        for ms in found:
            self._timeline.window(ms, ms + self.interval * 1000, "each of deploys")
        return found

    def _place(self, incident: Incident) -> Placed:
        if not isinstance(incident, Incident):
            raise _no_incident(incident)
        if incident.on is not None and incident.on not in self.instances:
            raise ValueError(
                f"{type(incident).__name__} is on {incident.on!r}, but this history has "
                f"{_list(self.instances)}"
            )
        return Placed(incident, *incident.window(self._timeline))


def _no_incident(given: object) -> ValueError:
    return ValueError(
        "incidents must be a list of objects such as ErrorBurst('2d3h', '30m'), in [ ] even where "
        f"there is only one, not {given!r}"
    )


def _end_ms(end: Moment, days: int) -> int:
    ms = timeline.moment_ms(end, "end")
    if ms % MINUTE_MS or ms < days * DAY_MS:
        raise ValueError(f"end must be on a whole minute, with the days after 1970, not {end!r}")
    return ms


def _shape(incident: Incident) -> dict[str, object]:
    """Return an incident's own arguments; its start and length are known as scrapes."""
    return {
        name: value for name, value in vars(incident).items() if name not in ("start", "length")
    }


def _whole(name: str, value: int, least: int, most: int) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or not least <= value <= most
    ):
        raise ValueError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
    return int(value)


def _number(name: str, value: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:g}, not {value!r}")
    return float(value)


def _list(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
