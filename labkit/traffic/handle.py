"""``TrafficRun``: the handle to one run of traffic."""

from __future__ import annotations

import dataclasses
import threading
import time
from html import escape
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.traffic.caps import positive
from labkit.traffic.shapes import Constant
from labkit.traffic.stats import Recorder, Stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.traffic.mixes import Mix
    from labkit.traffic.shapes import Shape

_SLICE_SECONDS = (
    0.2  # waits come in slices, as a lock held for long cannot be interrupted on Windows
)


class StillRunning(LabError, TimeoutError):
    """A run did not end within the time that was given for it."""


class TrafficRun:
    """One run of traffic; made by ``Worker.start``.

    It goes on by itself: interrupting a ``wait`` leaves it running, ``stop`` ends it.

    Attributes:
        shape: what is sent when.
        mix: to which paths.
        seed: what the draws began from; the same seed draws the same paths and waits.
        url: the target.
        started_at: when it started, in Unix seconds.
        ended_at: when it ended, in Unix seconds; None while it runs.
        error: why it broke off, as an error that can be shown or raised; None otherwise.
    """

    def __init__(
        self,
        shape: Shape,
        mix: Mix,
        seed: int,
        url: str,
        control: Callable[..., None],
    ) -> None:
        self.shape = shape
        self.mix = mix
        self.seed = seed
        self.url = url
        self.started_at = time.time()
        self.ended_at: float | None = None
        self.error: LabError | None = None
        self._control = control
        self._recorder = Recorder(mix.paths, shape.duration)
        self._begin = time.monotonic()
        self._seconds: float | None = None  # how long it took, once it has ended
        self._begun = threading.Event()
        self._ended = threading.Event()

    @property
    def name(self) -> str:
        """The kind of its shape: "controlled", "spike", …."""
        return self.shape.name

    @property
    def running(self) -> bool:
        """Whether it still goes on."""
        return not self._ended.is_set()

    @property
    def seconds(self) -> float:
        """How long it has gone on, or took."""
        return time.monotonic() - self._begin if self._seconds is None else self._seconds

    @property
    def seconds_left(self) -> float | None:
        """How long its shape goes on from now; None for a run without an end.

        It is 0 while the last answers are waited for.
        """
        if not self.running:
            return 0.0
        duration = self.shape.duration
        return None if duration is None else max(0.0, duration - self.seconds)

    @property
    def progress(self) -> float | None:
        """How much of its time has passed, from 0 to 1; None for a run without an end."""
        duration = self.shape.duration
        return None if duration is None else min(1.0, self.seconds / duration)

    @property
    def stats(self) -> Stats:
        """What happened up to the worker's last report, at most a quarter of a second ago."""
        return self._recorder.stats()

    def wait(self, timeout: float | None = None) -> Stats:
        """Wait until it has ended; return what happened.

        A run without an end is waited for until someone stops it. An interrupt (Ctrl-C, or
        "interrupt kernel") ends the wait and leaves the run going.

        Args:
            timeout: how many seconds to wait at most; None for as long as it takes.

        Raises:
            StillRunning: when it goes on after ``timeout``; it is not stopped by that.
            WorkerDied: when the sending process ended by itself.
            LabError: when the run broke off for another reason.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._wait_slice(deadline):
            if deadline is not None and time.monotonic() >= deadline:
                raise StillRunning(
                    f"The {self.name} run goes on after {timeout:g} s.",
                    evidence=repr(self.stats),
                    next_step="wait longer, or end it with run.stop().",
                )
        if self.error is not None:
            raise self.error
        return self.stats

    def stop(self, timeout: float = 5.0) -> Stats:
        """End it now; return what happened. Requests in flight are cancelled. Idempotent.

        Args:
            timeout: how many seconds the worker has to confirm it; it takes a few milliseconds.

        Raises:
            StillRunning: when the worker does not confirm it in time.
            WorkerDied: when the sending process ended by itself.
        """
        if self.running:
            self._control(do="stop")
        return self.wait(timeout)

    def set_rate(self, rate: float) -> None:
        """Change the rate of a running ``Constant``; its end stays where it was.

        Args:
            rate: requests per second.

        Raises:
            ValueError: when the shape is another one or the rate is out of range.
            LabError: when it has ended.
            WorkerDied: when the sending process ended by itself.
        """
        if not isinstance(self.shape, Constant):
            raise ValueError(  # noqa: TRY004 - the argument of another call is wrong, not this one
                f"only a Constant has a rate that can be changed; this run is {self.shape!r}"
            )
        positive("rate", rate)
        if not self.running:
            raise LabError(
                f"The {self.name} run has ended.", next_step="start another one at that rate."
            )
        self._control(do="set_rate", rate=float(rate))
        self.shape = dataclasses.replace(self.shape, rate=rate)

    def take(self, message: dict[str, Any]) -> None:
        """Take in an event that the worker reported; called by the worker's handle."""
        event = message["event"]
        if "totals" in message:
            self._recorder.add(message["totals"], message["elapsed"])
        if event == "started":
            self.started_at, self._begin = time.time(), time.monotonic()
            self._begun.set()
        if event == "ended":
            why = message.get("why", "")
            error = LabError(f"The {self.name} run broke off: {why}.") if why else None
            self.end(message["state"], error, message.get("elapsed"))

    def end(self, state: str, error: LabError | None = None, seconds: float | None = None) -> None:
        """Note that it is over, after so many seconds; called by the worker's handle."""
        self._seconds = self.seconds if seconds is None else seconds
        self.ended_at, self.error = time.time(), error
        self._recorder.end(state)
        self._ended.set()
        self._begun.set()

    def wait_begun(self, timeout: float) -> bool:
        """Wait until it has begun or failed to; return whether it did within ``timeout``."""
        return self._begun.wait(timeout)

    def _wait_slice(self, deadline: float | None) -> bool:
        left = _SLICE_SECONDS if deadline is None else deadline - time.monotonic()
        return self._ended.wait(min(_SLICE_SECONDS, max(0.0, left)))

    def __repr__(self) -> str:
        return f"<TrafficRun {self.name}: {self.shape}, mix {self.mix.name}; {self.stats!r}>"

    def _repr_html_(self) -> str:
        what = f"<b>{escape(self.name)}: {escape(str(self.shape))}</b>"
        where = f", mix {escape(self.mix.name)}, to {escape(self.url)}"
        error = f"<pre>{escape(str(self.error))}</pre>" if self.error else ""
        return f"<div>{what}{where}{self.stats._repr_html_()}{error}</div>"
