"""`labkit check` and `labkit deploy-files`, as a terminal runs them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from app import create_app
from labkit import cli, registry
from labkit.server import AppServer

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("LABKIT_APP_URL", "LABKIT_PROMETHEUS_URL", "LABKIT_PROMETHEUS_HEADERS"):
        monkeypatch.delenv(name, raising=False)


def labkit(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def states(result: Result) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(result.stdout)["findings"]}


def test_with_nothing_running_the_check_is_well_and_says_how_to_start():
    result = labkit("check")
    assert result.exit_code == 0, result.output
    assert "`labkit up`" in result.output
    assert "8 skipped" in result.output


def test_a_failure_is_exit_code_1_with_what_to_do():
    result = labkit("check", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "Connection refused" in result.output
    assert "→ start it" in result.output


def test_json_is_the_whole_report():
    result = labkit("check", "--json", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    found = states(result)
    assert (found["App"], found["Python"], found["Prometheus"]) == ("failed", "ok", "skipped")


def test_the_lab_that_runs_is_found_with_its_logs(tmp_path: Path):
    (tmp_path / "server.log").write_text('{"level": "error", "message": "the loop ended"}\n')
    with AppServer(create_app()) as server:
        entry = registry.announce("lab", url=server.url, folder=tmp_path)
        try:
            result = labkit("check", "--json")
        finally:
            entry.withdraw()
    found = states(result)
    assert (found["App"], found["Metrics"], found["Logs"]) == ("ok", "ok", "warning")
    assert "the loop ended" in result.stdout


def test_the_addresses_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABKIT_APP_URL", "http://127.0.0.1:1")
    assert states(labkit("check", "--json"))["App"] == "failed"


def test_headers_that_are_none_are_a_usage_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABKIT_PROMETHEUS_HEADERS", "X-Scope-OrgID: 1")
    result = labkit("check", "--prometheus-url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "must be a JSON object" in result.output


def test_the_check_works_beside_an_app_py_and_names_it(tmp_path: Path):
    (tmp_path / "app.py").write_text("raise SystemExit('this is not the app')")
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "check"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert f"{tmp_path / 'app.py'} hides the module `app`" in done.stdout
    assert "\x1b" not in done.stdout


def test_deploy_files_are_written_and_explained(tmp_path: Path):
    folder = tmp_path / "deploy"
    result = labkit("deploy-files", str(folder), "--python", "/opt/x/python3", "--user", "shop")
    assert result.exit_code == 0, result.output
    assert f"wrote {folder / 'flask-app.service'}" in result.output
    assert "systemd-analyze verify" in result.output
    text = (folder / "flask-app.service").read_text()
    assert "ExecStart=/opt/x/python3 -m app" in text
    assert "User=shop" in text


def test_commands_with_a_path_that_has_spaces_are_ones_to_copy(tmp_path: Path):
    folder = tmp_path / "my files"
    output = labkit("deploy-files", str(folder)).output
    commands = [shlex.split(line) for line in output.splitlines() if line.startswith("  ")]
    assert ["systemd-analyze", "verify", str(folder / "flask-app.service")] in commands
    assert ["promtool", "check", "config", str(folder / "prometheus.yml")] in commands


def test_deploy_files_refuse_to_overwrite(tmp_path: Path):
    assert labkit("deploy-files", str(tmp_path)).exit_code == 0
    again = labkit("deploy-files", str(tmp_path))
    assert again.exit_code == 1
    assert "--force" in again.output
    assert labkit("deploy-files", str(tmp_path), "--force").exit_code == 0


@pytest.mark.parametrize("options", [["--python", "python3"], ["--user", "two words"]])
def test_deploy_files_that_would_not_work_are_a_usage_error(tmp_path: Path, options: list[str]):
    result = labkit("deploy-files", str(tmp_path / "x"), *options)
    assert result.exit_code == 2
    assert "it must be" in result.output
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["check", "deploy-files"])
def test_help_has_examples(command: str):
    result = labkit(command, "--help")
    assert result.exit_code == 0
    assert f"labkit {command}" in result.output.partition("Examples:")[2]
