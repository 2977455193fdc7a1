"""What the control panel knows and does, without a browser."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from traitlets import Bool, Enum, Float, HasTraits, Int, Unicode, validate

from labkit.errors import LabError, WorkerDied
from labkit.traffic.mixes import MIXES
from labkit.traffic.scenarios import SCENARIOS
from labkit.traffic.shapes import THINK_SECONDS, Continuous, Controlled, Spike

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.traffic.background import Background
    from labkit.traffic.run import TrafficRun
    from labkit.traffic.scenario_run import ScenarioRun
    from labkit.traffic.scenarios import Step
    from labkit.traffic.shapes import Shape

MAX_REQUESTS = 100_000
MAX_SECONDS = 3600
MAX_THREADS = 100
FIRST_ERROR_STATUS = 400
BACKGROUND_LOOK_SECONDS = 1.0


class ControlledLab(Protocol):
    """What the panel controls; a `Lab` is one."""

    runs: list[TrafficRun]
    scenarios: list[ScenarioRun]

    # Each as in Lab.
    @property
    def faults(self) -> Any: ...  # noqa: D102
    @property
    def app_running(self) -> bool: ...  # noqa: D102
    def send(self, shape: Shape, *, mix: str) -> TrafficRun: ...  # noqa: D102
    def scenario(self, name: str) -> ScenarioRun: ...  # noqa: D102
    def background(self, intensity: str, *, mix: str) -> Background: ...  # noqa: D102
    def background_traffic(self) -> Background | None: ...  # noqa: D102
    def stop_app(self) -> None: ...  # noqa: D102
    def start_app(self) -> None: ...  # noqa: D102
    def restart_app(self) -> None: ...  # noqa: D102


def readable_faults(lab: ControlledLab) -> Any:
    """Return the app's faults, or None where there is no app, or one without faults."""
    try:
        faults = lab.faults
        faults.to_dict()
    except LabError:
        return None
    return faults


class ControlModel(HasTraits):
    """The panel's inputs, and what runs; each action keeps the rest true.

    Args:
        lab: what is controlled. What runs in it is shown, whoever started it.
    """

    requests = Int(100)
    seconds = Int(60)
    intensity = Enum(list(THINK_SECONDS), "normal")
    threads = Int(5)
    spike_seconds = Int(30)
    mix = Enum(list(MIXES), "everyday")
    scenario = Enum(list(SCENARIOS), "full")

    running = Bool(False)
    progress = Float(0.0)
    time_left = Unicode("")
    summary = Unicode("Nothing has been sent yet.")
    notice = Unicode("")
    failed = Bool(False)
    app_running = Bool(True)
    in_background = Bool(False)
    background_summary = Unicode("")
    open = Bool(True)

    def __init__(self, lab: ControlledLab) -> None:
        super().__init__()
        self._lab = lab
        self._shown: TrafficRun | None = None  # the run whose end has not been shown yet
        self._told_of_death = False
        self._watched = ""  # what a scenario's step says to watch, while it is on show
        self._looked_at = float("-inf")  # when the background was last looked at

    @validate("requests", "seconds", "threads", "spike_seconds")
    def _in_range(self, proposal: Any) -> int:
        """A value from outside the accepted range becomes the nearest accepted one."""
        top = {"requests": MAX_REQUESTS, "threads": MAX_THREADS}
        limit = top.get(proposal["trait"].name, MAX_SECONDS)
        return max(1, min(int(proposal["value"]), limit))

    def shape(self, kind: str) -> Shape:
        """Return the shape that the inputs describe; kind is traffic, continuous or spike."""
        if kind == "traffic":
            return Controlled(self.requests, self.seconds)
        if kind == "continuous":
            return Continuous(self.intensity)
        return Spike(self.threads, self.spike_seconds)

    # --- Actions ----------------------------------------------------------------------------

    def start(self, kind: str) -> None:
        """Start traffic, continuous, spike or scenario, or say why not."""
        self.refresh()
        if busy := self._busy():
            left = f", {self.time_left}" if self.time_left else ""
            self.tell(f"Already running: {busy.name}{left}. Press Stop first, or let it end.")
        elif kind == "scenario":
            self._try(lambda: self._lab.scenario(self.scenario))
        else:
            self._try(lambda: self._send(self.shape(kind)))

    def stop(self) -> None:
        """Stop all that was started from the notebook, or say that nothing runs."""
        active: list[ScenarioRun | TrafficRun] = [*self._scenarios(), *self._active()]
        for run in active:
            self._try(run.stop)
        self.refresh()
        if not active:
            self.tell("Nothing is running.")
        elif not self.failed:
            self.tell("Stopped.")

    def toggle_background(self) -> None:
        """Start the traffic that outlives the notebook, or stop it."""
        found = self._lab.background_traffic()
        if found is not None and found.running:
            self._try(found.stop)
        else:
            self._try(lambda: self._lab.background(self.intensity, mix=self.mix))
        self._looked_at = float("-inf")
        self.refresh()

    def toggle_app(self) -> None:
        """Stop the app, so that its target goes down; or start it again."""
        self._try(self._lab.stop_app if self._lab.app_running else self._lab.start_app)
        self.refresh()

    def restart_app(self) -> None:
        """Start the app anew: its counters begin at 0."""
        self._try(self._lab.restart_app)
        self.refresh()

    def set_faults(self, **fields: float) -> bool:
        """Change the app's faults; return whether it accepted them."""
        return self._try(lambda: self._lab.faults.update(**fields))

    def _try(self, action: Callable[[], object]) -> bool:
        """Do it and clear the notice, or show why it failed; return whether it was done."""
        if not self.open:
            return False
        try:
            action()
        except (LabError, ValueError) as error:
            self.fail(error)
            return False
        self.tell("")
        self.refresh()
        return True

    def _send(self, shape: Shape) -> None:
        """Send; a dead worker that the panel has already reported is not reported twice."""
        told, self._told_of_death = self._told_of_death, False
        try:
            self._shown = self._lab.send(shape, mix=self.mix)
        except WorkerDied:
            if not told:
                raise
            self._shown = self._lab.send(shape, mix=self.mix)

    # --- What runs --------------------------------------------------------------------------

    def _active(self) -> list[TrafficRun]:
        return [run for run in self._lab.runs if run.running]

    def _scenarios(self) -> list[ScenarioRun]:
        return [run for run in self._lab.scenarios if run.running]

    def _busy(self) -> TrafficRun | ScenarioRun | None:
        scenarios, active = self._scenarios(), self._active()
        return scenarios[0] if scenarios else active[-1] if active else None

    def refresh(self) -> None:
        """Take over how far things are."""
        if not self.open:
            return
        self._refresh_run()
        self.app_running = self._lab.app_running
        if time.monotonic() - self._looked_at >= BACKGROUND_LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._refresh_background()

    def _refresh_run(self) -> None:
        active, scenarios = self._active(), self._scenarios()
        run = active[-1] if active else self._shown
        if run is not None:
            ended = not run.running  # asked first: what it reports afterwards is complete
            self._shown = None if ended else run
            self.summary = _summary(run, len(active) - 1)
            if ended and run.error is not None:
                self._told_of_death = isinstance(run.error, WorkerDied)
                self.fail(run.error)
        leading = scenarios[0] if scenarios else run
        self.running = bool(active or scenarios)
        if leading is not None:
            self.progress = leading.progress or 0.0
            self.time_left = _time_left(leading) if self.running else ""
        self._refresh_watch(scenarios[0].step if scenarios else None)

    def _refresh_watch(self, step: Step | None) -> None:
        """Say what happens in a scenario and what to watch; no longer once it is over."""
        if step is not None:
            self._watched = f"{step.title}. Watch: {step.watch}"
            self.tell(self._watched)
        elif self._watched and self.notice == self._watched:
            self._watched = ""
            self.tell("")

    def _refresh_background(self) -> None:
        found = self._lab.background_traffic()
        status = None if found is None else found.status()
        self.in_background = status is not None and status.running
        self.background_summary = "" if status is None else _background_words(status)

    # --- Words ------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        """Show a line that is no failure."""
        self.failed = False
        self.notice = text

    def fail(self, error: BaseException) -> None:
        """Show a failure in its own words."""
        self.failed = True
        self.notice = str(error)

    def close(self, text: str) -> None:
        """Refuse everything from now on, saying why."""
        self.open = False
        self.running = False
        self.time_left = ""
        self.tell(text)


def _time_left(run: TrafficRun | ScenarioRun) -> str:
    if run.seconds_left is None:
        return "until you stop it"
    if run.seconds_left < 1:
        return "last answers"
    return f"{run.seconds_left:.0f} s left"


def _summary(run: TrafficRun, others: int) -> str:
    """One line: what was sent, what came back, how fast."""
    stats = run.stats
    errors = sum(count for status, count in stats.by_status.items() if status >= FIRST_ERROR_STATUS)
    share = f" ({100 * errors / stats.responses:.0f} %)" if stats.responses else ""
    parts = [
        f"{run.name}: sent {stats.sent:,}",
        f"errors {errors:,}{share}",
        f"{stats.rate:.1f} responses/s",
    ]
    if lost := stats.timed_out + stats.failed:
        why = ", ".join(stats.failed_by_reason)
        parts.append(f"without an answer {lost:,}" + (f" ({why})" if why else ""))
    if others > 0:
        parts.append(f"and {others} more")
    return " · ".join(parts)


def _background_words(status: Any) -> str:
    if status.running and status.silent_since is not None:
        return f"no answer: {status.last_error}"
    if status.running:
        return f"{status.intensity}, {status.sent:,} sent"
    return "" if status.state == "stopped" else f"ended: {status.state}"
