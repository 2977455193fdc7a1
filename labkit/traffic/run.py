"""``Worker``: the process that sends the traffic, and the ``TrafficRun`` handles it gives out."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import secrets
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, StartupTimeout, WorkerDied
from labkit.processes import ChildProcess
from labkit.traffic import protocol
from labkit.traffic.caps import Caps, positive
from labkit.traffic.handle import StillRunning, TrafficRun
from labkit.traffic.mixes import Mix, find_mix
from labkit.traffic.shapes import ClosedLoop, Constant, OpenLoop, Shape, to_dict
from labkit.traffic.target import find_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["StillRunning", "TrafficRun", "Worker"]

START_SECONDS = 15.0
"""How long the worker may take to confirm a run; a loaded machine starts Python slowly."""

MAX_TIMEOUT_SECONDS = 3600.0
_CLOSE_SECONDS = 2.0
_SIGNALS = 128  # exit codes above are this plus the signal's number


class Worker:
    """The process that sends all traffic of a lab, and the runs in it.

    It is started at once, and ends when this process ends, however that happens. Threads may
    share it.

    Args:
        log: the file that takes what it logs: a line for each start and end of a run.
        caps: the limits on what it sends.

    Raises:
        LabError: when the process cannot be started.
    """

    def __init__(self, *, log: Path, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self._lock = threading.Lock()  # of the runs
        self._write_lock = threading.Lock()  # another, so that a full pipe stops no report
        self._runs: dict[int, TrafficRun] = {}
        self._numbers = itertools.count(1)
        self._closing = False
        self._error: LabError | None = None
        # -P: a file json.py or random.py beside the notebook must not be taken for the library's.
        command = [sys.executable, "-P", "-m", "labkit.traffic.worker"]
        self._child = ChildProcess(command, log=log, piped=True, grace_seconds=1.0)
        self._reader = threading.Thread(target=self._read, name="labkit-traffic", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether it can be told to send."""
        return not self._closing and self._error is None and self._child.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process number; None until it has come up, and once it has ended."""
        return None if self._child.poll() is not None else self._child.pid

    @property
    def log(self) -> Path:
        """The file that it logs to."""
        return self._child.log

    @property
    def runs(self) -> tuple[TrafficRun, ...]:
        """The runs that go on, in the order of their start."""
        with self._lock:
            return tuple(self._runs.values())

    def check(self) -> None:
        """Raise what has gone wrong with it.

        Raises:
            WorkerDied: when the process ended by itself; the evidence is the end of its log.
            LabError: when it was closed.
        """
        if self._error is not None:
            raise self._error
        if self._closing:
            raise LabError(
                "The traffic worker was closed.", next_step="start the lab again to send traffic."
            )

    def start(
        self,
        url: str,
        shape: Shape,
        *,
        mix: str | Mapping[str, float] | Mix = "everyday",
        seed: int | None = None,
        allow_remote: bool = False,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
    ) -> TrafficRun:
        """Start a run and return its handle; several can go on at once.

        Args:
            url: the base URL; the mix's paths are added to it. Redirects are not followed.
            shape: what to send when, from ``labkit.traffic``.
            mix: "everyday", "errors", "timeouts", or ``{"/path": weight}``.
            seed: makes the draws of paths and waits repeatable; ``run.seed`` has the one used.
            allow_remote: whether the target may be another machine.
            timeout: how many seconds a request may take before it counts as timed out.
            headers: sent with each request.
            verify: whether TLS certificates are checked, or the file of the authority to trust.

        Raises:
            TargetRefused: when the URL will not do or leads elsewhere.
            ValueError: when a number, the mix or the shape is out of range.
            WorkerDied: when the process ended by itself.
            StartupTimeout: when it does not confirm the run.
        """
        self.check()
        chosen = find_mix(mix)
        self._check_caps(shape, self.runs)  # before the target is looked for, which takes time
        if positive("timeout", timeout) > MAX_TIMEOUT_SECONDS:
            raise ValueError(f"timeout must be at most {MAX_TIMEOUT_SECONDS:g} s, not {timeout:g}")
        target = find_target(url, allow_remote=allow_remote)
        number = next(self._numbers)
        order = protocol.Order(
            run=number,
            url=target.url,
            addresses=list(target.addresses) if target.addresses else None,
            shape=to_dict(shape),
            mix=list(chosen.weights),
            seed=secrets.randbits(32) if seed is None else int(seed),
            timeout_seconds=timeout,
            max_seconds=self.caps.seconds,
            max_rate=self.caps.requests_per_second,
            max_in_flight=self.caps.in_flight,
            headers=dict(headers or {}),
            verify=verify,
        )
        run = TrafficRun(shape, chosen, order.seed, target.url, partial(self._control, number))
        self._admit(number, run)
        try:
            self._tell(do="start", **order.to_dict())
            self._await_begun(run)
        except BaseException:  # an interrupt as well: nobody has a handle to stop it with
            self._abandon(number)
            raise
        return run

    def close(self) -> None:
        """End all runs and the process, and wait until it is gone. Idempotent."""
        self._closing = True
        with contextlib.suppress(OSError, ValueError):  # it is gone already
            self._write(do="shutdown")
        self._reader.join(_CLOSE_SECONDS)
        self._child.stop()
        self._reader.join(_CLOSE_SECONDS)

    def _admit(self, number: int, run: TrafficRun) -> None:
        """Count a run among those that go on; of two at once, the second may be too much."""
        with self._lock:
            self._check_caps(run.shape, self._runs.values())
            self._runs[number] = run

    def _check_caps(self, shape: Shape, others: Iterable[TrafficRun]) -> None:
        """Raise ValueError where a shape, beside what already runs, is too much."""
        if not isinstance(shape, OpenLoop | ClosedLoop):
            raise ValueError(  # noqa: TRY004 - one kind of error for every bad shape
                f"shape must be one from labkit.traffic, such as Spike(5, 30), not {shape!r}"
            )
        shapes = [shape, *(run.shape for run in others)]
        if shape.duration is not None:
            self.caps.check_seconds(shape.duration)
        if isinstance(shape, OpenLoop):
            self.caps.check_rate(sum(s.peak_rate for s in shapes if isinstance(s, OpenLoop)))
        else:
            self.caps.check_users(sum(s.users for s in shapes if isinstance(s, ClosedLoop)))

    def _control(self, number: int, **message: Any) -> None:
        """Tell the worker something about one run."""
        with self._lock:
            run = self._runs.get(number)
        if run is None:
            return  # it ended meanwhile
        if message["do"] == "set_rate" and isinstance(run.shape, Constant):
            wanted = dataclasses.replace(run.shape, rate=message["rate"])
            self._check_caps(wanted, [other for other in self.runs if other is not run])
        self._tell(run=number, **message)

    def _await_begun(self, run: TrafficRun) -> None:
        if not run.wait_begun(START_SECONDS):
            raise StartupTimeout(
                f"The traffic worker did not start the run within {START_SECONDS:g} s.",
                evidence=self._child.tail(),
                next_step="look at the load of this machine, and try again.",
            )
        if run.error is not None:
            raise run.error

    def _tell(self, **message: Any) -> None:
        self.check()
        try:
            self._write(**message)
        except (OSError, ValueError) as error:  # the pipe broke or was closed
            self._reader.join(_CLOSE_SECONDS)  # which learns why
            self.check()
            raise WorkerDied("The traffic worker does not listen any more.") from error

    def _write(self, **message: Any) -> None:
        line = memoryview(protocol.encode(**message))
        with self._write_lock:
            while line:
                line = line[self._child.stdin.write(line) :]

    # The reader thread, from here on.

    def _read(self) -> None:
        problem = ""
        try:
            with io.BufferedReader(self._child.stdout) as stream:  # type: ignore[type-var]
                for line in stream:
                    self._dispatch(line)
        except Exception as error:  # noqa: BLE001 - a thread has no caller; the next call raises it
            problem = f"{type(error).__name__}: {error}\n"
        finally:
            self._finish(problem)

    def _dispatch(self, line: bytes) -> None:
        try:
            message = protocol.decode(line)
        except ValueError:  # the half of a line that a killed worker left
            return
        with self._lock:
            run = self._runs.get(message.get("run", 0))
        if run is not None:
            run.take(message)
            if not run.running:
                self._forget(message["run"])

    def _finish(self, problem: str) -> None:
        """The pipe ended: the runs that were going on are over, one way or the other."""
        if not self._closing:
            self._error = self._post_mortem(problem)
        for run in self.runs:
            run.end("stopped" if self._error is None else "died", self._error)
        with self._lock:
            self._runs.clear()

    def _post_mortem(self, problem: str) -> WorkerDied:
        try:
            how = _describe(self._child.wait(_CLOSE_SECONDS))
        except subprocess.TimeoutExpired:
            how = "stopped reporting"
        return WorkerDied(
            f"The process that sends the traffic {how}.",
            evidence=problem + self._child.tail(20),
            next_step=f"start the traffic again; the whole log is {self._child.log}.",
        )

    def _abandon(self, number: int) -> None:
        """End a run that may have begun, and forget it."""
        try:
            with contextlib.suppress(OSError, ValueError):  # it is gone already
                self._write(do="stop", run=number)
        finally:
            self._forget(number)

    def _forget(self, number: int) -> None:
        with self._lock:
            self._runs.pop(number, None)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "alive" if self.alive else "closed" if self._closing else "dead"
        return f"<Worker {state}, {len(self.runs)} runs>"


def _describe(code: int) -> str:
    if code <= _SIGNALS:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(code - _SIGNALS).name}"
    except ValueError:
        return f"ended with exit code {code}"
