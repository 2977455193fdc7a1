"""Open JupyterLab on the lab's notebooks: without pop-ups, for root, and without a display."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from labkit.errors import LabError, PortInUse, StartupTimeout
from labkit.loopback import open_session
from labkit.notebook_files import COURSE_FILE, FIRST_NOTEBOOK, first, shipped
from labkit.ports import holder_of
from labkit.processes import ChildProcess
from labkit.runfolder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_PACKAGE = Path(__file__).parent
_CONFIG = _PACKAGE / "jupyter_config"
START_SECONDS = 60.0
_STARTS = 3  # where two begin at once, both find the same port free
_NO_PORT = "no available port could be found"
# Jupyter gives a kernel five seconds to end by itself, and the kernel stops its lab meanwhile.
STOP_SECONDS = 15.0


def notebooks_folder(copy_to: Path | None = None) -> Path:
    """Return the folder with the notebooks: the clone's own, or a copy of the installed ones.

    Args:
        copy_to: where an installed lab (not a clone) puts its notebooks for you to work in;
            ``observability-lab`` in the current folder by default. Files already there are kept;
            to a folder that `labkit course` wrote, nothing is added.
    """
    clone = _PACKAGE.parent / "notebooks"
    if copy_to is None and (clone / FIRST_NOTEBOOK).exists():
        return clone
    target = copy_to or Path.cwd() / "observability-lab"
    if (target / COURSE_FILE).exists():
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
        for notebook in sorted(shipped().glob("*.ipynb")):
            if not (target / notebook.name).exists():
                shutil.copy(notebook, target)
    except OSError as error:
        raise LabError(
            f"The notebooks could not be copied to {target}.",
            evidence=str(error),
            next_step="name a folder that you may write to: labkit lab FOLDER",
        ) from error
    return target


def command(folder: Path, *, port: int | None, browser: bool) -> list[str]:
    """Return the command line that serves JupyterLab on a folder."""
    arguments = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--LabApp.default_url=/lab/tree/{first(folder)}",
        # The extension manager asks the package index; what is installed here is pinned.
        "--LabApp.extension_manager=readonly",
        # Looking for language servers runs npm, and a new home gets its files.
        "--LanguageServerManager.autodetect=False",
        "--ServerApp.ip=127.0.0.1",
        "--log-level=WARN",
    ]
    if port is not None:
        arguments += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    return arguments


def environment() -> dict[str, str]:
    """Return this process's environment with the lab's JupyterLab settings in front."""
    path = [str(_CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {
        **os.environ,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(path),
        # A kernel "python3" among the person's own would be another Python, without the lab.
        "JUPYTER_PREFER_ENV_PATH": "1",
    }


def has_display() -> bool:
    """Whether a browser window can be opened from here."""
    if sys.platform not in {"win32", "darwin"} and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


class JupyterServer:
    """A JupyterLab that serves a folder and ends, kernels and all, with this process.

    It is up when the constructor returns. It runs in a session of its own, so that Ctrl-C
    reaches it through `close` only, and its output goes to a log, not to the terminal.

    Args:
        folder: the folder it serves.
        port: its port; the first free one from 8888 by default.
        browser: whether it opens a browser.

    Raises:
        PortInUse: the port that was asked for is taken.
        LabError: JupyterLab ended before it served.
        StartupTimeout: it did not serve within a minute.
    """

    def __init__(self, folder: Path, *, port: int | None = None, browser: bool = False) -> None:
        self._run = RunFolder()
        self._first = first(folder)
        for left in reversed(range(_STARTS)):
            started_at = time.time()
            self._child = self._start(folder, port=port, browser=browser)
            try:
                self._info = self._wait_until_serving(started_at, port)
                break
            except PortInUse:  # found free, and another's by the time it was opened
                self._child.stop()
                if port is not None or not left:
                    self.close()
                    raise
            except BaseException:
                self.close()
                raise

    def _start(self, folder: Path, *, port: int | None, browser: bool) -> ChildProcess:
        try:
            return ChildProcess(
                command(folder, port=port, browser=browser),
                log=self._run.log("jupyter"),
                grace_seconds=STOP_SECONDS,
                env=environment(),
            )
        except BaseException:
            self._run.close()
            raise

    @property
    def url(self) -> str:
        """The address of the server, with a slash at its end."""
        return str(self._info["url"])

    @property
    def token(self) -> str:
        """What the server wants to see from its clients; empty where a password is set."""
        return str(self._info["token"])

    @property
    def first_page(self) -> str:
        """The address of the first notebook, token included."""
        query = f"?token={quote(self.token)}" if self.token else ""
        return f"{self.url}lab/tree/{self._first}{query}"

    @property
    def log(self) -> Path:
        """The file with its output; removed by `close`."""
        return self._child.log

    def poll(self) -> int | None:
        """Return the exit code (128 + n for signal n), or None while it serves."""
        return self._child.poll()

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of its log."""
        return self._child.tail(lines)

    def close(self) -> None:
        """End it and its kernels, and wait until they are gone. Idempotent."""
        try:
            self._child.stop()
        finally:
            self._run.close()

    def __enter__(self) -> JupyterServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<JupyterServer {self.url} {'running' if self.poll() is None else 'ended'}>"

    def _wait_until_serving(self, started_at: float, port: int | None) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while (info := self._serving(started_at)) is None:
            if self.poll() is not None:
                raise self._ended(port)
            if time.monotonic() > deadline:
                raise StartupTimeout(
                    f"JupyterLab did not serve a page within {START_SECONDS:.0f} s.",
                    evidence=self.tail(),
                    next_step="try again; if it stays so, see what `jupyter lab --debug` says.",
                )
            time.sleep(0.05)
        return info

    def _serving(self, started_at: float) -> dict[str, Any] | None:
        """Return what the server wrote about itself, once it answers: it does so before."""
        from jupyter_core.paths import jupyter_runtime_dir

        for pid in self._processes():
            path = Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json"
            try:
                if path.stat().st_mtime < started_at - 1:  # left by an earlier process's crash
                    continue
                info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # not there, or half written
                continue
            return info if _answers(info) else None
        return None

    def _processes(self) -> list[int]:
        """Return the processes below the guard: on Windows .venv's Python starts another one."""
        import psutil

        try:
            return [p.pid for p in psutil.Process(self._child.guard_pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _ended(self, port: int | None) -> LabError:
        evidence = self.tail()
        if port is not None and re.search(r"port \d+ is (already in use|not available)", evidence):
            return PortInUse(
                f"Port {port} is taken by another program.",
                evidence=holder_of(port),
                next_step="leave out --port and the first free one is taken.",
            )
        if port is None and _NO_PORT in evidence:
            return PortInUse(
                "Another program took the port that JupyterLab had found free.",
                evidence=evidence,
                next_step="try again, or choose a port with --port.",
            )
        return LabError(
            f"JupyterLab ended with exit code {self.poll()} before it served a page.",
            evidence=evidence,
            next_step="remove what its log names; see also `jupyter lab --debug`.",
        )


def _answers(info: dict[str, Any]) -> bool:
    """Whether a server answers at its address, and not another one that has its port."""
    import requests

    address = f"{info['url']}api/status"
    headers = {"Authorization": f"token {info['token']}"}
    with open_session(address) as session:
        try:
            answer = session.get(address, headers=headers, timeout=2, allow_redirects=False)
        except requests.exceptions.SSLError:  # a certificate of the person's own
            return True
        except requests.RequestException:
            return False
    return answer.ok or not info["token"]


def open_lab(
    *,
    folder: Path | None = None,
    port: int | None = None,
    browser: bool | None = None,
    tell: Callable[[str], None],
) -> int:
    """Serve JupyterLab until Ctrl-C, SIGTERM, a closed terminal or its own menu ends it.

    Args:
        folder: the folder to work in; see `notebooks_folder`.
        port: its port; the first free one from 8888 by default.
        browser: whether to open a browser; by default when there is a display.
        tell: takes each line for the person at the terminal.

    Returns:
        The exit code for the command line, 0.

    Raises:
        PortInUse: the port that was asked for is taken.
        LabError: JupyterLab did not start, or ended by itself with an error.
        StartupTimeout: it did not serve within a minute.
    """
    show = has_display() if browser is None else browser
    with _ended_by_signals(), contextlib.suppress(KeyboardInterrupt):
        tell("Starting JupyterLab ...")
        with JupyterServer(notebooks_folder(folder), port=port, browser=show) as server:
            try:
                _greet(server, show, tell)
                _serve(server)
            except KeyboardInterrupt:
                with contextlib.suppress(OSError):  # the terminal may be gone
                    tell("\nStopping JupyterLab and everything the lab started ...")
                raise
    return 0


def _greet(server: JupyterServer, show: bool, tell: Callable[[str], None]) -> None:
    how = "It opens in your browser; if not, open" if show else "Open"
    tell(f"JupyterLab is running. {how} this address:\n\n    {server.first_page}\n")
    if not show and os.environ.get("SSH_CONNECTION"):
        port = server.url.rstrip("/").rpartition(":")[2]
        tell(f"From another machine, first: ssh -L {port}:127.0.0.1:{port} and this host's name\n")
    tell("Ctrl-C here stops it, and everything the lab started.")


def _serve(server: JupyterServer) -> None:
    """Return when it was shut down from its menu; short naps, so that Windows sees Ctrl-C."""
    while (code := server.poll()) is None:
        time.sleep(0.5)
    if code != 0:
        raise LabError(
            f"JupyterLab ended with exit code {code}.",
            evidence=server.tail(),
            next_step="open it again; your notebooks are saved every two minutes.",
        )


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal interrupt as Ctrl-C does; one that is ignored stays so."""
    previous = {}
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
