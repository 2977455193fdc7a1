"""Scenarios: runs of traffic in a row, each with what to watch; data, and how to run them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from labkit.traffic.caps import positive
from labkit.traffic.open_loop import Constant, Controlled, Ramp
from labkit.traffic.shapes import Spike

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.shapes import Shape
    from labkit.traffic.stats import Stats

_LOOK_SECONDS = 0.1
# How long answers may still come after a step's last request: the longest timeout, and a bit.
_TRAILING_SECONDS = 3600.0


@dataclass(frozen=True)
class Step:
    """One run of a scenario.

    Args:
        what: what happens, in a word or two.
        watch: what can be seen meanwhile, and with which query.
        shape: what is sent when; it has an end.
        mix: to which endpoints, by name.
        pause_seconds: how long it is quiet afterwards, so that charts show where it ended.
        where: what is to be said of the endpoints.
    """

    what: str
    watch: str
    shape: Shape
    mix: str = "everyday"
    pause_seconds: float = 0.0
    where: str = ""

    @property
    def title(self) -> str:
        """What happens, and how much of it: "Timeouts: 5 users for 20 s on /slow"."""
        return " ".join(filter(None, [f"{self.what}: {self.shape}", self.where]))

    @property
    def seconds(self) -> float:
        """How long it takes with its pause, late answers apart."""
        return (self.shape.duration or 0.0) + self.pause_seconds

    def at_speed(self, speed: float) -> Step:
        """Return the same step, so many times shorter at the same rates and users."""
        return dataclasses.replace(
            self,
            shape=_shortened(self.shape, speed),
            pause_seconds=self.pause_seconds / speed,
        )


@dataclass(frozen=True)
class Scenario:
    """Steps in a row.

    Args:
        name: what to call it in a command.
        title: what to call it in a menu.
        words: what it shows, a sentence.
        steps: the runs, in order.
    """

    name: str
    title: str
    words: str
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """How long it takes, late answers apart."""
        return sum(step.seconds for step in self.steps)

    def at_speed(self, speed: float) -> Scenario:
        """Return the same scenario, so many times shorter at the same rates and users.

        Raises:
            ValueError: when the speed is not above 0.
        """
        positive("speed", speed)
        return dataclasses.replace(self, steps=tuple(step.at_speed(speed) for step in self.steps))


_BASIC = Step(
    what="Basic traffic",
    watch="the request rate rises to 4 a second: sum(rate(flask_requests_total[30s]))",
    shape=Controlled(120, 30.0),
)
_ERRORS = Step(
    what="An error burst",
    watch="errors of four types appear: sum by (error_type) (rate(flask_errors_total[30s]))",
    # Over the two minutes that HighErrorRate looks at, more than one request a second.
    shape=Controlled(160, 20.0),
    mix="errors",
    where="four of five to /error",
)
_TIMEOUTS = Step(
    what="Timeouts",
    watch="p95 climbs to 2 s: histogram_quantile(0.95, sum by (le) "
    "(rate(flask_request_duration_seconds_bucket[30s])))",
    shape=Spike(5, 20.0),
    mix="timeouts",
    where="on /slow",
)
_HEAVY = (
    Step(
        what="Heavy traffic builds up",
        watch="the rate climbs in a line: sum(rate(flask_requests_total[15s]))",
        shape=Ramp(5.0, 60.0, 10.0),
    ),
    Step(
        what="Heavy traffic",
        watch="requests in progress, the saturation: flask_requests_in_progress",
        shape=Spike(20, 20.0),
    ),
)
_CALM = Step(
    what="Back to normal",
    watch="the error ratio falls back while its window passes: "
    "flask_error_rate, beside sum(rate(flask_errors_total[30s]))",
    shape=Controlled(80, 20.0),
)


def _paused(*steps: Step) -> tuple[Step, ...]:
    return tuple(dataclasses.replace(step, pause_seconds=5.0) for step in steps)


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("basic", "Basic traffic", "An everyday load, evenly spaced.", (_BASIC,)),
        Scenario("errors", "Error burst", "Most requests fail, each in its own way.", (_ERRORS,)),
        Scenario("timeouts", "Timeouts", "Slow answers, three in ten too late.", (_TIMEOUTS,)),
        Scenario("heavy", "Heavy traffic", "A load that builds up, then a spike.", _HEAVY),
        Scenario(
            "full",
            "The full demonstration",
            "All of these in a row, with pauses, and the way back to normal.",
            (*_paused(_BASIC, _ERRORS, _TIMEOUTS, _HEAVY[0], _HEAVY[1]), _CALM),
        ),
    )
}


class Send(Protocol):
    """Starts a run, as ``lab.send`` does."""

    def __call__(self, shape: Shape, *, mix: str) -> TrafficRun: ...  # noqa: D102 - see the class


@dataclass(frozen=True, repr=False)
class Outcome:
    """What came of one step."""

    step: Step
    stats: Stats

    def __repr__(self) -> str:
        return f"<{self.step.title}: {self.stats!r}>"


def run_scenario(
    send: Send,
    scenario: Scenario,
    *,
    tell: Callable[[Step, TrafficRun | None], None],
    stop_event: threading.Event,
) -> list[Outcome]:
    """Run a scenario to its end in the calling thread, or until it is stopped.

    Args:
        send: starts a run and returns its handle.
        scenario: what to run; ``scenario.at_speed(4)`` is one of a quarter of the length.
        tell: called ten times a second with the step, and its run or None during its pause.
        stop_event: when set, the step that goes on is stopped and the rest is left out.

    Returns:
        What came of each step that was begun; fewer than the scenario has when it was stopped.

    Raises:
        LabError: when a run could not be started or broke off.
    """
    outcomes: list[Outcome] = []
    for step in scenario.steps:
        if stop_event.is_set():
            break
        run = send(step.shape, mix=step.mix)
        outcomes.append(Outcome(step, _finish(run, step, tell, stop_event)))
        _pause(step, tell, stop_event)
    return outcomes


def _finish(
    run: TrafficRun,
    step: Step,
    tell: Callable[[Step, TrafficRun | None], None],
    stop_event: threading.Event,
) -> Stats:
    try:
        while run.running and not stop_event.is_set():
            tell(step, run)
            stop_event.wait(_LOOK_SECONDS)
        return run.stop() if stop_event.is_set() else run.wait(_TRAILING_SECONDS)
    except BaseException:
        if run.running:
            run.stop()
        raise


def _pause(
    step: Step, tell: Callable[[Step, TrafficRun | None], None], stop_event: threading.Event
) -> None:
    for _ in range(round(step.pause_seconds / _LOOK_SECONDS)):
        if stop_event.is_set():
            return
        tell(step, None)
        stop_event.wait(_LOOK_SECONDS)


def _shortened(shape: Shape, speed: float) -> Shape:
    """Return a shape that takes ``1/speed`` of the time at the same rates and users."""
    if isinstance(shape, Controlled):
        requests = max(1, round(shape.requests / speed))
        return Controlled(requests, shape.seconds / speed)
    if isinstance(shape, Constant | Ramp | Spike):
        return dataclasses.replace(shape, seconds=shape.seconds / speed)
    raise ValueError(f"a step takes a Controlled, Constant, Ramp or Spike, not {shape!r}")
