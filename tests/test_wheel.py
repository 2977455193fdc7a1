"""The wheel works elsewhere: installed in a folder that has nothing of the clone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from labkit import __version__
from tests.prometheus_lines import binaries
from tests.venvs import ROOT, Venv, pip_settings
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVED = re.compile(r"http://127\.0\.0\.1:\d+/\S*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | pip_settings(),
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Venv:
    place = Venv(tmp_path_factory.mktemp("elsewhere") / "venv")
    place.pip("install", "--quiet", "--no-deps", wheel)
    return place


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and a folder to work in; JupyterLab's own files stay where they are."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("JUPYTER", "IPYTHON", "PYTHON", "XDG_", "LABKIT_")):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    share = Path(sys.prefix) / "share" / "jupyter"
    monkeypatch.setenv("JUPYTERLAB_DIR", str(share / "lab"))
    monkeypatch.setenv("JUPYTER_PATH", str(share))
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_that_is_read_from_files_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        entry_points = archive.read(f"observability_lab-{__version__}.dist-info/entry_points.txt")
    for package in ("app", "labkit"):
        sources = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        }
        assert sources <= inside
    notebooks = {f"labkit/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert notebooks
    assert notebooks | {"labkit/guard.py", "labkit/constraints.txt"} <= inside
    assert {name.split("/")[0].split("-")[0] for name in inside} == {
        *("app", "labkit", "observability_lab")
    }, "nothing else goes into other people's site-packages"
    assert b"labkit = labkit.cli:main" in entry_points


def test_the_command_works_elsewhere(elsewhere: Venv, person: Path) -> None:
    labkit = elsewhere.scripts / "labkit"
    assert elsewhere.output([labkit, "--version"]).endswith(__version__)
    assert "Open the notebooks in JupyterLab" in elsewhere.output([labkit, "--help"])
    assert f"Prometheus {binaries()[-1].version}" in elsewhere.output([labkit, "prometheus"])
    assert elsewhere.output([labkit, "course", person / "class"]).endswith(f"{person / 'class'}")
    copied = {path.name for path in (person / "class").glob("*.ipynb")}
    assert copied == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    where = elsewhere.run("import app, labkit; print(app.__file__, labkit.__file__)").split()
    assert [Path(path).parents[1] for path in where] == [elsewhere.site_packages] * 2


def test_app_guard_and_worker_run_elsewhere(elsewhere: Venv, person: Path) -> None:
    code = (
        "import json, pathlib\n"
        "from app import create_app\n"
        "from labkit.server import AppServer\n"
        "from labkit.traffic import Controlled, Worker\n"
        "with AppServer(create_app()) as app, Worker(log=pathlib.Path('log')) as worker:\n"
        "    stats = worker.start(app.url, Controlled(5, 0.1), mix={'/': 1}).wait(30)\n"
        "print(json.dumps(stats.by_status))"
    )
    assert json.loads(elsewhere.run(code)) == {"200": 5}


def test_labkit_lab_copies_the_notebooks_and_serves_them(elsewhere: Venv, person: Path) -> None:
    command = [str(elsewhere.scripts / "labkit"), "lab", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as lab:
        try:
            address = next(filter(None, map(SERVED.search, lab.stdout)), None)
            assert address is not None, "it ended without an address"
            assert requests.get(address[0], timeout=30).status_code == 200
            copied = {path.name for path in (person / "observability-lab").glob("*.ipynb")}
            assert copied == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
            contents = address[0].replace("/lab/tree/", "/api/contents/")
            assert requests.get(contents, timeout=30).json()["type"] == "notebook"
            children = [child.pid for child in psutil.Process(lab.pid).children(recursive=True)]
        finally:
            lab.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGINT)
            lab.communicate(timeout=30)
    assert lab.returncode == 0 or sys.platform == "win32"
    wait_for(lambda: not any(map(alive, children)))


def test_notebooks_that_were_worked_in_are_kept(elsewhere: Venv, person: Path) -> None:
    code = "from labkit.jupyter import notebooks_folder; print(notebooks_folder())"
    folder = Path(elsewhere.run(code))
    first = folder / "00-open-the-lab.ipynb"
    first.write_text("my answers", encoding="utf-8")
    assert Path(elsewhere.run(code)) == folder
    assert first.read_text(encoding="utf-8") == "my answers"


@pytest.fixture(autouse=True, scope="module")
def the_clone_is_left_alone() -> Iterator[None]:
    before = set(ROOT.iterdir())
    yield
    assert {path.name for path in set(ROOT.iterdir()) - before} <= {"test-artifacts"}
