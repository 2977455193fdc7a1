"""The shipped rules, tested by promtool on both lines, and rules that people add."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from labkit.errors import LabError
from labkit.prometheus.ruleset import SHIPPED, Rules, RuleSet, shipped
from labkit.prometheus.server import PrometheusServer
from labkit.promql.catalog import QUERIES
from labkit.promql.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary

TESTS = sorted((SHIPPED.parent / "tests").glob("*.test.yml"))
ALERTS = ("HighErrorRate", "NoTraffic", "SlowRequests", "TargetDown")
MINE = """\
groups:
  - name: mine
    rules:
      - alert: Busy
        expr: flask_requests_in_progress > 10
"""


def promtool(binary: Binary, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    if binary.promtool is None:
        pytest.skip(f"no promtool of version {binary.version}")
    command = [binary.promtool, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# --- The shipped rules --------------------------------------------------------------------------


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name.partition(".")[0])
def test_shipped_rules_do_what_their_tests_say(prometheus_binary: Binary, file: Path) -> None:
    done = promtool(prometheus_binary, "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_rule_fails_its_test(prometheus_binary: Binary, tmp_path: Path) -> None:
    """A test file that is not read, or asserts nothing, would pass whatever the rules say."""
    (tmp_path / "tests").mkdir()
    test = tmp_path / "tests" / "no_traffic.test.yml"
    test.write_text((SHIPPED.parent / "tests" / test.name).read_text())
    (tmp_path / SHIPPED.name).write_text(shipped().replace("[1m])) == 0", "[1m])) < 0"))
    done = promtool(prometheus_binary, "test", "rules", test)
    assert done.returncode == 1
    assert "NoTraffic" in done.stdout + done.stderr


def test_every_alert_has_a_test_words_and_a_severity() -> None:
    groups = yaml.safe_load(shipped())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert sorted(rule["alert"] for rule in alerts) == list(ALERTS)
    tested = "".join(path.read_text() for path in TESTS)
    for rule in alerts:
        assert f"alertname: {rule['alert']}\n" in tested
        assert rule["labels"]["severity"] in {"page", "ticket", "info"}
        assert set(rule["annotations"]) == {"summary", "description", "next_step"}
        assert "{{" not in rule["annotations"]["summary"], "it is shown while nothing fires, too"


def test_records_are_named_by_level_metric_and_operations() -> None:
    groups = yaml.safe_load(shipped())["groups"]
    records = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    assert records
    for name in records:
        assert re.fullmatch(r"job(_endpoint)?:flask_\w+:(ratio_)?rate(30s|2m|5m)", name), name


RECORDED = {
    "error_ratio_by_endpoint": "job_endpoint:flask_request_failures_per_requests:ratio_rate5m",
    "live_error_ratio": "job:flask_request_failures_per_requests:ratio_rate30s",
    "live_error_ratio_by_endpoint": (
        "job_endpoint:flask_request_failures_per_requests:ratio_rate30s"
    ),
}


def test_the_catalogs_ratios_are_recorded_as_they_are_asked(
    prometheus_binary: Binary, tmp_path: Path
) -> None:
    ratios = {name for name, query in QUERIES.items() if re.search(r"\)\s*/\s*sum", query.promql)}
    assert set(RECORDED) == ratios, "a ratio of the catalog has no recording rule"
    series = {'endpoint="/", status="200"': 9, 'endpoint="/", status="500"': 2}
    series['endpoint="/health", status="503"'] = 5
    expressions = []
    for name, record in RECORDED.items():
        by = "sum by (endpoint)" if "endpoint" in name else "sum"
        expressions.append(f"abs({by} ({record}) * 100 - ({QUERIES[name].promql})) < 1e-9")
    tests = {
        "rule_files": [str(SHIPPED)],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": f'flask_requests_total{{job="flask", {labels}}}', "values": values}
                    for labels, values in ((k, f"0+{step}x80") for k, step in series.items())
                ],
                "promql_expr_test": [
                    {
                        "expr": f"count({expression})",
                        "eval_time": "6m",
                        "exp_samples": [{"labels": "{}", "value": 2 if "by" in expression else 1}],
                    }
                    for expression in expressions
                ],
            }
        ],
    }
    path = tmp_path / "catalog.test.yml"
    path.write_text(yaml.safe_dump(tests))
    done = promtool(prometheus_binary, "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


# --- Rules that people add ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(
    prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("rules")
    with PrometheusServer(prometheus_binary, {}, directory=folder, rules=shipped()) as server:
        yield server


@pytest.fixture(params=["with promtool", "without promtool"])
def rules(request: pytest.FixtureRequest, server: PrometheusServer) -> Iterator[RuleSet]:
    """The rules of a server, which are the shipped ones again at the end."""
    binary, config = server.binary, server.config
    if request.param == "with promtool" and binary.promtool is None:
        pytest.skip(f"no promtool of version {binary.version}")
    if request.param == "without promtool":
        server.binary = replace(binary, promtool=None)
    yield RuleSet(server)
    server.binary = binary
    server.reload(config)


def in_force(server: PrometheusServer) -> dict[str, str]:
    """The alerts that Prometheus has, and their expressions."""
    with Client(server.url) as client:
        groups = client.get("rules", type="alert")["groups"]
    return {rule["name"]: rule["query"] for group in groups for rule in group["rules"]}


def test_rules_are_in_force_when_add_returns(
    rules: RuleSet, server: PrometheusServer, tmp_path: Path
) -> None:
    rules.add(MINE)
    assert in_force(server)["Busy"] == "flask_requests_in_progress > 10"
    path = tmp_path / "more.yml"
    path.write_text(MINE.replace("mine", "more").replace("Busy", "Busier"))
    rules.add(str(path))
    assert set(in_force(server)) == {*ALERTS, "Busy", "Busier"}


def test_a_cell_that_runs_again_replaces_its_rules(
    rules: RuleSet, server: PrometheusServer
) -> None:
    rules.add(MINE)
    rules.add(MINE.replace("mine", "other").replace("Busy", "Other"))
    rules.add(MINE.replace("10", "99"))
    assert in_force(server)["Busy"] == "flask_requests_in_progress > 99"
    assert set(in_force(server)) == {*ALERTS, "Busy", "Other"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINE.replace("> 10", "> (10"), "unclosed left parenthesis"),
        (MINE.replace("expr", "exp"), "exp"),
        (MINE.replace("rules:", "rules: ["), r"(?i)yaml|line \d"),
        (MINE + "        annotations: {summary: '{{ $nope }}'}\n", "nope"),
        ("groups: []", "There is no rule in this"),
        (MINE.replace("Busy", "HighErrorRate"), "a rule HighErrorRate already"),
        (MINE.replace("mine", "lab-alerts"), "a group lab-alerts of its own"),
        (MINE + MINE.partition("rules:\n")[2], "Busy"),
        ("no/such/file.yml", "no rules file to read at no"),
    ],
)
def test_a_bad_file_leaves_the_old_rules_running(
    rules: RuleSet, server: PrometheusServer, text: str, words: str
) -> None:
    rules.add(MINE.replace("mine", "first").replace("Busy", "First"))
    before = in_force(server)
    with pytest.raises(LabError, match=words):
        rules.add(text)
    assert in_force(server) == before
    rules.add(MINE.replace("mine", "second").replace("Busy", "Second"))
    assert set(in_force(server)) == {*before, "Second"}


def test_the_words_name_the_persons_file(
    rules: RuleSet, server: PrometheusServer, tmp_path: Path
) -> None:
    if server.binary.promtool is None:
        pytest.skip("the server knows its own copy only")
    path = tmp_path / "mine.yml"
    path.write_text(MINE.replace("> 10", "> (10"))
    with pytest.raises(LabError) as refused:
        rules.add(path)
    assert refused.value.evidence.startswith(f"{path}: 5:15: ")
    assert "promtool" in refused.value.message


def test_a_promtool_that_is_gone_is_an_error_of_the_lab(
    server: PrometheusServer, tmp_path: Path
) -> None:
    binary = server.binary
    server.binary = replace(binary, promtool=tmp_path / "gone")
    try:
        with pytest.raises(LabError, match="could not check"):
            RuleSet(server).add(MINE)
    finally:
        server.binary = binary


def test_what_is_not_a_rules_file_is_left_to_prometheus() -> None:
    odd = Rules.parse("groups: [{rules: [{expr: up}, 3], name: 7}, nothing]")
    assert odd.groups == {"7"}
    assert [str(rule) for rule in odd.rules] == ["a rule without a name"]
