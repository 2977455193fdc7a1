"""The traffic commands, in a terminal and with pipes, against the real app."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from app import create_app
from labkit import registry
from labkit.cli import main, options, up
from labkit.exposition import read
from labkit.prometheus.config import LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS
from labkit.server import AppServer
from labkit.traffic import MIXES, caps
from tests.cli_process import COMMAND, environment, finish, gone, piped, processes_below, terminal
from tests.traffic_target import rude_server, target_server
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX systems")

CONTROL_CODE = "\x1b"
NOTHING_LISTENS = "http://127.0.0.1:9"


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
    with AppServer(app) as server:
        yield server


def counted(app: Flask) -> dict[tuple[str, str], float]:
    """Return the app's own counters of requests, zeros left out."""
    samples = next(
        metric.samples
        for metric in app.extensions["metrics"].collect()
        if metric.name == "flask_requests"
    )
    return {(s.labels["endpoint"], s.labels["status"]): s.value for s in samples if s.value}


def reported(data: dict[str, Any]) -> dict[tuple[str, str], float]:
    rows = data["by_endpoint_and_status"]
    return {(row["endpoint"], row["status"]): row["count"] for row in rows}


def invoke(*arguments: str) -> Any:
    """Run a command in this process, for what ends before it sends."""
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("traffic", "60", "1"), 60),
        (("spike", "4", "0.5"), None),
    ],
)
def test_the_json_summary_equals_the_apps_own_counters(app, server, env, arguments, expected):
    done = piped(*arguments, "--json", "--seed", "5", "--url", server.url, env=env)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert reported(data) == counted(app)
    assert data["responses"] == data["sent"] == (expected or data["sent"]) > 0
    assert data["seed"] == 5
    errors = {s.labels["error_type"]: s.value for s in error_samples(app) if s.value}
    assert data["errors_by_type"] == errors


def error_samples(app: Flask) -> list[Any]:
    return next(
        metric.samples
        for metric in app.extensions["metrics"].collect()
        if metric.name == "flask_errors"
    )


def test_traffic_in_a_terminal_shows_progress_in_colour_and_then_exact_counts(app, server, env):
    with terminal("traffic", "40", "2", "--url", server.url, env=env) as child:
        child.expect(r"\d+ sent, \d+\.\d/s, \d+ failed\s+.*0:0\d left")
        child.expect("40 requests in 2 s: finished")
        summary = child.before + child.after + child.read()
        assert finish(child) == 0
    assert CONTROL_CODE + "[32m200" in summary, "statuses are green on a terminal"
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", summary)
    for (endpoint, status), count in counted(app).items():
        assert re.search(rf"{endpoint} +{status} +{count:.0f} ", plain), plain
    assert "40 sent, 40 answered" in plain


def test_without_a_terminal_there_are_no_control_codes(server, env):
    forcing = {**env, "FORCE_COLOR": "1"}
    done = piped("traffic", "5", "0.2", "--url", server.url, env=forcing)
    assert (done.returncode, CONTROL_CODE in done.stdout + done.stderr) == (0, False)
    assert "\r" not in done.stderr
    assert "5 sent, 5 answered" in done.stdout
    assert "p95" in done.stdout


def test_with_its_outputs_closed_it_still_sends(app, server, env):
    command = [*COMMAND, "traffic", "3", "0.1", "--url", server.url]
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    assert subprocess.run(closed, env=env, timeout=40).returncode == 0
    assert sum(counted(app).values()) == 3


def test_no_color_is_respected_on_a_terminal(server, env):
    with terminal("traffic", "5", "0.2", "--url", server.url, env=env | {"NO_COLOR": "1"}) as child:
        assert finish(child) == 0
        assert CONTROL_CODE + "[32m" not in child.before


@pytest.mark.parametrize(
    ("arguments", "ends"),
    [
        (("traffic", "500", "20", "--mix", "/=1"), 130),
        (("spike", "2", "20", "--mix", "/=1,/health=1"), 130),
        (("continuous", "high", "--mix", "/=1"), 0),
    ],
)
def test_ctrl_c_stops_cleanly_with_the_summary(app, server, env, arguments, ends):
    with terminal(*arguments, "--url", server.url, env=env) as child:
        child.expect(r"[1-9]\d* sent, \d+\.\d/s")
        below = processes_below(child.pid)
        child.sendintr()
        child.expect(r"stopped.* after \d+\.\d s")
        assert finish(child) == ends
        assert gone(below)
        sent, answered = re.search(r"([\d,]+) sent, ([\d,]+) answered", child.before).groups()
    assert "Traceback" not in child.before
    least, most = (int(text.replace(",", "")) for text in (answered, sent))
    assert least <= sum(counted(app).values()) <= most


def test_continuous_counts_on_and_ends_with_exit_code_0_on_sigterm(app, server, env):
    command = [*COMMAND, "continuous", "high", "--json", "--mix", "/=1", "--url", server.url]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        wait_for(lambda: sum(counted(app).values()) >= 2)
        process.send_signal(signal.SIGTERM)
        text, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    data = json.loads(text)
    # What was on its way when the end came may have reached the app or not.
    arrived = sum(counted(app).values())
    assert data["responses"] <= arrived <= data["responses"] + data["cancelled"]


def test_a_closed_terminal_ends_the_command_and_its_worker(server, env):
    with terminal("continuous", "--url", server.url, env=env) as child:
        child.expect("sent")
        processes = processes_below(child.pid)
        assert processes
        child.ptyproc.fileobj.close()  # as when its window is closed: SIGHUP, and no terminal
        wait_for(lambda: not child.isalive() and gone(processes))
    assert child.signalstatus is None, "it ended by itself"


def test_kill_9_leaves_no_worker(app, server, env):
    command = [*COMMAND, "traffic", "100", "60", "--url", server.url]
    with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: counted(app))
        processes = processes_below(process.pid)
        assert processes
        process.kill()
        wait_for(lambda: gone(processes))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("traffic", "0"), "'0' is not a whole number of requests from 1 to"),
        (("traffic", "1.5"), "a whole number of requests from 1 to"),
        (("traffic", "10", "-1"), "SECONDS is a number of seconds above 0 and up to 86,400"),
        (("spike", "-5"), "THREADS is a whole number of users from 1 to 500"),
        (("traffic", "10", "0"), "a number of seconds above 0 and up to 86,400"),
        (("traffic", "10", "86401"), "a number of seconds above 0 and up to 86,400"),
        (("traffic", "10", "nan"), "a number of seconds above 0"),
        (("traffic", "9999", "1", "--url", "URL"), "at most 2,000 requests per second"),
        (("spike", "501"), "a whole number of users from 1 to 500"),
        (("spike", "many"), "a whole number of users from 1 to 500"),
        (("continuous", "enormous"), "'low', 'normal', 'high'"),
        (("spike", "--mix", "nothing"), "none of everyday, errors, timeouts"),
        (("spike", "--mix", "/=0"), "weights above 0"),
        (("spike", "--timeout", "0"), "above 0 and up to 3,600"),
        (("demo", "--speed", "0", "--scenario", "basic"), "above 0 and up to 100"),
        (("up", "--scrape-interval", "0.05"), "a number of seconds from 0.1 to 3,600"),
    ],
)
def test_a_bad_number_is_a_usage_error_that_names_the_range(server, env, arguments, words):
    done = invoke(*(server.url if argument == "URL" else argument for argument in arguments))
    assert (done.exit_code, words in done.output) == (2, True), done.output


def test_the_ranges_of_the_options_are_the_caps():
    assert options._MOST_USERS == caps.MAX_USERS
    assert options._MOST_SECONDS == caps.MAX_SECONDS
    assert options._MOST_REQUESTS == caps.MAX_SECONDS * caps.MAX_REQUESTS_PER_SECOND
    assert set(options._MIXES) == set(MIXES)
    interval = up._INTERVAL
    assert (interval._low, interval._high) == (LEAST_INTERVAL_SECONDS, MOST_INTERVAL_SECONDS)


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("traffic",), "--url"),
        (("traffic", "-s"), "--url"),
        (("traffic", "-t"), "--url"),
        (("continuous",), "--url"),
        (("spike",), "--url"),
        (("demo", "--scenario", "basic"), "--url"),
        (("background", "start"), "--url"),
        (("query", "up"), "--prometheus-url"),
        (("explain", "up"), "--prometheus-url"),
        (("logs", "app"), None),
    ],
)
def test_with_nothing_running_each_command_names_what_helps_it(env, arguments, option):
    done = invoke(*arguments)
    assert done.exit_code == 1
    assert "Nothing is running" in done.output
    assert "labkit up" in done.output
    assert re.findall(r"--[a-z-]+", done.output) == ([option] if option else [])


def test_another_machine_is_refused_unless_allowed(env):
    done = invoke("spike", "--url", "http://192.0.2.1:80")
    assert (done.exit_code, "--allow-remote" in done.output) == (1, True)


def test_an_app_that_does_not_listen_is_said_at_once(env):
    done = invoke("traffic", "--url", NOTHING_LISTENS)
    assert (done.exit_code, f"Nothing answers at {NOTHING_LISTENS}" in done.output) == (1, True)


def test_a_run_without_a_single_answer_is_a_failure(env):
    with rude_server(b"") as server:
        done = invoke("traffic", "3", "0.2", "--url", server.url)
    assert done.exit_code == 1
    assert "None of 3 requests was answered" in done.stderr
    assert "3 sent, 0 answered" in done.stdout


def test_redirects_are_not_followed(env):
    with target_server() as target:
        done = invoke("traffic", "4", "0.2", "--mix", "/away=1", "--url", target.url)
        assert dict(target.counts) == {"/away": 4}
    assert "302" in done.stdout


def test_what_runs_is_found_after_option_and_environment(app, server, env, monkeypatch):
    def tried(*arguments: str) -> list[str]:
        return [part["url"] for part in json.loads(invoke(*arguments).stdout)]

    test = ("traffic", "-t", "--json")
    registry.announce("up", url=server.url, prometheus_url=NOTHING_LISTENS)
    assert tried(*test) == [server.url, NOTHING_LISTENS]
    assert tried(*test, "--url", f"{server.url}/") == [server.url, NOTHING_LISTENS]
    monkeypatch.setenv("LABKIT_APP_URL", "http://127.0.0.1:7")
    monkeypatch.setenv("LABKIT_PROMETHEUS_URL", "http://127.0.0.1:8")
    assert tried(*test) == ["http://127.0.0.1:7", "http://127.0.0.1:8"]
    options = ("--url", server.url, "--prometheus-url", NOTHING_LISTENS)
    assert tried(*test, *options) == [server.url, NOTHING_LISTENS]


def test_a_stale_entry_is_not_taken_for_a_lab(server, env):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        entry = registry.announce("up", url=server.url, pid=ended.pid)
    done = invoke("traffic")
    assert (done.exit_code, "Nothing is running" in done.output) == (1, True)
    assert not entry.path.exists()


def test_statistics_are_the_apps_own_and_nothing_is_sent(app, server, env):
    invoke("traffic", "20", "0.3", "--url", server.url)
    before = counted(app)
    done = invoke("traffic", "-s", "--json", "--url", server.url)
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    rows = {(r["endpoint"], r["status"]): r["count"] for r in data["requests"] if r["count"]}
    assert rows == before == counted(app)
    assert data["requests_total"] == 20
    assert data["uptime_seconds"] > 0
    table = invoke("traffic", "-s", "--url", server.url).stdout
    for words in ("database_error", "error rate", "uptime", "p95 latency"):
        assert words in table


def test_statistics_after_the_traffic_that_was_asked_for(server, env):
    done = invoke("traffic", "7", "0.2", "-s", "--url", server.url)
    assert done.stdout.index("7 sent") < done.stdout.index("Counted by the app")
    assert done.exit_code == 0


def test_the_connection_test_says_what_is_reached_and_sends_nothing(app, server, env):
    done = invoke("traffic", "-t", "--json", "--url", server.url)
    reached, unknown = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (reached["name"], reached["reached"], reached["advice"]) == ("App", True, "")
    assert 0 < reached["milliseconds"] < 3000
    assert "--prometheus-url" in unknown["advice"]
    assert counted(app) == {}


def test_the_connection_test_fails_where_something_is_not_reached(server, env):
    arguments = ("traffic", "-t", "--url", server.url, "--prometheus-url")
    nobody = invoke(*arguments, NOTHING_LISTENS)
    assert nobody.exit_code == 1
    assert "Not reached: Prometheus" in nobody.output
    other = invoke(*arguments, server.url)  # something answers, but it is no Prometheus
    assert (other.exit_code, "Prometheus" in other.output) == (1, True)
    assert invoke("traffic", "-t", "--url", NOTHING_LISTENS).exit_code == 1


def test_an_address_that_is_not_the_app_is_said(env):
    with target_server() as target:
        done = invoke("traffic", "-s", "--url", target.url)
    assert (done.exit_code, "not the lab's app" in done.output or "text form" in done.output) == (
        1,
        True,
    )


def test_reading_agrees_with_the_app(app, server):
    client = app.test_client()
    for path in ("/", "/", "/error", "/health"):
        client.get(path)
    reading = read(client.get("/metrics").text)
    assert reading.total == 4
    assert sum(reading.errors.values()) == sum(s.value for s in error_samples(app))


def test_every_command_has_help_with_an_example(tmp_path: Path):
    from labkit.cli import COMMANDS

    for name in COMMANDS:
        text = invoke(name, "--help").output
        assert f"labkit {name}" in text.partition("Usage:")[2], name
        assert "\\b" not in text, name
