"""Prometheus and what it knows of the app: its targets, their samples, its clock."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from labkit.checks.app_side import clock
from labkit.checks.fetching import SECONDS, fetch
from labkit.checks.report import FAILED, OK, SKIPPED, WARNING, Finding
from labkit.errors import LabError
from labkit.promql.client import Client
from labkit.promql.steps import step_in_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMES = ("Prometheus", "Prometheus's clock", "Target", "Samples")
JOB = "flask"
MOST_TARGETS = 8
LATE_SCRAPES = 3  # that many may be missing before it is a failure, and two seconds more
GRACE_SECONDS = 2.0
USUAL_INTERVAL_SECONDS = 15.0
TARGETS_SECONDS = 10.0  # Prometheus takes 5 s to know its targets

_WAIT = "wait: the first scrape comes some 5 s after the start."


@dataclass(frozen=True)
class Target:
    """A target, as Prometheus tells of it.

    Attributes:
        job: its job label.
        instance: its instance label.
        address: the URL that is scraped.
        health: up, down or unknown.
        error: what went wrong at the last scrape; empty where nothing did.
        scraped_at: when that was, in Unix seconds of Prometheus's clock; 0 for never.
        interval_seconds: between two scrapes.
    """

    job: str
    instance: str
    address: str
    health: str
    error: str
    scraped_at: float
    interval_seconds: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Target:
        """Read one of the API's active targets."""
        labels, interval = told.get("labels", {}), told.get("scrapeInterval")
        return cls(
            job=labels.get("job", ""),
            instance=labels.get("instance", ""),
            address=told.get("scrapeUrl", ""),
            health=told.get("health", "unknown"),
            error=told.get("lastError", ""),
            scraped_at=max(0.0, datetime.fromisoformat(told["lastScrape"]).timestamp()),
            interval_seconds=step_in_ms(interval) / 1000 if interval else USUAL_INTERVAL_SECONDS,
        )

    @property
    def late_seconds(self) -> float:
        """The age from which on its last scrape, or sample, is too old."""
        return LATE_SCRAPES * self.interval_seconds + GRACE_SECONDS

    def find(self, now: float) -> Finding:
        """Say how it is, at a time of Prometheus's clock."""
        name, who = "Target", f"{self.instance} ({self.address})"
        age = now - self.scraped_at
        if self.health == "down":
            remedy = "make that address answer: see the rows App and Metrics."
            return Finding(name, FAILED, f"{who} is down: {self.error}", remedy)
        if not self.scraped_at or self.health != "up":
            return Finding(name, WARNING, f"{who} has not been scraped yet", _WAIT)
        seen = f"{who} is up; scraped {max(0.0, age):.1f} s ago, every {self.interval_seconds:g} s"
        if age > self.late_seconds:
            remedy = "see Prometheus's log: it does not keep up, or its machine slept."
            return Finding(name, FAILED, seen, remedy)
        return Finding(name, OK, seen)


def prometheus(
    url: str,
    *,
    app_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    verify: bool | str = True,
) -> Iterator[Finding]:
    """Look at Prometheus, or anything with its API.

    Args:
        url: its address.
        app_url: the app's address, by which its target is known; else it is the job flask.
        headers: sent with each request.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
    """
    with closing(Client(url, headers=headers, verify=verify, timeout=SECONDS)) as client:
        try:
            now = float(client.get("query", query="time()")["result"][1])
        except LabError as error:
            yield Finding.of("Prometheus", error)
            yield from (Finding(n, SKIPPED, "Prometheus does not answer") for n in NAMES[1:])
            return
        about = fetch(f"{url.rstrip('/')}/api/v1/status/buildinfo", headers=headers, verify=verify)
        yield Finding("Prometheus", OK, f"{_version(about.text)} at {client.url} answers queries")
        yield clock("Prometheus's clock", about)
        try:
            told = client.get("targets", state="active")["activeTargets"]
        except LabError as error:
            yield Finding("Target", SKIPPED, f"this server does not tell of targets: {error}")
            yield samples(client, None)
            return
        targets = [Target.of(one) for one in told]
        ours = _ours(targets, app_url)
        if not targets and now - _started_at(client) < TARGETS_SECONDS:
            yield Finding("Target", WARNING, "Prometheus has just started", _WAIT)
            yield Finding("Samples", SKIPPED, "nothing was scraped yet")
            return
        yield from _findings(targets, ours, app_url, now)
        yield samples(client, ours[0] if ours else None)


def _started_at(client: Client) -> float:
    """Return when Prometheus started, in Unix seconds; 0 where it does not tell."""
    try:
        return datetime.fromisoformat(client.get("status/runtimeinfo")["startTime"]).timestamp()
    except (LabError, KeyError, ValueError):
        return 0.0


def _version(text: str) -> str:
    try:
        return f"version {json.loads(text)['data']['version']}"
    except (ValueError, KeyError, TypeError):
        return "a server of an unknown version"


def _ours(targets: Sequence[Target], app_url: str | None) -> list[Target]:
    """Return the app's own target, or else all of its job; the worst first."""
    host = urlsplit(app_url).netloc if app_url else ""
    by_address = [target for target in targets if urlsplit(target.address).netloc == host]
    found = by_address or [target for target in targets if target.job == JOB]
    return sorted(found, key=lambda target: (target.health == "up", target.scraped_at))


def _findings(
    targets: Sequence[Target], ours: Sequence[Target], app_url: str | None, now: float
) -> Iterator[Finding]:
    yield from (target.find(now) for target in ours[:MOST_TARGETS])
    if more := ours[MOST_TARGETS:]:
        up = sum(target.health == "up" for target in more)
        yield Finding("Target", OK, f"and {len(more)} more, {up} of them up")
    if not ours:
        others = f"{len(targets)} targets of other jobs" if targets else "no target at all"
        remedy = (
            f"add a target to the job {JOB} in its prometheus.yml; `labkit deploy-files DIR` "
            "writes an example."
        )
        yield Finding("Target", FAILED, f"Prometheus has {others}, not {app_url or JOB}", remedy)


def samples(client: Client, target: Target | None) -> Finding:
    """Look at whether samples arrive: the newest one's age, and how many came before it."""
    series, late = "up", LATE_SCRAPES * USUAL_INTERVAL_SECONDS + GRACE_SECONDS
    if target is not None:
        labels = f"job={json.dumps(target.job)}, instance={json.dumps(target.instance)}"
        series, late = f"up{{{labels}}}", target.late_seconds
    window = f"{round(late * 1000)}ms"
    age = _number(client, f"min(time() - timestamp({series}))")
    count = _number(client, f"max(count_over_time({series}[{window}]))") or 0
    stored = _number(client, f"max(scrape_samples_scraped{series.removeprefix('up')})")
    remedy = "see the row Target, and Prometheus's log: a full disk stores nothing."
    if age is None:
        return Finding("Samples", FAILED, f"none of {series} in the last 5 minutes", remedy)
    seen = f"the newest is {max(0.0, age):.1f} s old, {count:.0f} scrapes in {late:g} s"
    if age > late:
        return Finding("Samples", FAILED, f"no longer arrive: {seen}", remedy)
    if stored == 0:
        return Finding("Samples", FAILED, f"{seen}, but without a single sample", remedy)
    return Finding("Samples", OK, seen if stored is None else f"{seen}, {stored:.0f} samples each")


def _number(client: Client, promql: str) -> float | None:
    """Return the one value of an expression; None where it has none."""
    result = client.get("query", query=promql)["result"]
    return float(result[0]["value"][1]) if result else None
