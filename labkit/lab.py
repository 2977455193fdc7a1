"""The lab: composes the app, Prometheus, traffic, queries and widgets, and owns their lifetime."""

from __future__ import annotations

import atexit
import secrets
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, TypeVar

from labkit.errors import LabError, PrometheusExited, WorkerDied
from labkit.processes import tail
from labkit.progress import Progress
from labkit.prometheus.binary import find_prometheus
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.runfolder import RunFolder
from labkit.server import AppServer
from labkit.status import Part, Status
from labkit.traffic.run import Worker
from labkit.traffic.shapes import Continuous, Controlled, Spike

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    import pandas as pd
    from matplotlib.axes import Axes

    from app.faults import Faults
    from labkit.panels.control import ControlPanel
    from labkit.traffic.run import TrafficRun
    from labkit.traffic.shapes import Shape

    Time = float | datetime
    Mix = str | Mapping[str, float]

_Part = TypeVar("_Part")

LOGS = ("app", "prometheus", "traffic")
FIRST_SCRAPE_SECONDS = 30.0

_lock = threading.RLock()
_current: Lab | None = None


class Log(str):
    """The tail of a log: a string that a cell shows line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Lab:
    """An instrumented app, a Prometheus that scrapes it, and a process that sends traffic.

    Nothing runs before `start`; ``with Lab() as lab:`` starts and stops it.

    Args:
        scrape_interval: seconds between two scrapes of the app.
        app_port: the app's port; 0 takes a free one.
        app_threads: how many requests the app works on at once.
        prometheus_port: Prometheus's port; 0 takes a free one.
        seed: makes the app's faults and the traffic repeat; None draws anew each time.
        name: what tells this lab from another one in the same notebook.
    """

    def __init__(
        self,
        *,
        scrape_interval: float = 1.0,
        app_port: int = 0,
        app_threads: int = 32,
        prometheus_port: int = 0,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        self.scrape_interval = scrape_interval
        self.app_port = app_port
        self.app_threads = app_threads
        self.prometheus_port = prometheus_port
        self.seed = seed
        self.name = name or "lab"
        self.runs: list[TrafficRun] = []
        self._folder: RunFolder | None = None
        self._app: Any = None
        self._server: AppServer | None = None
        self._prometheus: PrometheusServer | None = None
        self._client: Client | None = None
        self._worker: Worker | None = None
        self._panel: ControlPanel | None = None
        self._background_errors: list[BaseException] = []
        self._closing = ExitStack()  # closes what was started, last first
        self._life = threading.RLock()  # one start or stop of this lab at a time

    # --- Life -------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the parts and wait for the first scrape; a running lab is left as it is.

        Raises:
            LabError: a part did not start; what had started is stopped again.
        """
        with self._life:
            if not self.running:
                try:
                    with Progress() as progress:
                        self._start(progress)
                except BaseException:
                    self.stop()
                    raise
                atexit.register(self.stop)
            _set_current(self)
            return self

    def _start(self, progress: Progress) -> None:
        progress.say("Starting the app …")
        self._folder = RunFolder()
        self._closing.callback(self._folder.close)
        self._start_app(self._folder)
        progress.say("Looking for Prometheus …")
        binary = find_prometheus(progress=progress.stage)
        progress.say(f"Starting Prometheus {binary.version} …")
        assert self._server is not None  # noqa: S101 - _start_app made it
        self._prometheus = PrometheusServer(
            binary,
            {"app-1": f"127.0.0.1:{self._server.port}"},
            directory=self._folder.path / "prometheus",
            scrape_interval=self.scrape_interval,
            port=self.prometheus_port,
        )
        self._closing.callback(self._prometheus.close)
        self._client = Client(self._prometheus.url, scrape_interval=self.scrape_interval)
        self._closing.callback(self._client.close)
        self._start_worker()
        progress.say("Prometheus is up; waiting for its first scrape of the app (about 5 s) …")
        self._client.wait_for(
            'up{job="flask"} == 1',
            timeout=FIRST_SCRAPE_SECONDS + self.scrape_interval,
            alive=self._check,
        )

    def _start_app(self, folder: RunFolder) -> None:
        config = {
            "TOKEN": secrets.token_urlsafe(16),
            "SEED": self.seed,
            "LOG": folder.log("app"),
        }
        self._app = _create_app(config)
        self._closing.callback(self._app.extensions["log"].close)
        self._server = AppServer(
            self._app,
            port=self.app_port,
            threads=self.app_threads,
            log=folder.log("server"),
        )
        self._closing.callback(self._server.close)

    def _start_worker(self) -> None:
        self._worker = Worker(log=self._part(self._folder).log("traffic"))
        self._closing.callback(self._worker.close)

    def stop(self) -> None:
        """Stop everything the lab started and wait until it is gone. Idempotent."""
        with self._life:
            atexit.unregister(self.stop)
            self._app = self._server = self._prometheus = self._client = None
            self._worker = self._panel = self._folder = None
            self._background_errors.clear()
            self._closing.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- State ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the lab was started and not stopped."""
        return self._server is not None

    @property
    def url(self) -> str:
        """The app's address."""
        return self._part(self._server).url

    @property
    def prometheus_url(self) -> str:
        """Prometheus's address."""
        return self._part(self._prometheus).url

    @property
    def faults(self) -> Faults:
        """The app's error probabilities and latencies; assign to its fields while it runs."""
        self._check()
        faults: Faults = self._part(self._app).extensions["faults"]
        return faults

    def status(self) -> Status:
        """Return what runs, where, and how it is."""
        if self._server is None or self._prometheus is None:
            return Status(f"{self.name}: stopped; labkit.start() starts a lab")
        code = self._prometheus.poll()
        prometheus = Part(
            "Prometheus",
            "up" if code is None else "down",
            f"version {self._prometheus.binary.version}, scrapes every {self.scrape_interval:g} s"
            if code is None
            else f"ended with exit code {code}: lab.stop(), then labkit.start()",
            self._prometheus.url if code is None else None,
        )
        app = Part("App", "up", f"metrics at {self._server.url}/metrics", self._server.url)
        return Status(f"{self.name}: running", (app, prometheus, self._traffic_part()))

    def _traffic_part(self) -> Part:
        if self._worker is None or not self._worker.alive:
            return Part("Traffic", "down", 'the worker ended; see lab.logs("traffic")')
        active = [run for run in self.runs if run.running]
        if not active:
            return Part("Traffic", "idle", "lab.panel(), lab.traffic(), lab.spike()")
        return Part("Traffic", "running", "; ".join(map(str, active)))

    def logs(self, name: str, lines: int = 50) -> str:
        """Return the last lines of a log.

        Args:
            name: app, prometheus or traffic.
            lines: how many at most.
        """
        if name not in LOGS:
            raise ValueError(f"there is no log {name!r}; the logs are {', '.join(LOGS)}")
        folder = self._part(self._folder)
        path = self._part(self._prometheus).log if name == "prometheus" else folder.log(name)
        text = tail(path, lines)
        if name == "app" and (warnings := tail(folder.log("server"), lines)):
            text += f"\n--- warnings and exceptions ---\n{warnings}"
        return Log(text)

    # --- Traffic ----------------------------------------------------------------------------

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
        self._check()
        if seed is None and self.seed is not None:
            seed = self.seed + len(self.runs)
        try:
            run = self._part(self._worker).start(self.url, shape, mix=mix, seed=seed)
        except WorkerDied:
            self._start_worker()  # so that the next call works
            raise
        self.runs.append(run)
        return run

    # --- Asking -----------------------------------------------------------------------------

    def query(self, promql: str, time: Time | None = None) -> pd.DataFrame:
        """Ask at one time; return one row a series: its labels, then ``value``.

        Args:
            promql: the expression.
            time: unix seconds or an aware datetime; now by default.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        return self._asking().query(promql, time=time)

    def query_range(
        self,
        promql: str,
        minutes: float = 5,
        step: float | None = None,
        start: Time | None = None,
        end: Time | None = None,
    ) -> pd.DataFrame:
        """Ask over a time range; return a tz-aware index and one column a series.

        Args:
            promql: the expression.
            minutes: how far back from ``end``, where no ``start`` is given.
            step: seconds between two points; like Grafana's by default.
            start: unix seconds or an aware datetime.
            end: the same; now by default.
        """
        return self._asking().query_range(promql, minutes, step, start, end)

    def wait_for(self, promql: str, timeout: float = 30) -> pd.DataFrame:
        """Ask until there is an answer (and, for a comparison, it is true); return it."""
        return self._asking().wait_for(promql, timeout=timeout, alive=self._check)

    def metrics(self) -> pd.DataFrame:
        """Return what there is: name, type, help, labels, series."""
        return self._asking().metrics()

    def plot(self, promql: str, minutes: float = 5, ax: Axes | None = None) -> Axes:
        """Draw an expression over the last minutes; return the Axes."""
        from labkit import plots

        return plots.line(self.query_range(promql, minutes), ax=ax, title=promql)

    # --- Widgets ----------------------------------------------------------------------------

    def panel(self) -> ControlPanel:
        """Return the control panel: buttons for the traffic, fault sliders, a live chart."""
        from labkit.panels.control import ControlPanel

        self._check()
        if self._panel is None:
            self._panel = ControlPanel(self.send, self.faults, self._asking())
            self._closing.callback(self._panel.close)
        return self._panel

    # --- Inside -----------------------------------------------------------------------------

    def _asking(self) -> Client:
        self._check()
        return self._part(self._client)

    def _part(self, part: _Part | None) -> _Part:
        if part is None:
            raise LabError("This lab is not running.", next_step="start one: labkit.start()")
        return part

    def _check(self) -> None:
        """Raise what went wrong in the background since the last call."""
        if self._background_errors:
            raise self._background_errors.pop(0)
        prometheus = self._prometheus
        if prometheus is not None and (code := prometheus.poll()) is not None:
            raise PrometheusExited(
                f"Prometheus ended by itself with exit code {code}.",
                evidence=prometheus.tail(10),
                next_step="start again: lab.stop(), then lab = labkit.start()",
            )

    def __repr__(self) -> str:
        return str(self.status())

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()


def start(**settings: Any) -> Lab:
    """Start a lab and return it when Prometheus has scraped its app for the first time.

    A cell that runs twice gets the lab that is already running.

    Args:
        settings: the arguments of `Lab`.

    Raises:
        LabError: a part did not start, or a lab with other settings is running.
    """
    with _lock:
        running = _current if _current is not None and _current.running else None
        if running is None:
            return Lab(**settings).start()
        differing = [name for name, value in settings.items() if getattr(running, name) != value]
        if differing:
            raise LabError(
                f"A lab is already running, with another {', '.join(differing)}.",
                next_step="stop it first: labkit.current().stop()",
            )
        return running


def current() -> Lab:
    """Return the lab that was started last.

    Raises:
        LabError: none is running.
    """
    if _current is None or not _current.running:
        raise LabError("No lab is running.", next_step="start one: lab = labkit.start()")
    return _current


def _set_current(lab: Lab) -> None:
    global _current  # noqa: PLW0603 - the one such state there is, in the open
    _current = lab


def _create_app(config: Mapping[str, Any]) -> Any:
    """Make the lab's app; a file app.py beside the notebook would take its name."""
    import app

    if not hasattr(app, "create_app"):
        raise LabError(
            "A module of yours hides the lab's own package `app`.",
            evidence=str(app.__file__),
            next_step="rename that file and restart the kernel.",
        )
    return app.create_app(config)
