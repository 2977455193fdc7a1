"""`labkit demo`: the menu in a terminal, and scenarios by name."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from app import create_app
from labkit.cli import main
from labkit.cli.demo import _tell_how_to_watch
from labkit.cli.finding import Found
from labkit.server import AppServer
from labkit.traffic.scenarios import SCENARIOS
from tests.cli_process import environment, finish, piped, terminal
from tests.promql_data import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX systems")


@pytest.fixture
def env(tmp_path, monkeypatch) -> dict[str, str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return environment(tmp_path)


@pytest.fixture
def app() -> Flask:
    """The app, with /slow quick enough for a test."""
    app = create_app({"SEED": 3})
    app.extensions["faults"].update(
        slow_min_seconds=0.01, slow_max_seconds=0.02, slow_timeout_seconds=0.03
    )
    return app


@pytest.fixture
def server(app) -> Iterator[AppServer]:
    with AppServer(app, threads=64) as server:
        yield server


def counted(app: Flask) -> float:
    metrics = app.extensions["metrics"].collect()
    samples = next(metric.samples for metric in metrics if metric.name == "flask_requests")
    return sum(sample.value for sample in samples)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def test_the_menu_runs_what_is_chosen_and_comes_back_until_quit(app, server, env):
    with terminal("demo", "--url", server.url, "--speed", "30", env=env) as child:
        for number, words in enumerate(
            ["Basic traffic", "Error burst", "Timeouts", "Heavy", "full", "How to watch", "Quit"], 1
        ):
            child.expect(rf"{number}  .*{words}")
        child.expect("Choose")
        child.sendline("6")
        child.expect("In Grafana")
        child.expect("Choose")
        child.sendline("9")
        child.expect("not in the range 1<=x<=7")
        child.sendline("1")
        child.expect("Watch: ")
        child.expect("4 sent, 4 answered")
        assert counted(app) == 4
        child.expect("Choose")
        child.sendline("7")
        assert finish(child) == 0


@pytest.mark.parametrize("status", [200, 500])
def test_how_to_watch_names_only_what_opens(capsys, status):
    with Target("", status=status) as prometheus:
        _tell_how_to_watch(Found("http://127.0.0.1:5000", prometheus.url, "labkit up"))
    words = capsys.readouterr().out
    assert (f"{prometheus.url}/graph" in words) == (status == 200)
    assert f"labkit grafana DIR --prometheus-url {prometheus.url}" in words


def test_ctrl_c_stops_a_scenario_and_the_menu_goes_on(app, server, env):
    with terminal("demo", "--url", server.url, env=env) as child:
        child.expect("Choose")
        child.sendline("1")
        child.expect(r"[1-9]\d* sent")
        child.sendintr()
        child.expect("Basic traffic: stopped")
        child.expect("Choose")
        child.sendintr()
        assert finish(child) == 0
    assert 0 < counted(app) < 120


def test_the_full_demonstration_by_name_counts_what_the_app_counts(app, server, env):
    arguments = ("--scenario", "full", "--speed", "100", "--seed", "2", "--json")
    done = piped("demo", *arguments, "--url", server.url, env=env)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert [step["title"] for step in data["steps"]] == [
        step.title for step in SCENARIOS["full"].at_speed(100).steps
    ]
    assert all(step["responses"] == step["sent"] > 0 for step in data["steps"])
    assert sum(step["responses"] for step in data["steps"]) == counted(app)
    assert len({step["seed"] for step in data["steps"]}) == len(data["steps"])
    assert "\x1b" not in done.stdout + done.stderr


def test_without_a_terminal_a_scenario_must_be_named(server, env):
    done = invoke("demo", "--url", server.url)
    assert done.exit_code == 2
    assert "--scenario" in done.stderr
    assert all(name in done.stderr for name in SCENARIOS)
    assert invoke("demo", "--json", "--url", server.url).exit_code == 2
    assert invoke("demo", "--scenario", "opera").exit_code == 2


def test_a_demo_against_nobody_fails_at_once(env):
    done = invoke("demo", "--scenario", "basic", "--url", "http://127.0.0.1:9")
    assert (done.exit_code, "Nothing answers" in done.stderr) == (1, True)
