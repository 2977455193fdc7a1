"""Alerts: how they stand, waiting for one, and being called when one fires or resolves."""

from __future__ import annotations

import math
import re
import threading
import time as clock
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from labkit.promql.client import Client

INACTIVE, PENDING, FIRING, RESOLVED = "inactive", "pending", "firing", "resolved"
STATES = (FIRING, PENDING, INACTIVE)  # the most urgent one first
COLUMNS = ("name", "state", "since", "value", "severity", "summary", "labels")
CLOSE_SECONDS = 5.0

# The parts of a condition such as `a > 0.2 and b > 1`, and what one of them compares.
_AND = re.compile(r"\s+(?:and|unless)\s+(?:(?:on|ignoring)\s*\([^)]*\)\s*)?")
_COMPARED = re.compile(r"(.+?)\s*(?:[<>]=?|[=!]=)\s*[-+]?[\d.]+(?:e[-+]?\d+)?", re.DOTALL)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)  # how Prometheus writes that a rule was not evaluated yet


@dataclass(frozen=True)
class Alert:
    """An alert as it stands: one for each series that meets its condition, or one that is idle.

    Attributes:
        name: of its rule.
        state: inactive, pending (its condition holds, but not for long enough), firing; or
            resolved, where it is told to a callback.
        labels: those of the series and of the rule.
        value: of its expression; NaN where nothing meets the condition, and the last one where
            it has resolved.
        at: when Prometheus saw this, at the rule's latest evaluation.
        since: since when its condition has held; None where it does not.
        severity: the label of that name.
        summary: what it means, in the rule's words.
        description: more of them, where the rule has any.
        expression: the condition.
        for_seconds: how long that has to hold until it fires.
        error: why the rule could not be evaluated; empty as a rule.
    """

    name: str
    state: str
    labels: Mapping[str, str]
    value: float
    at: datetime
    since: datetime | None = None
    severity: str = ""
    summary: str = ""
    description: str = ""
    expression: str = field(default="", repr=False)
    for_seconds: float = field(default=0.0, repr=False)
    error: str = field(default="", repr=False)

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What stays the same from its first evaluation to its end."""
        return self.name, tuple(sorted(self.labels.items()))

    def __str__(self) -> str:
        return f"{self.name} is {self.state}: {self.summary}"


def read(client: Client) -> list[Alert]:
    """Return every alert that a Prometheus has a rule for, the most urgent ones first.

    Raises:
        QueryError: when Prometheus is not reached or has no rules to tell of.
    """
    groups = client.get("rules", type="alert")["groups"]
    found = [alert for group in groups for rule in group["rules"] for alert in _alerts(rule)]
    return sorted(found, key=lambda alert: STATES.index(alert.state))


def frame(alerts: Iterable[Alert]) -> pd.DataFrame:
    """Return alerts as a frame.

    Returns:
        One row an alert, with the columns ``name``, ``state``, ``since`` (UTC; since when its
        condition has held, NaT where it does not), ``value`` (NaN likewise), ``severity``,
        ``summary`` and ``labels`` (a dict). ``attrs["warnings"]`` names rules that could not be
        evaluated, where there are any.
    """
    import pandas as pd

    rows = list(alerts)
    columns = {name: [getattr(alert, name) for alert in rows] for name in COLUMNS}
    columns["since"] = pd.to_datetime(columns["since"], utc=True)  # type: ignore[assignment] # an index, where the others are lists
    made = pd.DataFrame(columns)
    if warnings := [f"{alert.name}: {alert.error}" for alert in rows if alert.error]:
        made.attrs["warnings"] = list(dict.fromkeys(warnings))
    return made


def wait_for(
    client: Client,
    name: str,
    state: str = FIRING,
    timeout: float = 60.0,
    alive: Callable[[], None] | None = None,
) -> pd.Series[Any]:
    """Wait until an alert is in a state; return its row, the first one where there are several.

    Args:
        client: where to ask.
        name: the alert.
        state: firing, pending or inactive; what fires is not pending any more.
        timeout: how many seconds to wait.
        alive: called before each look; what it raises ends the wait.

    Raises:
        LabError: there is no such alert, or the time is up, with how it stands now.
        ValueError: there is no such state.
    """
    if state not in STATES:
        raise ValueError(f"there is no state {state!r}; there are {', '.join(STATES)}")
    deadline = clock.monotonic() + timeout
    while True:
        if alive is not None:
            alive()
        of_name = _named(read(client), name)
        if found := [alert for alert in of_name if alert.state == state]:
            return frame(found).iloc[0]
        if clock.monotonic() >= deadline:
            raise _still_waiting(client, of_name, state, timeout)
        clock.sleep(max(0.0, min(client.scrape_interval / 4, deadline - clock.monotonic())))


class AlertWatch:
    """Calls a function once for each alert that fires or resolves, until it is closed.

    What fires already when the watch begins is not told, but its end is. A thread of its own asks
    twice in each evaluation interval; while Prometheus does not answer, it goes on trying.

    Args:
        client: where to ask.
        function: takes an `Alert` whose state is firing or resolved.
        on_error: takes what the function raises; the watch goes on.

    Raises:
        QueryError: when Prometheus is not reached.
    """

    def __init__(
        self,
        client: Client,
        function: Callable[[Alert], object],
        on_error: Callable[[BaseException], object],
    ) -> None:
        self._client = client
        self._function = function
        self._on_error = on_error
        self._closing = threading.Event()
        self.problem: LabError | None = None
        self._firing = _firing(read(client))
        self._thread = threading.Thread(target=self._watch, name="labkit-alerts", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._closing.wait(self._client.scrape_interval / 2):
            try:
                alerts = read(self._client)
            except LabError as error:
                self.problem = error
            except Exception as error:  # noqa: BLE001 - a thread has no caller; its repr tells
                self.problem = LabError("The answer about alerts is odd.", evidence=repr(error))
            else:
                self.problem = None
                self._compare(alerts)

    def _compare(self, alerts: Sequence[Alert]) -> None:
        before, self._firing = self._firing, _firing(alerts)
        for identity, alert in self._firing.items():
            if identity not in before:
                self._tell(alert)
        evaluated = {alert.name: alert.at for alert in alerts}
        for identity, alert in before.items():
            if identity not in self._firing:
                self._tell(_resolved(alert, evaluated.get(alert.name)))

    def _tell(self, alert: Alert) -> None:
        if self._closing.is_set():
            return
        try:
            self._function(alert)
        except Exception as error:  # noqa: BLE001 - a person's code: the lab's next call raises it
            self._on_error(error)

    def close(self) -> None:
        """End the watch; a call that goes on is waited for, 5 s at most. Idempotent."""
        self._closing.set()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def __enter__(self) -> AlertWatch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closing.is_set() else f"{len(self._firing)} firing"
        return f"<AlertWatch {state}{f': {self.problem.message}' if self.problem else ''}>"


def _alerts(rule: Mapping[str, Any]) -> list[Alert]:
    active = [_active(rule, told) for told in rule.get("alerts") or ()]
    return active or [_alert(rule, INACTIVE, rule.get("labels", {}), rule.get("annotations", {}))]


def _active(rule: Mapping[str, Any], told: Mapping[str, Any]) -> Alert:
    labels = {name: text for name, text in told["labels"].items() if name != "alertname"}
    since, value = _time(told["activeAt"]), float(told["value"])
    return _alert(rule, told["state"], labels, told["annotations"], since=since, value=value)


def _alert(
    rule: Mapping[str, Any],
    state: str,
    labels: Mapping[str, str],
    words: Mapping[str, str],
    *,
    since: datetime | None = None,
    value: float = math.nan,
) -> Alert:
    description = words.get("description", "")
    return Alert(
        name=rule["name"],
        state=state,
        labels=dict(labels),
        value=value,
        at=_time(rule["lastEvaluation"]) if rule.get("lastEvaluation") else _NEVER,
        since=since,
        severity=labels.get("severity", ""),
        summary=words.get("summary") or description or rule["query"],
        description=description,
        expression=rule["query"],
        for_seconds=float(rule.get("duration", 0)),
        error=rule.get("lastError", ""),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _firing(alerts: Iterable[Alert]) -> dict[tuple[str, tuple[tuple[str, str], ...]], Alert]:
    return {alert.identity: alert for alert in alerts if alert.state == FIRING}


def _resolved(alert: Alert, at: datetime | None) -> Alert:
    from dataclasses import replace

    return replace(alert, state=RESOLVED, at=at or datetime.now(UTC))


def _named(alerts: Sequence[Alert], name: str) -> list[Alert]:
    if of_name := [alert for alert in alerts if alert.name == name]:
        return of_name
    names = ", ".join(sorted({alert.name for alert in alerts}))
    raise LabError(
        f"There is no alert {name!r}; {f'there are {names}' if names else 'there is none at all'}.",
        next_step="take one of these; lab.add_rules(text) adds more.",
    )


def _still_waiting(client: Client, alerts: Sequence[Alert], state: str, timeout: float) -> LabError:
    now = alerts[0]
    held = f", since {now.since:%H:%M:%S} UTC" if now.since else ""
    lines = [f"its condition: {' '.join(now.expression.split())}"]
    lines += [f"{words} = {value:g}" for words, value in _values(client, now.expression)]
    if now.for_seconds:
        lines.append(f"it has to hold for {now.for_seconds:g} s")
    if now.error:
        lines.append(f"it could not be evaluated: {now.error}")
    return LabError(
        f"{now.name} is {now.state}{held}, not {state}, after {timeout:g} s.",
        evidence="\n".join(lines),
        next_step="send traffic that meets the condition, or wait longer with timeout=….",
    )


def _values(client: Client, expression: str) -> list[tuple[str, float]]:
    """Return what a condition compares now: the left sides of its comparisons with numbers."""
    found = []
    for part in _AND.split(expression):
        if compared := _COMPARED.fullmatch(part.strip()):
            side = " ".join(compared[1].split())
            try:
                values = client.query(side)["value"]
            except QueryError:  # no expression of its own, such as half of one in parentheses
                continue
            found += [(side, float(value)) for value in values[:1]]
    return found
