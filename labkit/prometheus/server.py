"""A running Prometheus: a child process with a data folder, a port and a log of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError, PortInUse, PrometheusExited, StartupTimeout
from labkit.ports import holder_of
from labkit.processes import ChildProcess
from labkit.prometheus import probe
from labkit.prometheus.config import Config, ConfigFiles
from labkit.prometheus.diagnosis import errors_in, remedy
from labkit.prometheus.logs import LogLimit, text_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from labkit.prometheus.candidate import Binary

START_SECONDS = 30.0  # 0.1 s as a rule; a large data folder and a busy machine take longer
RELOAD_SECONDS = 15.0

_POLL_SECONDS = 0.02
_HOST = "127.0.0.1"
_MOST_PORT = 65535
_LISTENING = re.compile(r'msg="Listening on".*? address=\S*:([1-9]\d*)')
_RELOADED = re.compile(
    r"^prometheus_config_last_reload_success_timestamp_seconds (\S+)$", re.MULTILINE
)
_NOT_RELOADED = re.compile(r'msg="Error reloading config"')
_MOST_ERRORS = 8
_TAIL_LINES = 10
_PORT_TAKEN = re.compile(r"address already in use|Only one usage of each socket address")

# A lab is looked at for hours, not kept: neither its age nor its size may fill a disk.
_RETENTION = {
    "--storage.tsdb.retention.time": "7d",
    "--storage.tsdb.retention.size": "512MB",
}


class PrometheusServer:
    """A Prometheus that scrapes the given targets; ready when the constructor returns.

    It listens on loopback only, without the lifecycle and admin APIs, and ends with this process,
    however that ends. Its first scrape comes about five seconds later: Prometheus hands new
    targets to its scrapers at most every five seconds, and no setting changes that.

    What it writes is bounded: its data by seven days and 512 MB, unless ``arguments`` say
    otherwise, its log by 8 MB.

    Args:
        binary: which Prometheus.
        targets: ``host:port`` of each target under its instance label, such as ``app-1``.
        directory: where its files go: configuration, log, and a fresh data folder, which is
            removed on close.
        scrape_interval: seconds between two scrapes, and between two evaluations of a rule.
        port: its port; 0 takes a free one.
        rules: the text of a rules file.
        data: a data folder to use and keep, such as one with a simulated past.
        arguments: further arguments of Prometheus's, as ``--name=value``; they go before the
            lab's own of the same name.
        start_seconds: how long it may take until it is ready.

    Raises:
        PortInUse: when the port is taken.
        LabError: when its files cannot be written.
        PrometheusExited: when it ends before it is ready, with the tail of its log.
        StartupTimeout: when it is not ready in time.
        ValueError: when an argument is out of range.
    """

    def __init__(
        self,
        binary: Binary,
        targets: Mapping[str, str],
        *,
        directory: Path,
        scrape_interval: float = 1.0,
        port: int = 0,
        rules: str | None = None,
        data: Path | None = None,
        arguments: Sequence[str] = (),
        start_seconds: float = START_SECONDS,
    ) -> None:
        if not 0 <= port <= _MOST_PORT:
            raise ValueError(f"port is {port!r}; it goes from 0, which takes a free one, to 65535")
        self.binary = binary
        self.config = Config(dict(targets), scrape_interval, rules)
        self.log = directory / "prometheus.log"
        self._files = ConfigFiles(directory)
        self._reloading = threading.Lock()
        self._web_page: bool | None = None  # not known yet
        with ExitStack() as closing:
            with _writing(directory):
                directory.mkdir(parents=True, exist_ok=True)
                self._files.write(self.config)
                self._data = data or _fresh_data(directory, closing)
            command = self._command(f"{_HOST}:{port}", arguments)
            self._log_start = _size(self.log)
            self._child = ChildProcess(command, log=self.log)
            closing.callback(self._child.stop)
            closing.callback(LogLimit(self.log).close)
            self.port = self._wait_until_ready(port, start_seconds)
            self._closing = closing.pop_all()

    def _command(self, address: str, arguments: Sequence[str]) -> list[str]:
        given = {argument.partition("=")[0] for argument in arguments}
        own = {
            "--config.file": str(self._files.main),
            "--storage.tsdb.path": str(self._data),
            "--web.listen-address": address,
            **_RETENTION,
        }
        ours = [f"{name}={value}" for name, value in own.items() if name not in given]
        return [str(self.binary.path), *ours, *arguments]

    def _wait_until_ready(self, asked_port: int, seconds: float) -> int:
        """Return the port, once Prometheus itself says that it is ready.

        The port is taken from its log even if one was asked for: another Prometheus may be
        answering there.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._raise_if_ended(asked_port)
            found = _LISTENING.search(self._said())
            if found and probe.is_ready(f"http://{_HOST}:{found[1]}"):
                return int(found[1])
            if time.monotonic() > deadline:
                raise StartupTimeout(
                    f"Prometheus was not ready within {seconds:g} s.",
                    evidence=self.tail(10),
                    next_step="try again when the machine is less busy; if it stays so, start "
                    f"`{self.binary.path}` by hand and see what it says.",
                )
            time.sleep(_POLL_SECONDS)

    def _raise_if_ended(self, asked_port: int) -> None:
        if self._child.poll() is None:
            return
        if asked_port and _PORT_TAKEN.search(self._said()):
            raise PortInUse(
                f"Prometheus cannot listen on port {asked_port}: it is taken.",
                evidence=holder_of(asked_port),
                next_step="end that program, or take another port; port 0 takes a free one.",
            )
        self.check()

    @property
    def url(self) -> str:
        """Where it answers, ``http://127.0.0.1:PORT``."""
        return f"http://{_HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process number, or None once it has ended."""
        return self._child.pid

    @property
    def has_web_page(self) -> bool:
        """Whether it has a page for the browser; Debian builds some without."""
        if self._web_page is None:
            status = probe.get(f"{self.url}/")[0]
            if status is None:  # no answer, this time
                return False
            self._web_page = status == HTTPStatus.OK
        return self._web_page

    def tail(self, lines: int = 50) -> str:
        """Return the last lines of its log."""
        return self._child.tail(lines)

    def errors(self, lines: int = 50) -> list[str]:
        """Return the errors among the last lines of its log, in plain words, each once.

        A full disk shows here, for instance: Prometheus goes on, and stores nothing.
        """
        return errors_in(self.tail(lines))

    def poll(self) -> int | None:
        """Return its exit code (128 + n for signal n), or None while it runs."""
        return self._child.poll()

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            PrometheusExited: with its exit code and the tail of its log.
        """
        if (code := self.poll()) is None:
            return
        said = self._said()
        words = errors_in(said)[-_MOST_ERRORS:] or said.splitlines()[-_TAIL_LINES:]
        raise PrometheusExited(
            f"Prometheus ended with exit code {code}.",
            evidence="\n".join([*words, f"(its log: {self.log})"]),
            next_step=remedy(said, self._data),
        )

    def _said(self) -> str:
        """Return what this Prometheus has logged; the file may hold earlier ones' words too."""
        return text_after(self.log, self._log_start)

    def reload(self, config: Config | None = None, *, timeout: float = RELOAD_SECONDS) -> None:
        """Have it read its configuration and rules again; return when they are in force.

        New targets are scraped within five seconds after that.

        Args:
            config: the new one, such as ``dataclasses.replace(server.config, rules=text)``; by
                default the files are read as they are.
            timeout: how long it may take, in seconds.

        Raises:
            LabError: when it refuses them, with its words. The old configuration stays in force,
                and is what the files say again.
            PrometheusExited: when it has ended.
        """
        with self._reloading:
            if config is None:
                self._signal_and_wait(timeout)
                return
            try:
                with _writing(self.log.parent):
                    self._files.write(config)
                self._signal_and_wait(timeout)
            except BaseException:
                self._go_back(timeout)
                raise
            self.config = config

    def _go_back(self, timeout: float) -> None:
        """Prometheus applies what it can of a bad configuration: give it the old one again."""
        with suppress(LabError):  # the first error is the one to report
            with _writing(self.log.parent):
                self._files.write(self.config)
            self._signal_and_wait(timeout)

    def _signal_and_wait(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        before, log_start = self._reloaded_at(deadline), _size(self.log)
        self._hang_up()
        while self._reloaded_at(deadline) == before:
            if _NOT_RELOADED.search(words := text_after(self.log, log_start)):
                raise LabError(
                    "Prometheus refused its new configuration.",
                    evidence="\n".join(errors_in(words)),
                    next_step="correct what it names; until then it goes on with the old one.",
                )
            time.sleep(_POLL_SECONDS)

    def _hang_up(self) -> None:
        if sys.platform == "win32":
            raise LabError(
                "Prometheus cannot be told to reload on Windows.",
                next_step="stop the lab and start it again.",
            )
        self.check()
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):  # it has just ended, which the wait reports
                os.kill(pid, signal.SIGHUP)

    def _reloaded_at(self, deadline: float) -> str:
        """Return when it last took a configuration, in its own words."""
        while True:
            self.check()
            if time.monotonic() > deadline:
                raise LabError(
                    "Prometheus did not take its configuration in time.",
                    evidence=self.tail(5),
                    next_step="try again; if it stays so, stop the lab and start it again.",
                )
            if found := _RELOADED.search(probe.get(f"{self.url}/metrics")[1]):
                return found[1]
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End it, and wait until it is gone; its own data folder goes with it. Idempotent."""
        self._closing.close()

    def __enter__(self) -> PrometheusServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        code = self.poll()
        state = f"at {self.url}" if code is None else f"ended with {code}"
        return f"<PrometheusServer {self.binary.version} {state}>"


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LabError(
            f"The files of Prometheus cannot be written in {directory}.",
            evidence=str(error),
            next_step="make room on that disk, or allow writing there.",
        ) from error


def _fresh_data(directory: Path, closing: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=directory))
    closing.callback(partial(shutil.rmtree, folder, ignore_errors=True))
    return folder


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
