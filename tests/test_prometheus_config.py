"""The configuration: what Prometheus reads is what was meant, whatever the values hold."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from labkit.prometheus import lines
from labkit.prometheus.candidate import Binary
from labkit.prometheus.config import Config, ConfigFiles, duration

RULES = """\
groups:
  - name: lab
    rules:
      - record: lab:answer
        expr: vector(42)
"""


def read(config: Config) -> dict:
    return yaml.safe_load(config.render())


def test_each_target_has_its_instance_label_in_the_job_flask():
    config = Config({"app-1": "127.0.0.1:5000", "app-2": "[::1]:5001"})
    (job,) = read(config)["scrape_configs"]
    assert job["job_name"] == "flask"
    assert job["static_configs"] == [
        {"targets": ["127.0.0.1:5000"], "labels": {"instance": "app-1"}},
        {"targets": ["[::1]:5001"], "labels": {"instance": "app-2"}},
    ]


@pytest.mark.parametrize(
    ("seconds", "interval", "timeout"),
    [(1.0, "1s", "1s"), (0.25, "250ms", "250ms"), (1.5, "1500ms", "1500ms"), (60, "60s", "10s")],
)
def test_the_timeout_never_exceeds_the_interval(seconds: float, interval: str, timeout: str):
    assert read(Config({}, seconds))["global"] == {
        "scrape_interval": interval,
        "scrape_timeout": timeout,
        "evaluation_interval": interval,
    }


def test_durations_are_whole_milliseconds():
    assert [duration(s) for s in (1, 0.1, 1.2345, 3600)] == ["1s", "100ms", "1234ms", "3600s"]


@pytest.mark.parametrize(
    "label",
    ['a"b', "a\\b", "a: b # c", "{x}", "é ü 漢 😀", "line\nbreak", "del\x7f\x85\u2028", "'"],
)
def test_a_label_stays_what_it_is(label: str):
    (job,) = read(Config({label: "localhost:1"}))["scrape_configs"]
    assert job["static_configs"][0]["labels"]["instance"] == label


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1",
        "127.0.0.1",
        "127.0.0.1:0",
        "h:70000",
        "h:1/metrics",
        "",
        "a b:1",
        "h:x",
    ],
)
def test_a_target_that_is_no_address_is_refused_by_name(address: str):
    with pytest.raises(ValueError, match=r"app-1.*host:port"):
        Config({"app-1": address})


@pytest.mark.parametrize("seconds", [0, -1, 0.01, 4000, float("nan"), float("inf")])
def test_an_interval_out_of_range_is_refused_with_the_range(seconds: float):
    with pytest.raises(ValueError, match=r"from 0\.1 to 3600"):
        Config({}, seconds)


def test_an_empty_instance_label_is_refused():
    with pytest.raises(ValueError, match="app-1"):
        Config({"": "127.0.0.1:1"})


@pytest.mark.parametrize("folder", ["plain", "a [1] b", "star*", "what?", "quo'te\"s", "ünï"])
@pytest.mark.parametrize("rules", [None, RULES])
def test_both_lines_accept_the_files_wherever_they_are(
    prometheus_binary: Binary, tmp_path: Path, folder: str, rules: str | None
):
    if prometheus_binary.promtool is None:
        pytest.skip(f"no promtool of version {prometheus_binary.version}")
    files = ConfigFiles(tmp_path / folder)
    (tmp_path / folder).mkdir()
    config = Config({"app-1": "127.0.0.1:5000", "ö\x85😀": "[::1]:1"}, 0.5, rules)
    files.write(config)
    command = [prometheus_binary.promtool, "check", "config", files.main]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert ("1 rules found" in done.stdout) == (rules is not None)


def test_files_are_replaced_as_a_whole(tmp_path: Path):
    files = ConfigFiles(tmp_path)
    files.write(Config({}, rules="x" * 10_000))
    files.write(Config({}, rules="y"))
    assert files.rules.read_text() == "y"
    assert {path.name for path in tmp_path.iterdir()} == {"prometheus.yml", "rules.yml"}


@pytest.mark.parametrize(
    ("version", "major", "left_open"),
    [("2.42.0+ds", 2, False), ("3.0.0-rc.1", 3, True), ("3.5.3+ds1", 3, True), ("4.0.0", 4, True)],
)
def test_a_version_knows_its_line(version: str, major: int, left_open: bool):
    assert lines.parse(version)[0] == major
    assert lines.line(version).left_open_ranges is left_open


def test_what_is_no_version_is_refused():
    with pytest.raises(ValueError, match="not a version"):
        lines.parse("trunk")


def test_the_lines_differ_where_they_are_said_to(prometheus_binary: Binary, tmp_path: Path):
    """promtool's rule tests run the engine of each line: the ranges, and the function's name."""
    if prometheus_binary.promtool is None:
        pytest.skip(f"no promtool of version {prometheus_binary.version}")
    line = prometheus_binary.line
    samples = 4 if line.left_open_ranges else 5
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": "x", "values": "0+1x20"}],
                "promql_expr_test": [
                    {
                        "expr": "count_over_time(x[1m])",
                        "eval_time": "3m",
                        "exp_samples": [{"labels": "{}", "value": samples}],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))
    command = [prometheus_binary.promtool, "test", "rules", tmp_path / "test.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    features = ["promql-experimental-functions"] if line.smoothing_is_experimental else []
    (tmp_path / "rules.yml").write_text(
        RULES.replace("vector(42)", f"{line.smoothing}(x[1m], 0.5, 0.5)")
    )
    check = [prometheus_binary.promtool, *(f"--enable-feature={name}" for name in features)]
    done = subprocess.run([*check, "check", "rules", tmp_path / "rules.yml"], timeout=30)
    assert done.returncode == 0
