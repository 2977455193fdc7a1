"""The files for a deployment: what they say, what checks them, and what is left alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit import deploy
from labkit.errors import LabError
from labkit.prometheus.config import JOB
from tests.waiting import wait_for

if TYPE_CHECKING:
    from labkit.prometheus.candidate import Binary

VERIFY = shutil.which("systemd-analyze")


def unit(**options: str | None) -> str:
    return deploy.render(**options)[deploy.UNIT]


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VERIFY), "verify", folder / deploy.UNIT], capture_output=True, text=True, timeout=60
    )


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not on this machine")
@pytest.mark.parametrize("user", [None, "shop"])
def test_systemd_accepts_the_unit(tmp_path: Path, user: str | None):
    deploy.write(tmp_path, user=user)
    done = verify(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not on this machine")
def test_systemd_finds_an_interpreter_with_a_space_and_a_percent_sign(tmp_path: Path):
    """And says so where it is not there: the path is read as it was meant."""
    python = tmp_path / "my python 50%d" / "python3"
    deploy.write(tmp_path, python=str(python))
    done = verify(tmp_path)
    assert done.returncode != 0
    assert f"Command {python} is not executable" in done.stderr
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    done = verify(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is not on this machine")
def test_the_unit_leaves_the_service_few_rights(tmp_path: Path):
    deploy.write(tmp_path)
    done = subprocess.run(
        [
            *(str(VERIFY), "security", "--offline=true", "--threshold=20"),
            tmp_path / deploy.UNIT,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at a file's security")
    assert done.returncode == 0, done.stdout[-300:]  # 2.0 of 10 or better


def test_promtool_accepts_the_configuration(tmp_path: Path, prometheus_binary: Binary):
    if prometheus_binary.promtool is None:
        pytest.skip("this Prometheus came without promtool")
    deploy.write(tmp_path)
    done = subprocess.run(
        [prometheus_binary.promtool, "check", "config", tmp_path / deploy.CONFIG],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_the_configuration_names_the_job_and_the_instance_that_the_queries_count_on():
    text = deploy.render()[deploy.CONFIG]
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    assert f"- job_name: {JOB}" in lines
    assert "instance: app-1" in lines
    assert '- targets: ["127.0.0.1:5000"]' in lines


def test_the_command_of_the_unit_serves_the_app(tmp_path: Path):
    """From the unit's own working directory, with a free port in place of 5000."""
    (command,) = [line for line in unit().splitlines() if line.startswith("ExecStart=")]
    arguments = command.removeprefix("ExecStart=").replace("--port 5000", "--port 0").split()
    with (tmp_path / "output").open("wb") as output:
        service = subprocess.Popen(arguments, stdout=output, stderr=output, cwd=Path.cwd().anchor)
    try:
        wait_for(lambda: b"The app is at http://127.0.0.1:" in read(tmp_path / "output"))
    finally:
        service.terminate()
        code = service.wait(15)
    if sys.platform != "win32":
        assert code == 0, read(tmp_path / "output")


def read(path: Path) -> bytes:
    return path.read_bytes()


def test_the_unit_names_the_interpreter_and_the_user():
    text = unit(python="/opt/flask-app/bin/python3", user="flask-app")
    assert (
        "\nExecStart=/opt/flask-app/bin/python3 -m app --host 127.0.0.1 --port 5000 --log -\n"
    ) in text
    assert "\nUser=flask-app\n" in text
    assert "DynamicUser" not in text
    assert "\nDynamicUser=yes\n" in unit(user=None)
    assert "@" not in text.replace("@system-service", "").replace("@privileged @resources", "")


@pytest.mark.parametrize("python", ["python3", "", "/a'b", '/a"b', "/a\nExecStartPre=/b", "/a$b"])
def test_an_interpreter_that_would_break_the_unit_is_refused(python: str):
    if not python:
        assert deploy.default_python() in unit(python=python)
        return
    with pytest.raises(ValueError, match="absolute path such as /opt"):
        unit(python=python)


@pytest.mark.parametrize("user", ["", "two words", "a\nUser=root", "-x", "%i", "u" * 32])
def test_a_user_that_is_none_is_refused(user: str):
    with pytest.raises(ValueError, match="the name of one, such as flask-app"):
        unit(user=user)


def test_nothing_is_written_where_one_file_is_there(tmp_path: Path):
    (tmp_path / deploy.CONFIG).write_text("mine")
    with pytest.raises(LabError, match="--force") as caught:
        deploy.write(tmp_path)
    assert str(tmp_path / deploy.CONFIG) in caught.value.evidence
    assert [path.name for path in tmp_path.iterdir()] == [deploy.CONFIG]
    assert (tmp_path / deploy.CONFIG).read_text() == "mine"


def test_force_overwrites_and_leaves_nothing_else(tmp_path: Path):
    (tmp_path / deploy.CONFIG).write_text("mine")
    written = deploy.write(tmp_path, force=True)
    assert sorted(written) == sorted(tmp_path.iterdir())
    assert "job_name" in (tmp_path / deploy.CONFIG).read_text()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"cannot be written in .*file"):
        deploy.write(tmp_path / "file" / "deploy")


def test_the_next_steps_name_the_files(tmp_path: Path):
    words = deploy.next_steps(tmp_path)
    assert str(tmp_path / deploy.UNIT) in words
    assert "promtool check config" in words
