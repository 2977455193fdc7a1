"""The lab: composes the app, Prometheus, traffic, queries and widgets, and owns their lifetime."""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from labkit.asking import Asking
from labkit.driving import Driving
from labkit.errors import LabError, PrometheusExited
from labkit.localapp import LocalApp
from labkit.progress import Progress
from labkit.prometheus.binary import find_prometheus
from labkit.prometheus.ruleset import RuleSet, shipped
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.registry import announce
from labkit.runfolder import RunFolder
from labkit.showing import Showing
from labkit.telling import Telling
from labkit.traffic.run import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from app.faults import Faults
    from labkit.remote import RemoteApp, RemoteFaults

_Part = TypeVar("_Part")

FIRST_SCRAPE_SECONDS = 30.0


class Lab(Asking, Driving, Showing, Telling):
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

    kind = "lab"
    opened: ClassVar[list[Lab]] = []  # those that run, the one opened last at the end

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
        super().__init__()
        self.scrape_interval = scrape_interval
        self.app_port = app_port
        self.app_threads = app_threads
        self.prometheus_port = prometheus_port
        self.seed = seed
        self.name = name or "lab"
        self._folder: RunFolder | None = None
        self._app: LocalApp | RemoteApp | None = None
        self._prometheus: PrometheusServer | None = None
        self._rules: RuleSet | None = None
        self._client: Client | None = None
        self._worker: Worker | None = None
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
                self.runs.clear()
                self.scenarios.clear()
                try:
                    with Progress() as progress:
                        self._start(progress)
                except BaseException:
                    self.stop()
                    raise
                atexit.register(self.stop)
            self.come_forward()
            return self

    def come_forward(self) -> None:
        """Be the one opened last, which `labkit.current()` returns."""
        Lab.opened[:] = [lab for lab in Lab.opened if lab is not self] + [self]

    def _start(self, progress: Progress) -> None:
        progress.say("Starting the app …")
        folder = self._start_folder()
        app = LocalApp(folder, port=self.app_port, threads=self.app_threads, seed=self.seed)
        self._app = app
        self._closing.callback(app.stop)
        self._began = time.time()
        self.marks.follow(app.faults.to_dict, app.faults.on_change)
        progress.say("Looking for Prometheus …")
        binary = find_prometheus(progress=progress.stage)
        progress.say(f"Starting Prometheus {binary.version} …")
        self._prometheus = PrometheusServer(
            binary,
            {"app-1": f"127.0.0.1:{app.port}"},
            directory=folder.path / "prometheus",
            scrape_interval=self.scrape_interval,
            port=self.prometheus_port,
            rules=shipped(),
        )
        self._closing.callback(self._prometheus.close)
        self._rules = RuleSet(self._prometheus)
        self._start_client(
            Client(self._prometheus.url, scrape_interval=self.scrape_interval),
        )
        self._start_worker()
        progress.say("Prometheus is up; waiting for its first scrape of the app (about 5 s) …")
        self._part(self._client).wait_for(
            'up{job="flask"} == 1',
            timeout=FIRST_SCRAPE_SECONDS + self.scrape_interval,
            alive=self._check,
        )
        self._announce(app, folder)

    def _announce(self, app: LocalApp, folder: RunFolder) -> None:
        """Let the `labkit` commands of this user find the lab."""
        entry = announce(
            self.kind,
            name=self.name,
            url=app.url,
            prometheus_url=self.prometheus_url,
            token=app.token,
            folder=folder.path,
        )
        self._closing.callback(entry.withdraw)

    def _start_folder(self) -> RunFolder:
        self._folder = RunFolder()
        self._closing.callback(self._folder.close)
        return self._folder

    def _start_client(self, client: Client) -> None:
        self._client = client
        self._closing.callback(client.close)

    def _start_worker(self) -> None:
        self._worker = Worker(log=self._part(self._folder).log("traffic"))
        self._closing.callback(self._worker.close)

    def stop(self) -> None:
        """Stop everything the lab started and wait until it is gone. Idempotent."""
        with self._life:
            atexit.unregister(self.stop)
            Lab.opened[:] = [lab for lab in Lab.opened if lab is not self]
            self._app = self._prometheus = self._rules = self._client = None
            self._worker = self._panel = self._dashboard = self._folder = None
            self._closing.close()
            self._background_errors = []  # a callback that is still busy has the old one

    def stop_app(self) -> None:
        """Stop the app alone: its target goes down, `up` becomes 0."""
        app = self._any_app()
        was_running = app.running
        app.stop()
        if was_running:
            self.marks.add("app", "app stopped")

    def start_app(self) -> None:
        """Start the app again, on the same port and with its counters from zero."""
        app = self._any_app()
        was_running = app.running
        app.start()
        if not was_running:
            self.marks.add("app", "app started")

    def restart_app(self) -> None:
        """Stop the app and start it again: every counter is reset, the faults stay."""
        self.stop_app()
        self.start_app()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def add_rules(self, text_or_path: str | Path) -> None:
        """Add alerts and recording rules; they are in force when this returns.

        They are checked first, and rules that are refused leave those in force as they are. Added
        again, under the name of one of their groups, they take the place of the earlier ones.

        Args:
            text_or_path: the text of a rules file, or where one is.

        Raises:
            LabError: the file is not there, promtool or Prometheus refuses it, with its words,
                or a name is taken; or this lab's Prometheus is someone else's.
        """
        self._check()
        if self.running and self._rules is None:
            raise LabError(
                "This lab does not own its Prometheus, and cannot give it rules.",
                next_step="add them to its rule_files where it runs; lab.alerts() shows them.",
            )
        self._part(self._rules).add(text_or_path)

    def test_rules(self, test: str, rules: str) -> str:
        """Have promtool test rules; return what it says, which is nothing where they pass.

        Args:
            test: the text of a test file; it names the rules ``rules.yml``.
            rules: the text of a rules file.

        Raises:
            LabError: there is no promtool, or it does not run.
        """
        from labkit.prometheus.ruletest import run_test

        self._check()
        server = self._prometheus
        binary = find_prometheus() if server is None else server.binary
        if binary.promtool is None:
            raise LabError(
                "Rules are tested by promtool, which is not here.",
                next_step="`labkit prometheus` shows where it should be: beside Prometheus.",
            )
        return run_test(test, rules, binary.promtool)

    # --- State ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the lab was started and not stopped."""
        return self._folder is not None

    @property
    def url(self) -> str:
        """The app's address."""
        return self._any_app().url

    @property
    def app_running(self) -> bool:
        """Whether the app is served; `stop_app` ends that, `start_app` brings it back."""
        return self._app is not None and self._app.running

    @property
    def prometheus_url(self) -> str:
        """Prometheus's address."""
        return self._part(self._client).url

    @property
    def faults(self) -> Faults | RemoteFaults:
        """The app's error probabilities and latencies; assign to its fields while it runs."""
        self._check()
        return self._any_app().faults

    # --- Inside -----------------------------------------------------------------------------

    def _client_now(self) -> Client:
        self._check()
        return self._part(self._client)

    def _sender(self) -> Worker:
        self._check()
        return self._part(self._worker)

    def _controlled(self) -> Lab:
        return self

    def _any_app(self) -> LocalApp | RemoteApp:
        if self._app is None:
            raise _not_running()
        return self._app

    def _part(self, part: _Part | None) -> _Part:
        if part is None:
            raise _not_running()
        return part

    def _check(self) -> None:
        """Raise what went wrong in the background since the last call."""
        if self._background_errors:
            raise self._background_errors.pop(0)
        if self._prometheus is None:
            return
        try:
            self._prometheus.check()
        except PrometheusExited as error:
            error.next_step += " Then start again: lab.stop(), and lab = labkit.start()."
            raise


def _not_running() -> LabError:
    return LabError("This lab is not running.", next_step="start one: labkit.start()")
