"""What one can send to the app of a lab: runs, scenarios, and traffic that outlives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from labkit.errors import WorkerDied
from labkit.marks import Marks
from labkit.traffic.shapes import Continuous, Controlled, Spike

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from labkit.traffic.background import Background
    from labkit.traffic.run import TrafficRun, Worker
    from labkit.traffic.scenario_run import ScenarioRun
    from labkit.traffic.shapes import Shape

    Mix = str | Mapping[str, float]


class Driving(ABC):
    """The part of a lab that sends; whoever has an app gives its address and the worker.

    Attributes:
        seed: makes the traffic repeat; None draws anew each time.
        allow_remote: whether traffic may go to another machine.
        runs: every run since the start, oldest first.
        scenarios: every scenario since the start, oldest first.
        marks: when those began and ended, and what else was changed.
    """

    seed: int | None = None
    allow_remote = False
    _verify: bool | str = True
    _closing: ExitStack

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[TrafficRun] = []
        self.scenarios: list[ScenarioRun] = []
        self.marks = Marks(self.runs, self.scenarios)

    @property
    @abstractmethod
    def url(self) -> str:
        """The app's address."""

    @abstractmethod
    def _sender(self) -> Worker:
        """Return the worker, or raise what keeps it from sending."""

    @abstractmethod
    def _start_worker(self) -> None:
        """Put a new worker in the place of one that died."""

    def traffic(
        self,
        requests: int = 100,
        seconds: float = 60,
        *,
        mix: Mix = "everyday",
        seed: int | None = None,
    ) -> TrafficRun:
        """Send exactly that many requests, evenly over that time; return at once."""
        return self.send(Controlled(requests, seconds), mix=mix, seed=seed)

    def continuous(
        self, intensity: str = "normal", *, mix: Mix = "everyday", seed: int | None = None
    ) -> TrafficRun:
        """Send as one user does, low, normal or high, until ``run.stop()``; return at once."""
        return self.send(Continuous(intensity), mix=mix, seed=seed)

    def spike(
        self,
        threads: int = 5,
        seconds: float = 30,
        *,
        mix: Mix = "everyday",
        seed: int | None = None,
    ) -> TrafficRun:
        """Send as that many users do who never wait, for that time; return at once."""
        return self.send(Spike(threads, seconds), mix=mix, seed=seed)

    def send(self, shape: Shape, *, mix: Mix = "everyday", seed: int | None = None) -> TrafficRun:
        """Send any shape of `labkit.traffic`; return at once.

        Args:
            shape: when to send.
            mix: to which endpoints: everyday, errors, timeouts, or ``{path: weight}``.
            seed: makes the run repeat; drawn from the lab's seed by default.

        Raises:
            WorkerDied: the process that sends has ended; its log is in the message.
        """
        if seed is None and self.seed is not None:
            seed = self.seed + len(self.runs)
        url, worker = self.url, self._sender()
        try:
            run = worker.start(
                url,
                shape,
                mix=mix,
                seed=seed,
                allow_remote=self.allow_remote,
                verify=self._verify,
            )
        except WorkerDied:
            self._start_worker()  # so that the next call works
            raise
        self.runs.append(run)
        return run

    def scenario(self, name: str = "full", *, speed: float = 1.0) -> ScenarioRun:
        """Run a scenario, steps of traffic in a row; return at once.

        Args:
            name: basic, errors, timeouts, heavy, or full: the whole demonstration.
            speed: how many times shorter; the rates and users stay.

        Raises:
            ValueError: there is no such scenario.
        """
        from labkit.traffic.scenario_run import ScenarioRun
        from labkit.traffic.scenarios import SCENARIOS

        self._sender()
        if name not in SCENARIOS:
            raise ValueError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
        run = ScenarioRun(self.send, SCENARIOS[name].at_speed(speed))
        self._closing.callback(run.close)
        self.scenarios.append(run)
        return run

    def background(
        self, intensity: str = "normal", *, mix: Mix = "everyday", seed: int | None = None
    ) -> Background:
        """Start one user's traffic that goes on when the kernel ends, until it is stopped.

        It is found again by `labkit background`, and ends by itself after 24 hours or when
        nothing has answered for ten minutes, as after `lab.stop()`.

        Args:
            intensity: low, normal or high, as for `continuous`.
            mix: to which endpoints.
            seed: makes it repeat.

        Raises:
            LabError: one with other settings goes to this app already.
        """
        from labkit.traffic.background import Background

        return Background.start(
            self.url,
            intensity=intensity,
            mix=mix,
            seed=seed,
            allow_remote=self.allow_remote,
            verify=self._verify,
        )

    def background_traffic(self) -> Background | None:
        """Return the background traffic to this app, running or ended; None if there was none."""
        from labkit.traffic.background import Background

        return Background.of(self.url)
