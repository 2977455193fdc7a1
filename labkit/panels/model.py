"""What the control panel knows and does, without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from traitlets import Bool, Enum, Float, HasTraits, Int, Unicode, validate

from labkit.errors import LabError, WorkerDied
from labkit.traffic.mixes import MIXES
from labkit.traffic.shapes import THINK_SECONDS, Continuous, Controlled, Spike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from labkit.traffic.run import TrafficRun
    from labkit.traffic.shapes import Shape

MAX_REQUESTS = 100_000
MAX_SECONDS = 3600
MAX_THREADS = 100
FIRST_ERROR_STATUS = 400
KINDS = ("traffic", "continuous", "spike")


class Send(Protocol):
    """Starts a run and returns at once, as `Lab.send` does."""

    def __call__(self, shape: Shape, *, mix: str) -> TrafficRun:
        """Send the shape to the mix's endpoints."""
        ...


class ControlModel(HasTraits):
    """The panel's inputs, and what runs; `start`, `stop` and `refresh` keep the rest true.

    Args:
        send: starts a run.
        runs: the lab's runs, oldest first, whoever started them; it grows while we look.
    """

    requests = Int(100)
    seconds = Int(60)
    intensity = Enum(list(THINK_SECONDS), "normal")
    threads = Int(5)
    spike_seconds = Int(30)
    mix = Enum(list(MIXES), "everyday")

    running = Bool(False)
    progress = Float(0.0)
    time_left = Unicode("")
    summary = Unicode("Nothing has been sent yet.")
    notice = Unicode("")
    failed = Bool(False)
    open = Bool(True)

    def __init__(self, send: Send, runs: Sequence[TrafficRun]) -> None:
        super().__init__()
        self._send = send
        self._runs = runs
        self._shown: TrafficRun | None = None  # the run whose end has not been shown yet
        self._told_of_death = False

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

    def active(self) -> list[TrafficRun]:
        """Return what runs now, whoever started it."""
        return [run for run in self._runs if run.running]

    def start(self, kind: str) -> None:
        """Start a run of that kind, or say why not."""
        if not self.open:
            return
        self.refresh()
        if active := self.active():
            left = f" ({self.time_left})" if self.time_left else ""
            self.tell(f"A {active[-1].name} is running{left}: press Stop first, or let it end.")
            return
        try:
            self._shown = self._send_told(self.shape(kind))
        except (LabError, ValueError) as error:
            self.fail(error)
            return
        self.tell("")
        self.refresh()

    def _send_told(self, shape: Shape) -> TrafficRun:
        """Send; a dead worker that the panel has already reported is not reported twice."""
        told, self._told_of_death = self._told_of_death, False
        try:
            return self._send(shape, mix=self.mix)
        except WorkerDied:
            if not told:
                raise
        return self._send(shape, mix=self.mix)

    def stop(self) -> None:
        """Stop all that runs, or say that nothing does."""
        active = self.active()
        try:
            for run in active:
                run.stop()
        except LabError as error:
            self.fail(error)
            return
        self.refresh()
        self.tell("Stopped." if active else "Nothing is running.")

    def refresh(self) -> None:
        """Take over how far the newest run is."""
        active = self.active()
        run = active[-1] if active else self._shown
        if run is None:
            return
        ended = not run.running  # asked first: what it reports afterwards is complete
        self._shown = None if ended else run
        self.running = not ended
        self.progress = 0.0 if run.progress is None else run.progress
        self.time_left = "" if ended else _time_left(run)
        self.summary = _summary(run, len(active) - 1)
        if ended and run.error is not None:
            self._told_of_death = isinstance(run.error, WorkerDied)
            self.fail(run.error)

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


def _time_left(run: TrafficRun) -> str:
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
        parts.append(f"without an answer {lost:,}")
    if others > 0:
        parts.append(f"and {others} more")
    return " · ".join(parts)
