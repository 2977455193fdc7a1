"""Commands when something gives way: no folder for files, a worker that ends, a hasty user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import requests
from click.testing import CliRunner

from app import create_app
from labkit.cli import live, main
from labkit.cli.signals import noting
from labkit.server import AppServer
from tests.cli_process import COMMAND, environment, finish, processes_below, terminal
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[AppServer]:
    with AppServer(create_app({"SEED": 3})) as server:
        yield server


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def no_state(tmp_path, monkeypatch) -> None:
    """A state folder that cannot be made, as in a home that is read-only."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(in_the_way))


@pytest.mark.parametrize("arguments", [("5", "0.1"), ("-s",), ("-t",)])
def test_traffic_to_an_address_needs_no_state_folder(server, no_state, arguments):
    done = invoke("traffic", *arguments, "--url", server.url)
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query", "up"), "Nothing is running"),
        (("logs", "app"), "Nothing is running"),
        (("background", "status"), "XDG_STATE_HOME"),
        (("up", "--app-port", "0", "--prometheus-port", "0"), "XDG_STATE_HOME"),
    ],
)
def test_without_a_state_folder_a_command_says_so_in_a_line(no_state, arguments, words):
    done = invoke(*arguments)
    assert (done.exit_code, words in done.stderr) == (1, True), (done.output, done.exception)


def sender_below(pid: int) -> psutil.Process:
    """Return the process that sends the traffic of a command, once it is there."""

    def found() -> list[psutil.Process]:
        return [p for p in processes_below(pid) if "labkit.traffic.worker" in p.cmdline()[:5]]

    wait_for(found, 20)
    return found()[-1]  # the first is its guard


def answered(server: AppServer) -> float:
    """Return how many requests to / the app has answered."""
    page = requests.get(f"{server.url}/metrics", timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith("flask_requests_total{")]
    return sum(float(line.split()[-1]) for line in lines if 'endpoint="/"' in line)


posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX systems")


@posix
def test_a_worker_that_was_killed_is_told_without_the_log_that_went_with_it(server, tmp_path):
    env = environment(tmp_path)
    with terminal("traffic", "600", "60", "--mix", "/=1", "--url", server.url, env=env) as child:
        child.expect(r"[1-9]\d* sent")
        sender_below(child.pid).kill()
        child.expect("WorkerDied: The process that sends the traffic was ended by SIGKILL")
        assert finish(child) == 1
        assert "traffic.log" not in child.before
        assert "again" in child.before


@posix
def test_a_failure_in_a_scenario_brings_the_menu_back(server, tmp_path):
    with terminal("demo", "--url", server.url, env=environment(tmp_path)) as child:
        child.expect("Choose")
        child.sendline("1")
        child.expect(r"[1-9]\d* sent")
        sender_below(child.pid).kill()
        child.expect("Basic traffic: broken off")
        child.expect("WorkerDied")
        child.expect("Choose")
        child.sendline("7")
        assert finish(child) == 0


@posix
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.3, 0.5])
def test_ctrl_c_hit_twice_loses_neither_the_summary_nor_the_exit_code(server, tmp_path, seconds):
    command = [*COMMAND, "spike", "2", "60", "--mix", "/=1", "--url", server.url]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: answered(server) > 10)
        process.send_signal(signal.SIGINT)
        threading.Event().wait(seconds)
        process.send_signal(signal.SIGINT)
        words, problems = process.communicate(timeout=30)
    assert (process.returncode, "Aborted" in problems) == (130, False), problems
    assert "achieved" in words


def test_a_later_signal_breaks_off_until_the_summary_begins(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("labkit.cli.signals.time.monotonic", lambda: now[0])
    with noting() as ending:
        for now[0] in (0.0, 0.5):
            ending.note(signal.SIGINT)
        now[0] = 1.5
        with pytest.raises(KeyboardInterrupt):
            ending.note(signal.SIGINT)
        ending.finish()
        ending.note(signal.SIGINT)
        assert ending.exit_code == 130


@posix
def test_a_worker_that_does_not_report_any_more_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(live, "_SILENT_LOOKS", 10)

    def freeze() -> None:
        sender = sender_below(os.getpid())
        time.sleep(0.5)
        sender.suspend()

    thread = threading.Thread(target=freeze)
    thread.start()
    done = invoke("traffic", "30", "3", "--mix", "/=1", "--url", server.url)
    thread.join()
    assert (done.exit_code, "does not report any more" in done.stderr) == (1, True), done.output
    assert "broken off" in done.stdout
