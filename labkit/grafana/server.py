"""A running Grafana: a child process on the files that `labkit.grafana.provisioning` wrote."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError, StartupTimeout
from labkit.grafana import DASHBOARD_UID, KIND, LOG
from labkit.grafana.provisioning import HOST, PORT, SETTINGS
from labkit.processes import ChildProcess
from labkit.prometheus import probe
from labkit.registry import announce

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("grafana", "grafana-server")
START_SECONDS = 120.0  # at its first start it makes its database, which takes long on a slow disk

_POLL_SECONDS = 0.1
_DEFAULTS = Path("conf") / "defaults.ini"  # what every home of Grafana has
_DOWNLOADS = "https://grafana.com/grafana/download"


def find_grafana() -> list[str]:
    """Return the command that starts the Grafana of this machine, without its settings.

    Raises:
        LabError: there is none on PATH, or not its home: the folder with its web page.
    """
    found = next(((name, path) for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise LabError(
            "There is no Grafana on this machine.",
            evidence=f"PATH has no program named {' or '.join(PROGRAMS)}",
            next_step=f"install one ({_DOWNLOADS}); the files written work with it as they are.",
        )
    name, program = found
    homes = list(_homes(Path(program)))
    home = next((home for home in homes if (home / _DEFAULTS).is_file()), None)
    if home is None:
        raise LabError(
            f"There is a Grafana at {program}, but not the folder with its web page.",
            evidence="looked for conf/defaults.ini in\n" + "\n".join(map(str, homes)),
            next_step="start it by hand, as the README.md among the files says.",
        )
    return [program, *(["server"] if name == "grafana" else []), "--homepath", str(home)]


def _homes(program: Path) -> Iterator[Path]:
    """Give the folders that may be the home: of an archive, of Homebrew, of a package."""
    for path in dict.fromkeys((program, program.resolve())):
        yield path.parent.parent
        yield path.parent.parent / "share" / "grafana"
    yield Path("/usr/share/grafana")


def free_port(wanted: int = PORT) -> int:
    """Return the port if it is free, or else some free one."""
    for port in (wanted, 0):
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            return int(candidate.getsockname()[1])
    raise LabError("There is no free port on this machine.", next_step="end some programs.")


class GrafanaServer:
    """A Grafana on a written folder; it answers when the constructor returns.

    It is announced, so that the lab on its Prometheus names it in its status, shows its log and
    checks its datasource. It ends with this process.

    Args:
        command: that of `find_grafana`.
        folder: what `labkit.grafana.provisioning.write` wrote; takes the log and the database.
        port: the port in its settings.
        prometheus_url: the Prometheus that its datasource asks.
        start_seconds: how long it may take until it answers.

    Raises:
        LabError: it ended before it answered, with the end of its log.
        StartupTimeout: it did not answer in time.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        *,
        port: int,
        prometheus_url: str,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.url = f"http://{HOST}:{port}"
        self.log = folder / LOG
        with ExitStack() as closing:
            config = str(folder / SETTINGS)
            self._child = ChildProcess([*command, "--config", config], log=self.log)
            closing.callback(self._child.stop)
            self._wait_until_ready(start_seconds)
            entry = announce(
                KIND, name="Grafana", url=self.url, prometheus_url=prometheus_url, folder=folder
            )
            closing.callback(entry.withdraw)
            self._closing = closing.pop_all()

    @property
    def board_url(self) -> str:
        """Where its page with the lab's dashboard is."""
        return f"{self.url}/d/{DASHBOARD_UID}"

    def _wait_until_ready(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self.check()
            if probe.get(f"{self.url}/api/health")[0] == HTTPStatus.OK:
                return
            if time.monotonic() > deadline:
                raise StartupTimeout(
                    f"Grafana did not answer within {seconds:g} s.",
                    evidence=self._child.tail(10),
                    next_step="try again when the machine is less busy.",
                )
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            LabError: with its exit code and the end of its log.
        """
        if (code := self._child.poll()) is not None:
            raise LabError(
                f"Grafana ended with exit code {code}.",
                evidence=f"{self._child.tail(10)}\n(its log: {self.log})",
                next_step="read its words above; `labkit grafana DIR` writes its files anew.",
            )

    def close(self) -> None:
        """End it, and wait until it is gone. Idempotent."""
        self._closing.close()

    def __enter__(self) -> GrafanaServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        code = self._child.poll()
        return f"<GrafanaServer {self.url if code is None else f'ended with {code}'}>"
