"""`labkit background` as a person or a script uses it: real commands, real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from app import create_app
from labkit import registry
from labkit.cli.background import _added
from labkit.server import AppServer
from labkit.traffic.background import Background
from tests.background_processes import forge, processes
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.background_processes import Processes

__all__ = ["processes"]

LABKIT = [sys.executable, "-m", "labkit", "background"]


class App:
    """The real app, and its own counters."""

    def __init__(self) -> None:
        self._app = create_app({"SEED": 1})
        self.server = AppServer(self._app)
        self.url = self.server.url

    def counted(self) -> dict[str, float]:
        """Return the requests that it counted, by status."""
        registry = self._app.extensions["metrics"].registry
        samples = [sample for metric in registry.collect() for sample in metric.samples]
        counts: dict[str, float] = {}
        for sample in samples:
            if sample.name == "flask_requests_total" and sample.value:
                status = sample.labels["status"]
                counts[status] = counts.get(status, 0) + sample.value
        return counts


@pytest.fixture
def app(processes: Processes) -> Iterator[App]:
    app = App()
    yield app
    app.server.close()


def labkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LABKIT, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def data(*arguments: str) -> Any:
    done = labkit(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def started(app: App) -> Background:
    return Background.start(app.url, intensity="high")


def test_start_twice_status_and_stop_twice(app: App, processes: Processes):
    mix = ("--mix", "/=3,/error=1", "--seed", "5")
    first = data("start", "--url", app.url, "--intensity", "high", *mix)
    assert (first["started"], first["running"], first["seed"]) == (True, True, 5)
    again = labkit("start", "--url", app.url.replace("127.0.0.1", "localhost"), *mix,
                   "--intensity", "high")  # fmt: skip
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "It is running already.")
    other = labkit("start", "--url", app.url)
    assert other.returncode == 1
    assert "BackgroundRunning" in other.stderr
    assert "another intensity and mix" in other.stderr
    assert processes.mains() == [first["pid"]]

    wait_for(lambda: Background.all()[0].status().responses > 3)
    shown = labkit("status")
    assert f"process {first['pid']}" in shown.stdout
    assert "running since" in shown.stdout
    told = data("logs", "-n", "2")
    assert (told["log"], len(told["lines"]) in (1, 2)) == (first["log"], True)
    stopped = data("stop")
    assert stopped["running"] is False
    (last,) = stopped["background"]
    assert (last["state"], last["pid"]) == ("stopped", None)
    assert set(last["by_status"]) == set(app.counted())
    assert sum(last["by_status"].values()) == last["responses"]
    for status, count in app.counted().items():
        assert last["by_status"][status] <= count <= last["by_status"][status] + last["cancelled"]
    again = labkit("stop")
    assert (again.returncode, again.stdout.splitlines()[0]) == (
        0,
        "No background traffic is running.",
    )
    assert data("status") == stopped


def test_nothing_has_ever_run(processes: Processes):
    assert data("status") == {"running": False, "background": []}
    assert data("logs") == {"log": None, "lines": []}
    assert labkit("logs", "-f", "--json").returncode == 2
    assert labkit("status").stdout.startswith("No background traffic is running. Start it:")
    assert labkit("stop").stdout == "No background traffic is running.\n"
    logs = labkit("logs")
    assert (logs.returncode, logs.stdout) == (0, "")
    start = labkit("start")
    assert start.returncode == 1
    assert "labkit up" in start.stderr


def test_start_finds_the_app_that_was_announced(app: App):
    entry = registry.announce("up", url=app.url)
    assert data("start", "--mix", "/=1")["url"] == app.url
    entry.withdraw()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "--intensity", "wild"), "'low', 'normal', 'high'"),
        (("start", "--url", "http://127.0.0.1:9", "--mix", "nonsense"), "everyday, errors"),
        (("logs", "-n", "0"), "1<=x<=100000"),
        (("stop", "--all", "--url", "http://127.0.0.1:9"), "either --url or --all"),
    ],
)
def test_wrong_arguments_name_what_is_accepted(
    processes: Processes, arguments: tuple[str, ...], words: str
):
    done = labkit(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_several_targets_are_listed_and_one_must_be_named(app: App):
    with AppServer(create_app()) as second:
        one, two = started(app), Background.start(second.url)
        for command in ("stop", "logs"):
            done = labkit(command)
            assert done.returncode == 2
            assert f"--url {app.url}" in done.stderr
            assert f"--url {second.url}" in done.stderr
        assert {each["url"] for each in data("status")["background"]} == {app.url, second.url}
        assert re.search(rf"{app.url} +\d", labkit("status").stdout)
        assert data("stop", "--url", second.url)["background"][0]["url"] == second.url
        assert (one.running, two.running) == (True, False)
        assert data("stop", "--all")["running"] is False
        assert not one.running


def test_a_crash_is_shown_with_the_end_of_its_log(app: App, processes: Processes):
    family = processes.family(started(app).status())
    os.kill(family[0], signal.SIGKILL)
    wait_for(lambda: not any(map(alive, family)))
    shown = labkit("status")
    assert shown.returncode == 0
    assert "crashed at" in shown.stdout
    assert "INFO started: high" in shown.stdout
    assert "No background traffic is running." in labkit("stop").stdout


def test_ctrl_c_ends_the_following_and_not_the_traffic(app: App):
    background = started(app)
    terminal = pexpect.spawn(
        sys.executable, [*LABKIT[1:], "logs", "-f", "-n", "5"], encoding="utf-8", timeout=20
    )
    terminal.expect("INFO started: high")
    with background.log.open("a") as log:
        log.write("a new line\n")
    terminal.expect("a new line")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    sent = background.status().sent
    wait_for(lambda: background.status().sent > sent)


def test_following_ends_with_the_traffic_and_shows_its_last_words(app: App):
    background = started(app)
    with subprocess.Popen([*LABKIT, "logs", "-f"], stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert "INFO started: high" in follower.stdout.readline()
        background.stop()
        rest, _ = follower.communicate(timeout=20)
    assert "INFO stopped; " in rest
    assert follower.returncode == 0


def test_following_goes_on_over_a_rotation(processes: Processes):
    log = forge("http://127.0.0.1:5000").log
    log.write_text("1\n2\nhal")
    assert _added(log, 2) == ("2\n", 4)
    log.write_text("1\n2\nhalf\n4\n")
    log.rename(log.with_name(f"{log.name}.1"))
    assert _added(log, 4) == ("half\n4\n", 0)
    log.write_text("5\n")
    assert _added(log, 4) == ("half\n4\n5\n", 2)


def test_each_command_has_help(tmp_path: Path):
    for command in ((), ("start",), ("status",), ("logs",), ("stop",)):
        done = labkit(*command, "--help")
        assert done.returncode == 0
        assert "Usage: " in done.stdout
