"""``ScenarioRun``: a scenario that goes on in the background of a notebook."""

from __future__ import annotations

import threading
import time
from html import escape
from typing import TYPE_CHECKING

from labkit.traffic.handle import StillRunning
from labkit.traffic.scenarios import run_scenario

if TYPE_CHECKING:
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.scenarios import Outcome, Scenario, Send, Step

_SLICE_SECONDS = 0.2  # short waits can be interrupted on every system
_STOP_SECONDS = 10.0


class ScenarioRun:
    """A scenario that runs by itself; it returns at once, as single runs do.

    Args:
        send: starts a run, as ``lab.send`` does.
        scenario: what to run.

    Attributes:
        scenario: what is run.
        step: what happens now; None before the first and after the last step.
        outcomes: what came of each step that was begun, once it is over.
        started_at: when it started, in Unix seconds.
        ended_at: when it ended, in Unix seconds; None while it runs.
        error: why it broke off; None otherwise.
    """

    def __init__(self, send: Send, scenario: Scenario) -> None:
        self.scenario = scenario
        self.step: Step | None = None
        self.outcomes: list[Outcome] = []
        self.started_at = time.time()
        self.ended_at: float | None = None
        self.error: Exception | None = None
        self._send = send
        self._begin = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labkit-scenario", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What the scenario is called."""
        return self.scenario.name

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    @property
    def seconds_left(self) -> float:
        """How long it still takes, in seconds, late answers apart; 0 once it is over."""
        if not self.running:
            return 0.0
        return max(0.0, self.scenario.seconds - (time.monotonic() - self._begin))

    @property
    def progress(self) -> float:
        """How much of its time has passed, from 0 to 1."""
        return 1.0 - self.seconds_left / self.scenario.seconds

    def wait(self, timeout: float | None = None) -> list[Outcome]:
        """Wait until it is over; return what came of each step.

        Args:
            timeout: how many seconds to wait at most; None for as long as it takes. An interrupt
                ends the wait and leaves the scenario going.

        Raises:
            StillRunning: when it goes on after ``timeout``.
            Exception: what it broke off with, such as a `LabError`, or a ValueError of the caps.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.running:
            self._thread.join(_SLICE_SECONDS)
            if deadline is not None and time.monotonic() >= deadline and self.running:
                raise StillRunning(
                    f"The scenario {self.name!r} goes on after {timeout:g} s.",
                    next_step="wait longer, or end it with stop().",
                )
        if self.error is not None:
            raise self.error
        return self.outcomes

    def stop(self) -> list[Outcome]:
        """End it now, with the step that goes on; return what came of the steps. Idempotent."""
        self._stop.set()
        return self.wait(_STOP_SECONDS)

    def close(self) -> None:
        """End it as `stop` does, without raising what it broke off with earlier."""
        self._stop.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self.outcomes = run_scenario(
                self._send, self.scenario, tell=self._tell, stop_event=self._stop
            )
        except Exception as error:  # noqa: BLE001 - a thread has no caller; `wait` raises it
            self.error = error
        finally:
            self.step = None
            self.ended_at = time.time()

    def _tell(self, step: Step, run: TrafficRun | None) -> None:  # noqa: ARG002 - of the protocol
        self.step = step

    def __repr__(self) -> str:
        if self.step is not None:
            return f"<ScenarioRun {self.name}: {self.step.title}; {self.seconds_left:.0f} s left>"
        return f"<ScenarioRun {self.name}: {len(self.outcomes)} steps done>"

    def _repr_html_(self) -> str:
        words = self.step or self.scenario
        watch = f"<br><i>Watch:</i> {escape(self.step.watch)}" if self.step else ""
        return f"<b>{escape(self.scenario.title)}</b>: {escape(words.title)}{watch}"
