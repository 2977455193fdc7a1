"""The lab in one file: packed here, installed where there is no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from labkit import __version__, bundle
from labkit.cli import main
from tests.notebook_cells import NOTEBOOKS
from tests.prometheus_lines import binaries
from tests.venvs import ROOT, pip_settings


def pack(path: Path) -> Result:
    return CliRunner().invoke(main, ["bundle", str(path)])


def without_network() -> list[str]:
    """Return what to put before a command that has no network, not even this computer's own."""
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("this system does not let a test take the network away")
    return alone


def install(
    folder: Path, *arguments: object, before: list[str], **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, str(folder / "install.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **more},
    )


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without the wheels of others: they would take a minute."""
    folder = tmp_path_factory.mktemp("bundle")

    def own_wheel(wheels: Path) -> None:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", wheels, ROOT]
        subprocess.run(command, check=True, timeout=120, env=os.environ | pip_settings())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bundle, "collect_wheels", own_wheel)
        patched.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
        done = pack(folder / "lab.zip")
    assert done.exit_code == 0, done.output
    assert [path.name for path in folder.iterdir()] == ["lab.zip"]
    with zipfile.ZipFile(folder / "lab.zip") as packed:
        packed.extractall(folder)
    return folder / "lab"


def test_a_bundle_installs_and_runs_without_network(unpacked: Path, tmp_path: Path) -> None:
    there = tmp_path / "a folder"
    # The packages of others are those of the tests: no-deps, and a .pth to where they are.
    (tmp_path / "pip.conf").write_text("[install]\nno-deps = true\n", encoding="utf-8")
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')", encoding="utf-8")
    astray = {"PIP_TARGET": str(tmp_path / "astray"), "PYTHONPATH": str(tmp_path)}
    settings = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), **astray}
    done = install(unpacked, there, before=without_network(), **settings)
    assert not (tmp_path / "astray").exists()
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(there / "open-lab") in done.stdout
    site = next((there / ".venv").glob("lib/python*/site-packages"))
    (site / "present.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")

    copied = {path.name for path in (there / "notebooks").glob("*.ipynb")}
    assert copied == {path.name for path in NOTEBOOKS}
    launcher = (there / "open-lab").read_text(encoding="utf-8").replace(" lab ", " prometheus #")
    (there / "which").write_text(launcher, encoding="utf-8")
    shown = subprocess.run(
        ["sh", there / "which"], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert f"Prometheus {binaries()[-1].version}" in shown.stdout
    assert str(there / "prometheus") in shown.stdout
    inside = [str(there / ".venv" / "bin" / "python"), "-c", "import labkit;print(labkit.__file__)"]
    where = subprocess.run(inside, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert Path(where.stdout).is_relative_to(there), where.stderr

    again = install(unpacked, there, before=[])
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_another_python_is_told_which_one_it_takes(unpacked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lab"
    shutil.copytree(unpacked, copy, ignore=shutil.ignore_patterns("wheels", "prometheus"))
    about = json.loads((copy / "bundle.json").read_text())
    assert about["labkit"] == __version__
    (copy / "bundle.json").write_text(json.dumps({**about, "python": "3.99"}))
    done = install(copy, tmp_path / "there", before=[])
    assert done.returncode == 1
    assert "This bundle is for Python 3.99" in done.stderr
    assert not (tmp_path / "there").exists()


def test_what_stands_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    assert "There is no folder" in pack(tmp_path / "no" / "lab.zip").stderr

    monkeypatch.setattr(bundle, "_CLONE", tmp_path)
    assert "run labkit bundle in a clone" in pack(tmp_path / "lab.zip").stderr

    (tmp_path / "pyproject.toml").write_text("not TOML")
    (tmp_path / "constraints.txt").touch()
    failed = pack(tmp_path / "lab.zip")
    assert failed.exit_code == 1
    assert "The wheels can't be collected." in failed.stderr
    assert "TOML" in failed.stderr
    assert not (tmp_path / "lab.zip").exists()
