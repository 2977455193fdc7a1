"""`labkit up` in a terminal, and the commands that find it: traffic, query, logs."""

from __future__ import annotations

import json
import math
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import psutil
import pytest
import requests
from click.testing import CliRunner

from labkit import registry
from labkit.cli import main
from tests.cli_process import COMMAND, environment, finish, gone, processes_below, terminal
from tests.ports import steady_port
from tests.prometheus_lines import binaries
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX systems")

ANY_PORTS = ("--app-port", "0", "--prometheus-port", "0")


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> Iterator[dict[str, str]]:
    """One state folder for the module, for this process's commands too."""
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(state))
        yield environment(state, LABKIT_PROMETHEUS=str(binaries()[-1].path))


@pytest.fixture(scope="module")
def up(env) -> Iterator[Any]:
    """A `labkit up` in a terminal that is ready."""
    ports = ("--app-port", str(steady_port()), "--prometheus-port", str(steady_port()))
    with terminal("up", *ports, "--seed", "7", env=env) as child:
        child.expect("Ctrl-C ends it")
        yield child


@pytest.fixture
def entry(up) -> registry.Entry:
    [entry] = registry.running("up")
    return entry


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def ask(promql: str, *arguments: str) -> list[dict[str, Any]]:
    done = invoke("query", promql, "--json", *arguments)
    assert done.exit_code == 0, done.output
    series: list[dict[str, Any]] = json.loads(done.stdout)["series"]
    return series


def statistics() -> dict[str, Any]:
    """Return what the app itself has counted."""
    figures: dict[str, Any] = json.loads(invoke("traffic", "-s", "--json").stdout)
    return figures


def test_up_prints_both_addresses_and_announces_itself(up, entry):
    shown = up.before
    assert (entry.url in shown, entry.prometheus_url in shown) == (True, True)
    assert entry.pid == up.pid
    assert re.search(r"App +up +http", shown), shown


def test_up_shows_no_notes_on_its_own_queries(up):
    """First of those that look at its status, which has no traffic at first."""
    up.expect(r"up for \d+ s, no traffic")
    assert "two samples" not in up.before


def test_up_shows_the_traffic_of_the_last_seconds(up):
    assert invoke("spike", "2", "1.5", "--mix", "/=1").exit_code == 0
    up.expect(r"up for \d+ s, \d+\.\d requests/s")


def test_the_traffic_commands_find_it_and_prometheus_counts_the_same(entry):
    before = statistics()["requests_total"]
    done = invoke("traffic", "25", "1", "--mix", "everyday", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert (data["url"], data["responses"]) == (entry.url, 25)
    assert statistics()["requests_total"] == before + 25
    wait_for(lambda: ask("sum(flask_requests_total)")[0]["value"] == before + 25)


def test_both_are_reached_and_the_p95_of_the_statistics_is_that_of_prometheus(entry):
    done = invoke("traffic", "-t", "--json")
    tried = json.loads(done.stdout)
    assert [(part["url"], part["reached"]) for part in tried] == [
        (entry.url, True),
        (entry.prometheus_url, True),
    ]
    invoke("traffic", "20", "0.5")

    def p95s() -> tuple[float, float]:
        promql = "histogram_quantile(0.95, sum by (le) (flask_request_duration_seconds_bucket))"
        return statistics()["p95_seconds"], ask(promql)[0]["value"]

    wait_for(lambda: math.isclose(*p95s(), rel_tol=1e-9))


def test_a_query_prints_a_table_and_a_range_prints_sparklines(up):
    table = invoke("query", "up").stdout
    assert re.search(r"up +app-1 +flask +1\b", table), table
    done = invoke("query", "sum(flask_requests_total)", "--range", "10s", "--step", "1s")
    assert done.exit_code == 0
    assert re.search(r"[▁▂▃▄▅▆▇█]{3}", done.stdout), done.stdout
    for words in ("every 1 s", "min", "mean", "max", "last"):
        assert words in done.stdout
    [series] = ask("sum(flask_requests_total)", "--range", "10", "--step", "1s")
    values = [value for _, value in series["points"] if value is not None]
    assert len(series["points"]) == 11
    assert (series["min"], series["max"], series["last"]) == (
        min(values),
        max(values),
        values[-1],
    )


def test_a_value_that_is_no_number_says_why(up):
    done = invoke("query", "0 * up / 0")
    assert "is NaN, as 0/0 is: both sides of / are 0." in " ".join(done.stderr.split())
    assert "NaN" not in invoke("query", "up").stderr


def test_a_range_vector_is_shown_with_the_time_of_each_sample(up):
    done = invoke("query", "up[5s]")
    assert done.exit_code == 0, (done.output, done.exception)
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3} +1\b", done.stdout), done.stdout


def test_a_query_at_an_earlier_time_is_of_that_time(up):
    [series] = ask("time()", "--time", "1700000000")
    assert series == {"labels": {}, "value": 1_700_000_000.0}
    done = invoke("query", "up", "--time", "2001-01-01T00:00")
    assert (done.exit_code, "The answer is empty" in done.stdout) == (0, True)
    assert ask("up", "--time", "2001-01-01T00:00") == []


CONTROLLING = r'label_replace(vector(1), "x", "\u001b]0;title\u0007\u009b2J", "", "")'


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", CONTROLLING),
        ("query", CONTROLLING, "--range", "5s"),
        ("explain", CONTROLLING),
        ("explain", 'up{job="\x1b[2J"}'),
        ("query", "up{\x1b[2J"),
    ],
)
def test_control_codes_of_a_label_or_a_query_never_reach_the_terminal(up, arguments):
    done = invoke(*arguments)
    assert isinstance(done.exception, SystemExit | None)
    assert not {"\x1b", "\x07", "\x9b"} & {*done.output}, repr(done.output)
    assert r"\x1b" in done.output or r"\u001b" in done.output


def test_a_query_with_a_mistake_shows_the_place_and_a_next_step_for_terminals(up):
    done = invoke("query", "sum(rate(flask_requests_total[1m])")
    assert done.exit_code == 1
    assert re.search(r"^ +\^$", done.stderr, re.MULTILINE), done.stderr
    assert "lab." not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--range", "soon"), "--range must be above 0 seconds, or a duration such as 5m"),
        (("--range", "-5"), "--range must be above 0 seconds"),
        (("--step", "5s"), "--step goes with --range"),
        (("--range", "5m", "--step", "0"), "Step must be more than 0 seconds"),
        (("--time", "yesterday"), "--time must be Unix seconds or a time such as"),
        (("--time", "1e99"), "--time must be Unix seconds or a time such as"),
        (("--prometheus-url", "nowhere"), "starts with http://"),
    ],
)
def test_bad_arguments_of_a_query_are_usage_errors(up, arguments, words):
    done = invoke("query", "up", *arguments)
    assert (done.exit_code, words in done.stderr) == (2, True), done.output


@pytest.mark.parametrize("moment", ["garbage", "nan", "1e99", "0001-01-01"])
def test_a_time_that_is_none_is_a_usage_error_of_an_explanation(up, moment):
    done = invoke("explain", "up", "--time", moment)
    assert done.exit_code == 2, (done.output, done.exception)


def test_an_explanation_as_json_has_every_step(up):
    done = invoke("explain", "sum(rate(up[1s]))", "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert [(step["depth"], step["expression"]) for step in data["steps"]] == [
        (0, "sum(rate(up[1s]))"),
        (1, "rate(up[1s])"),
        (2, "up[1s]"),
    ]
    assert all(step["sentence"] for step in data["steps"])
    assert data["query"] == "sum(rate(up[1s]))"
    assert data["warnings"]


@pytest.mark.parametrize("promql", ["nosuch", "sum(", "ALERTS"])
def test_a_note_or_an_error_advises_commands_rather_than_calls(up, promql):
    for command in ("query", "explain"):
        done = invoke(command, promql)
        assert re.search(r"\blab\.|labkit\.", done.output) is None, done.output
    if promql == "nosuch":
        assert "`labkit query" in invoke("query", promql).output


def test_headers_of_the_environment_are_sent_and_checked(up, monkeypatch):
    monkeypatch.setenv("LABKIT_PROMETHEUS_HEADERS", "no json")
    done = invoke("query", "up")
    assert (done.exit_code, "JSON object" in done.stderr) == (2, True)


def test_logs_of_each_part_are_shown(up):
    invoke("traffic", "3", "0.2", "--mix", "/=1")
    lines = invoke("logs", "app", "-n", "2").stdout.splitlines()
    assert [json.loads(line)["route"] for line in lines] == ["/", "/"]
    assert "Listening on" in invoke("logs", "prometheus", "-n", "500").stdout
    assert invoke("logs", "traffic").exit_code == 0
    assert invoke("logs", "kitchen").exit_code == 2


def test_following_a_log_shows_new_lines_until_ctrl_c(up, entry, env):
    with terminal("logs", "app", "-f", "-n", "0", env=env) as child:
        for _ in range(60):  # it shows what comes after it began, whenever that is
            requests.get(f"{entry.url}/health", timeout=5)
            if child.expect(['"route": "/health"', pexpect.TIMEOUT], timeout=0.5) == 0:
                break
        child.sendintr()
        assert finish(child) == 0
        assert "Traceback" not in child.before


def test_a_taken_port_is_said_with_its_holder_and_the_option_that_helps(up, env, entry):
    port = entry.url.rpartition(":")[2]
    done = invoke("up", "--app-port", port, "--prometheus-port", "0")
    assert done.exit_code == 1
    assert f"Port {port}" in done.stderr
    assert f"`labkit up` runs already, as process {entry.pid}" in done.stderr
    assert "--app-port" in done.stderr


def test_a_second_up_whose_prometheus_port_the_first_has_is_told_so(up, entry):
    port = entry.prometheus_url.rpartition(":")[2]
    done = invoke("up", "--app-port", "0", "--prometheus-port", port)
    assert done.exit_code == 1
    assert f"`labkit up` runs already, as process {entry.pid}" in done.stderr
    assert "--prometheus-port" in done.stderr


@pytest.mark.parametrize("option", ["--url", "--prometheus-url"])
def test_a_check_of_its_address_is_one_of_all_that_it_runs(up, entry, option):
    address = entry.url if option == "--url" else entry.prometheus_url
    done = invoke("check", "--json", option, f"{address}/")
    states = {row["name"]: row["state"] for row in json.loads(done.stdout)["findings"]}
    assert {states[name] for name in ("App", "Prometheus", "Logs")} == {"ok"}, states


def test_prometheus_port_taken_is_said_and_the_app_stops_again(env):
    command = [*COMMAND, "up", "--app-port", "0", "--prometheus-port"]
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        done = subprocess.run([*command, port], env=env, capture_output=True, text=True, timeout=40)
    assert done.returncode == 1
    assert port in done.stderr
    assert "--prometheus-port" in done.stderr


# The last of those that use it, as it ends it.
def test_ctrl_c_ends_up_and_nothing_is_left(up, entry):
    below = processes_below(up.pid)
    assert below
    up.sendintr()
    up.expect("nothing is left running")
    assert finish(up) == 0
    assert gone(below)
    assert registry.running() == []
    assert not Path(entry.folder).exists()
    for address in (entry.url, entry.prometheus_url):
        host, port = address.removeprefix("http://").split(":")
        socket.create_server((host, int(port))).close()
    assert "Traceback" not in up.before


def test_up_tells_when_prometheus_dies_and_ends_with_1(env):
    with terminal("up", *ANY_PORTS, "--scrape-interval", "0.5", env=env) as child:
        child.expect("Ctrl-C ends it")
        below = processes_below(child.pid)
        [prometheus] = [process for process in below if process.name() == "prometheus"]
        prometheus.kill()
        child.expect("PrometheusExited: Prometheus ended with exit code 137")
        child.expect("Next: .*labkit up")
        assert finish(child) == 1
        assert gone(below)
    assert registry.running() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_leaves_nothing(env, number):
    command = [*COMMAND, "up", *ANY_PORTS]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any("prometheus" in p.name() for p in below(process.pid)))
        children = below(process.pid)
        process.send_signal(number)
        _, words = process.communicate(timeout=40)
    assert (process.returncode, "Traceback" in words) == (0, False), words
    assert gone(children)
    assert registry.running() == []


def below(pid: int) -> list[psutil.Process]:
    try:
        return processes_below(pid)
    except psutil.NoSuchProcess:
        return []
