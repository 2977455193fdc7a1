"""What a lab tells of itself: its state, what is wrong with it, and its logs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from labkit import grafana
from labkit.processes import tail
from labkit.status import Part, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labkit.checks import Report
    from labkit.localapp import LocalApp
    from labkit.prometheus.server import PrometheusServer
    from labkit.remote import RemoteApp
    from labkit.runfolder import RunFolder
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.run import Worker

LOGS = ("app", "prometheus", "traffic")
_OTHER_LOGS = ("grafana",)  # of what runs beside the lab


class Log(str):
    """The tail of a log: a string that a cell shows line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Telling(ABC):
    """The part of a lab that says how it is; whoever has the parts gives them."""

    name: str
    scrape_interval: float
    runs: list[TrafficRun]
    _headers: Mapping[str, str] | None = None
    _verify: bool | str
    _app: LocalApp | RemoteApp | None
    _prometheus: PrometheusServer | None
    _worker: Worker | None
    _folder: RunFolder | None

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether the lab was started and not stopped."""

    @property
    @abstractmethod
    def prometheus_url(self) -> str:
        """Prometheus's address."""

    @abstractmethod
    def _any_app(self) -> LocalApp | RemoteApp:
        """Return the app, or raise why there is none."""

    @abstractmethod
    def _part(self, part: Any) -> Any:
        """Return a part, or raise that the lab does not run."""

    def status(self) -> Status:
        """Return what runs, where, and how it is."""
        if not self.running:
            return Status(f"{self.name}: stopped; labkit.start() starts a lab")
        parts = [*self._parts()]
        if entry := grafana.running(self.prometheus_url):
            detail = "shows the lab's dashboard; `labkit grafana` runs it"
            parts.append(Part("Grafana", "up", detail, entry.url))
        return Status(f"{self.name}: running", tuple(parts))

    def _app_part(self) -> Part:
        app = self._any_app()
        if not app.running:
            return Part("App", "down", "stopped: lab.start_app() starts it again")
        return Part("App", "up", f"metrics at {app.url}/metrics", app.url)

    def _prometheus_part(self) -> Part:
        server = self._part(self._prometheus)
        code = server.poll()
        if code is not None:
            return Part(
                "Prometheus", "down", f"ended with exit code {code}: lab.stop(), labkit.start()"
            )
        detail = f"version {server.binary.version}, scrapes every {self.scrape_interval:g} s"
        if errors := server.errors():
            return Part("Prometheus", "failing", errors[-1], server.url)
        page = server.has_web_page
        if not page:
            detail += "; this build has no web page"
        return Part("Prometheus", "up", detail, server.url, page)

    def _traffic_part(self) -> Part:
        if self._worker is None or not self._worker.alive:
            return Part("Traffic", "down", 'the worker ended; see lab.logs("traffic")')
        active = [run for run in self.runs if run.running]
        if not active:
            return Part("Traffic", "idle", "lab.panel(), lab.traffic(), lab.spike()")
        return Part("Traffic", "running", "; ".join(repr(run.shape) for run in active))

    def check(self) -> Report:
        """Look at every part and what it needs; say what is wrong and what to do about it."""
        from labkit.checks import check

        if not self.running:
            return check()
        return check(
            app_url=None if self._app is None else self._app.url,
            prometheus_url=self.prometheus_url,
            headers=self._headers,
            verify=self._verify,
            log_tails={name: partial(self.logs, name) for name in LOGS},
        )

    def logs(self, name: str, lines: int = 50) -> Log:
        """Return the last lines of a log.

        Args:
            name: app, prometheus, traffic or grafana.
            lines: how many at most.

        Raises:
            LabError: no Grafana runs on this lab's Prometheus.
            ValueError: there is no such log.
        """
        if name not in LOGS + _OTHER_LOGS:
            names = ", ".join(LOGS + _OTHER_LOGS)
            raise ValueError(f"there is no log {name!r}; the logs are {names}")
        folder = self._part(self._folder)
        if name == "grafana":
            return Log(grafana.tail(self.prometheus_url, lines))
        if name == "prometheus" and self._prometheus is not None:
            return Log(self._prometheus.tail(lines))
        text = tail(folder.log(name), lines)
        if name == "app" and (warnings := tail(folder.log("server"), lines)):
            text += f"\n--- warnings and exceptions ---\n{warnings}"
        return Log(text)

    def _parts(self) -> Sequence[Part]:
        return [self._app_part(), self._prometheus_part(), self._traffic_part()]

    def __repr__(self) -> str:
        return str(self.status())

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()
