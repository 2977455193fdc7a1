"""JupyterLab as `labkit lab` opens it, and that nothing is left however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
import requests

from labkit.errors import LabError, PortInUse
from labkit.jupyter import (
    FIRST_NOTEBOOK,
    JupyterServer,
    _answers,
    command,
    environment,
    has_display,
    notebooks_folder,
)
from labkit.prometheus.binary import find_prometheus
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and terminals")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a first notebook."""
    work = tmp_path / "my notebooks"
    work.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    nbformat.write(notebook, work / FIRST_NOTEBOOK)
    return work


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty home of somebody who has never run Jupyter; Prometheus stays where it was."""
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(find_prometheus().path))
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("JUPYTER", "IPYTHON", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    return home


def test_serves_a_newcomer_without_pop_ups_and_leaves_nothing(folder: Path, newcomer: Path) -> None:
    with JupyterServer(folder) as server:
        page = requests.get(server.first_page, timeout=30)
        assert page.status_code == 200
        assert FIRST_NOTEBOOK in urlsplit(server.first_page).path
        assert _setting(server, "apputils-extension:notification", "fetchNews") == "false"
        assert _setting(server, "apputils-extension:notification", "checkForUpdates") is False
        kernel = _start_kernel(server.url, server.token)
        assert kernel.exe() == psutil.Process().exe()

    assert not alive(kernel.pid)
    assert not server.log.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url, timeout=5)


def test_kernel_of_the_persons_own_named_python3_is_not_taken(
    folder: Path, newcomer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ipython kernel install --user` of another Python leaves one, and it has no labkit."""
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(newcomer / "data"))
    spec = newcomer / "data" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/another/python"], "display_name": "Another"}))
    listed = [sys.executable, "-m", "jupyter", "kernelspec", "list", "--json"]

    specs = json.loads(subprocess.check_output(listed, env=environment(), text=True))

    assert specs["kernelspecs"]["python3"]["spec"]["display_name"] != "Another"


def test_taken_port_is_refused_by_number_and_stepped_over_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {taken} is taken"):
            JupyterServer(folder, port=taken)
        # Rather than 8888, which another test beside this one may have and give back.
        monkeypatch.setenv("JUPYTER_PORT", str(taken))
        with JupyterServer(folder) as server:
            port = urlsplit(server.url).port
    assert port is not None
    assert 0 < abs(port - taken) <= 100, "one nearby"


def test_a_server_serves_once_it_answers_itself(folder: Path) -> None:
    """It writes its file before it opens its port, which may be another's by then."""
    with JupyterServer(folder) as server:
        info = {"url": server.url, "token": server.token}
        assert _answers(info)
        assert not _answers({**info, "token": "that of another server on this port"})
    assert not _answers(info)


def test_several_that_start_at_once_have_a_port_each(folder: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(lambda _: JupyterServer(folder), range(3)))
    try:
        assert len({server.url for server in servers}) == 3
        assert all(_answers({"url": s.url, "token": s.token}) for s in servers)
    finally:
        for server in servers:
            server.close()


def test_jupyterlab_that_cannot_start_shows_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(in_the_way / "runtime"))

    with pytest.raises(LabError, match="before it served") as failure:
        JupyterServer(folder)

    assert "a file" in failure.value.evidence


# --- How it ends ------------------------------------------------------------------------------


@pytest.fixture
def terminal(folder: Path, newcomer: Path) -> Iterator[Terminal]:
    """`labkit lab` in a terminal."""
    with Terminal(folder) as terminal:
        yield terminal


class Terminal:
    """`labkit lab --no-browser` in a terminal of its own, with one kernel running."""

    def __init__(self, folder: Path) -> None:
        import pexpect

        arguments = ["-m", "labkit", "lab", "--no-browser", str(folder)]
        self.child = pexpect.spawn(sys.executable, arguments, encoding="utf-8", timeout=60)
        self.child.expect(r"(http://127\.0\.0\.1:\d+/)lab/tree/\S+\?token=(\w+)\s")
        self.screen = self.child.before + self.child.after
        self.url, self.token = self.child.match.groups()
        self.child.expect("Ctrl-C here")
        try:
            _start_kernel(self.url, self.token)
        except BaseException:
            self.child.close(force=True)
            raise
        self.processes = psutil.Process(self.child.pid).children(recursive=True)

    def wait_until_all_is_gone(self, seconds: float = 30) -> None:
        """Wait until neither the command nor anything it started runs."""
        wait_for(lambda: not any(alive(process.pid) for process in self.processes), seconds)
        wait_for(lambda: not alive(self.child.pid), seconds)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)


@posix
def test_ctrl_c_ends_jupyterlab_and_its_kernels(terminal: Terminal) -> None:
    import pexpect

    terminal.child.sendintr()
    terminal.child.expect("Stopping JupyterLab")
    terminal.child.expect(pexpect.EOF)

    terminal.wait_until_all_is_gone()
    assert terminal.child.wait() == 0
    everything = terminal.screen + terminal.child.before
    assert not re.search(r"\[[WEC] |Warning|Traceback", everything), everything
    assert len(terminal.screen.splitlines()) < 6, terminal.screen


@posix
def test_closed_terminal_ends_jupyterlab_and_its_kernels(terminal: Terminal) -> None:
    terminal.child.ptyproc.fileobj.close()

    terminal.wait_until_all_is_gone()
    assert not alive(terminal.child.pid)


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signal_to_the_command_alone_ends_jupyterlab_and_its_kernels(
    terminal: Terminal, number: signal.Signals
) -> None:
    os.kill(terminal.child.pid, number)

    terminal.wait_until_all_is_gone()
    assert not alive(terminal.child.pid)


@posix
def test_shut_down_from_its_menu_ends_the_command_too(terminal: Terminal) -> None:
    _ask(terminal.url, terminal.token, "POST", "api/shutdown")

    terminal.wait_until_all_is_gone()
    assert terminal.child.wait() == 0


@posix
def test_jupyterlab_that_is_killed_is_reported(terminal: Terminal) -> None:
    import pexpect

    jupyter = next(p for p in terminal.processes if "jupyterlab" in p.cmdline()[1:3])
    jupyter.kill()

    terminal.child.expect("LabError: JupyterLab ended with exit code 137")
    terminal.child.expect(pexpect.EOF)
    terminal.wait_until_all_is_gone()
    assert terminal.child.wait() == 1


# --- What it is started with --------------------------------------------------------------------


def test_notebooks_are_copied_once_and_then_left_alone(tmp_path: Path) -> None:
    work = notebooks_folder(copy_to=tmp_path / "work")
    (work / FIRST_NOTEBOOK).write_text("mine")

    assert notebooks_folder(copy_to=work) == work
    assert (work / FIRST_NOTEBOOK).read_text() == "mine"


def test_notebooks_of_a_clone_are_worked_in_where_they_are() -> None:
    assert notebooks_folder() == Path(__file__).parents[1] / "notebooks"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there is no root here")
@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_only_for_root(
    user: int, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)

    assert ("--allow-root" in command(Path(), port=None, browser=False)) is allowed


def test_settings_of_the_person_stay_behind_the_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")

    first, second = environment()["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert Path(first, "labconfig", "default_setting_overrides.json").exists()
    assert second == "/mine"


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="these always have a display")
def test_browser_needs_a_display_or_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    program = "from labkit.jupyter import has_display; print(has_display())"

    assert not has_display()
    named = {**os.environ, "BROWSER": "true"}  # asked anew: webbrowser looks once a process
    answer = subprocess.check_output([sys.executable, "-c", program], env=named, text=True)
    assert answer.strip() == "True"


def _ask(url: str, token: str, method: str, path: str, **body: object) -> dict[str, object]:
    headers = {"Authorization": f"token {token}"}
    answer = requests.request(method, url + path, headers=headers, json=body, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else {}


def _setting(server: JupyterServer, plugin: str, name: str) -> object:
    """Return what JupyterLab takes for a setting of somebody who has changed none."""
    path = f"lab/api/settings/@jupyterlab/{plugin}"
    answer: Any = _ask(server.url, server.token, "GET", path)
    return answer["schema"]["properties"][name]["default"]


def _start_kernel(url: str, token: str) -> psutil.Process:
    """Start a kernel and return its process, once it is past its own start."""
    before = set(psutil.Process().children(recursive=True))
    kernel = _ask(url, token, "POST", "api/kernels", name="python3")
    # A kernel that is shut down while it starts complains in the log.
    wait_for(lambda: _connection_is_open(url, token, kernel["id"]), 60)
    started = set(psutil.Process().children(recursive=True)) - before
    return next(p for p in started if "ipykernel_launcher" in " ".join(p.cmdline()))


def _connection_is_open(url: str, token: str, kernel: object) -> bool:
    import websocket

    address = f"{url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels?token={token}"
    try:
        connection = websocket.create_connection(address, timeout=10)
    except websocket.WebSocketTimeoutException:
        # The server waits for a kernel that has to be started again: a port that Jupyter chose
        # for it was another process's by the time the kernel opened it.
        return False
    request = {
        "header": {"msg_type": "kernel_info_request", "msg_id": "1", "session": "test"},
        "parent_header": {},
        "metadata": {},
        "content": {},
        "channel": "shell",
    }
    with contextlib.closing(connection):
        connection.send(json.dumps(request))
        while True:
            if json.loads(connection.recv())["msg_type"] == "kernel_info_reply":
                return True
