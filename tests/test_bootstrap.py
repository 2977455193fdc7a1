"""The setup behind `make lab`: every way it can be started, cut short, and started again.

It runs for real, on a copy of bootstrap.py beside a project with no dependencies, whose build
needs no network and can be held up.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
BOOTSTRAP = ROOT / "bootstrap.py"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build backend in one function: its wheel holds nothing but metadata. It waits while there is
# a file called hold.
BACKEND = """
import pathlib, time, zipfile

METADATA = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: test\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def build_editable(folder, config_settings=None, metadata_directory=None):
    while pathlib.Path("hold").exists():
        pathlib.Path("held").touch()
        time.sleep(0.05)
    requires = pathlib.Path("requires").read_text()
    with zipfile.ZipFile(pathlib.Path(folder, "tiny-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("tiny-1.dist-info/METADATA", METADATA + requires)
        wheel.writestr("tiny-1.dist-info/WHEEL", WHEEL)
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return "tiny-1-py3-none-any.whl"
"""


class Clone:
    """A folder with bootstrap.py and the tiny project in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / ".venv"
        self.python = self.venv / (
            "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
        )
        self.log = self.venv / "install.log"

    def write_project(self) -> None:
        self.folder.mkdir(parents=True)
        shutil.copy(BOOTSTRAP, self.folder)
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        self.requires("")
        self.change()

    def requires(self, name: str) -> None:
        (self.folder / "requires").write_text(f"Requires-Dist: {name}\n" if name else "")

    def change(self) -> None:
        """Change what the project depends on, as a pull may."""
        with (self.folder / "constraints.txt").open("a") as constraints:
            constraints.write("# changed\n")

    def hold(self) -> None:
        """Have the next build wait; it says so in a file called held."""
        (self.folder / "held").unlink(missing_ok=True)
        (self.folder / "hold").touch()

    def let_go(self) -> None:
        (self.folder / "hold").unlink()

    def is_held(self) -> bool:
        return (self.folder / "held").exists()

    def start(self, *extras: str, **settings: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"} | settings
        return subprocess.Popen(
            [sys.executable, str(self.folder / "bootstrap.py"), *extras],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            start_new_session=True,
        )

    def set_up(self, *extras: str, **settings: str) -> tuple[int, str]:
        """Run bootstrap.py to its end; return its exit code and what it said."""
        with self.start(*extras, **settings) as process:
            said, _ = process.communicate(timeout=120)
            return process.returncode, said

    def is_complete(self) -> bool:
        """Whether .venv has the project in it, and the setup knows that it has finished."""
        works = subprocess.call([str(self.python), "-c", ""]) == 0
        found = [*self.venv.glob("[lL]ib/**/site-packages/tiny-1.dist-info/METADATA")]
        return works and len(found) == 1 and not (self.folder / ".venv.lock").read_text()


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone that was set up under a name with spaces, with settings that lead pip astray."""
    folder = tmp_path_factory.mktemp("bootstrap")
    clone = Clone(folder / "a clone's folder")
    clone.write_project()
    code, said = clone.set_up(
        PIP_USER="1",
        PIP_TARGET=str(folder / "astray"),
        PYTHONPATH=str(folder / "other packages"),
        VIRTUAL_ENV=str(folder / "active"),
    )
    assert code == 0, said
    return clone, said


@pytest.fixture
def clone(first_run: tuple[Clone, str]) -> Iterator[Clone]:
    """That clone, complete; a test leaves it complete."""
    clone, _ = first_run
    yield clone
    clone.requires("")
    assert clone.is_complete()


def test_first_run_makes_the_environment_despite_the_persons_own_settings(
    first_run: tuple[Clone, str],
) -> None:
    clone, said = first_run

    assert clone.is_complete()
    assert "Making .venv" in said
    assert not (clone.folder.parent / "astray").exists()


def test_second_run_does_nothing_and_says_nothing(clone: Clone) -> None:
    before = clone.log.stat().st_mtime_ns

    assert clone.set_up() == (0, "")
    assert clone.log.stat().st_mtime_ns == before


def test_changed_project_is_installed_again_into_the_same_environment(clone: Clone) -> None:
    kept = clone.venv / "kept"
    kept.touch()
    clone.change()

    code, said = clone.set_up()

    assert code == 0
    assert "Installing" in said
    assert kept.exists()


def test_extras_stay_once_they_are_there(clone: Clone) -> None:
    assert clone.set_up("test")[0] == 0
    clone.change()
    clone.set_up()

    assert clone.set_up("test") == (0, "")


def test_copied_folder_gets_an_environment_of_its_own(clone: Clone, tmp_path: Path) -> None:
    """The scripts in .venv name the folder that they were made in."""
    copy = Clone(tmp_path / "copy")
    shutil.copytree(clone.folder, copy.folder, symlinks=True)

    code, said = copy.set_up()

    assert (code, "Making .venv again" in said) == (0, True), said
    assert copy.is_complete()
    assert json.loads((copy.venv / "installed").read_text())["root"] == str(copy.folder)


def test_two_at_once_both_succeed_and_only_one_installs(clone: Clone) -> None:
    clone.change()
    clone.hold()
    with clone.start() as first:
        wait_for(clone.is_held, 60)
        with clone.start() as second:
            assert second.stdout is not None
            assert "waiting" in second.stdout.readline()
            clone.let_go()
            said_second = second.communicate(timeout=60)[0]
        said_first = first.communicate(timeout=60)[0]

    assert (first.returncode, second.returncode) == (0, 0)
    assert "Installing" in said_first
    assert "Installing" not in said_second


@pytest.mark.skipif(sys.platform == "win32", reason="signals a process group")
def test_ctrl_c_ends_pip_too_and_is_remembered(clone: Clone) -> None:
    clone.change()
    clone.hold()
    with clone.start() as process:
        wait_for(clone.is_held, 60)
        pip = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Interrupted. Run the same command again" in said
    assert "Traceback" not in said
    wait_for(lambda: not any(alive(child.pid) for child in pip), 10)
    remembered = clone.folder / ".venv.lock"
    assert remembered.read_text() == "unfinished"  # the next test shows what comes of it
    remembered.write_text("")
    clone.let_go()


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is inherited on POSIX only")
def test_killed_run_keeps_the_next_one_waiting_for_its_pip_and_then_starting_afresh(
    clone: Clone,
) -> None:
    clone.change()
    clone.hold()
    first = clone.start()
    wait_for(clone.is_held, 60)
    orphans = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.communicate(timeout=60)

    with clone.start() as second:
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        assert any(alive(orphan.pid) for orphan in orphans)
        clone.let_go()
        said, _ = second.communicate(timeout=60)

    assert (second.returncode, "Making .venv again" in said) == (0, True), said
    assert not any(alive(orphan.pid) for orphan in orphans)


def test_no_network_is_told_from_other_failures_and_the_old_installation_stays(
    clone: Clone,
) -> None:
    clone.requires("something-that-is-not-here")
    clone.change()
    refused = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}

    code, offline = clone.set_up(PIP_NO_INDEX="", **refused)
    assert code == 1
    assert "cannot be reached" in offline
    assert "Next: connect to the network" in offline
    code, missing = clone.set_up()
    assert code == 1
    assert "cannot be reached" not in missing
    assert "something-that-is-not-here" in missing

    assert clone.is_complete()
    clone.requires("")
    code, said = clone.set_up()
    assert (code, "Making" in said) == (0, False), said


def test_environment_made_by_hand_is_used_if_it_works(clone: Clone) -> None:
    (clone.venv / "installed").unlink()
    kept = clone.venv / "kept"
    kept.touch()

    assert clone.set_up()[0] == 0
    assert kept.exists()


def test_environment_made_by_hand_is_not_removed_if_it_does_not_work(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone")
    clone.write_project()
    precious = clone.venv / "precious"
    precious.parent.mkdir()
    precious.touch()

    code, said = clone.set_up()

    assert code == 1
    assert "Next: remove it (make clean)" in said
    assert precious.exists()


# --- Pythons that will not do -------------------------------------------------------------------


def _run_with(preparation: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run bootstrap.py in a Python that was changed first."""
    run = f"import runpy; runpy.run_path({str(folder / 'bootstrap.py')!r}, run_name='__main__')"
    program = f"import sys; {preparation}; {run}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_python_without_venv_names_the_package_to_install(tmp_path: Path) -> None:
    """None in sys.modules makes an import fail as the module's absence does."""
    clone = Clone(tmp_path / "clone")
    clone.write_project()

    result = _run_with("sys.modules['ensurepip'] = None", clone.folder)

    assert result.returncode == 1
    assert "sudo apt install python3-venv" in result.stderr
    assert not clone.venv.exists()


def test_too_old_a_python_is_told_what_to_install() -> None:
    result = _run_with("sys.version_info = (3, 10, 13, 'final', 0)", ROOT)

    assert result.returncode == 1
    assert "needs Python 3.11 or later" in result.stderr
    assert "make lab PYTHON=" in result.stderr


def _old_pythons() -> list[str]:
    """Return the Pythons before 3.11 that run here."""
    names = ["python2", "python2.7", *(f"python3.{minor}" for minor in range(6, 11))]
    found = {path for name in names if (path := shutil.which(name))}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found |= {str(path) for path in pyenv.glob("versions/*/bin/python")}
    is_old = "import sys; sys.exit(sys.version_info >= (3, 11))"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return [path for path in sorted(found) if subprocess.call([path, "-c", is_old], **quiet) == 0]


def test_real_old_pythons_get_as_far_as_the_message() -> None:
    pythons = _old_pythons()
    if not pythons:
        pytest.skip("there is no Python before 3.11 here")
    for python in pythons:
        result = subprocess.run([python, str(BOOTSTRAP)], capture_output=True, text=True)
        assert result.returncode == 1, python
        assert "needs Python 3.11 or later" in result.stderr, python


def test_source_has_nothing_that_an_old_python_cannot_parse() -> None:
    text = BOOTSTRAP.read_text(encoding="utf-8")
    too_new = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Match)
    nodes = list(ast.walk(ast.parse(text)))

    assert text.isascii()
    assert not [node.lineno for node in nodes if isinstance(node, too_new)]
    assert not [arg.lineno for arg in nodes if isinstance(arg, ast.arg) and arg.annotation]
    assert not [args for args in nodes if isinstance(args, ast.arguments) and args.kwonlyargs]


# --- The Makefile -------------------------------------------------------------------------------

make = pytest.mark.skipif(
    shutil.which("make") is None or sys.platform == "win32", reason="there is no make here"
)


def _make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "PYTHON"}}
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        capture_output=True,
        text=True,
        env=kept | environment,
        timeout=60,
    )


def _write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@make
def test_make_without_python_says_what_to_install() -> None:
    result = _make("setup", "PYTHON=no-such-python")

    assert result.returncode != 0
    assert "sudo apt install python3 python3-venv" in result.stdout


@make
def test_make_takes_the_first_python_that_is_new_enough(tmp_path: Path) -> None:
    _write_program(tmp_path / "python3", "exit 1")
    _write_program(tmp_path / "python3.13", 'test "$1" = -c || echo "chosen: $PYTHONPATH"')

    result = _make(
        "setup", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}", PYTHONPATH="/another/project"
    )

    assert result.stdout.strip() == "chosen:"


@make
def test_make_alone_lists_the_targets() -> None:
    listed = _make().stdout

    assert all(f"make {target} " in listed for target in ("lab", "test", "lint", "bench", "clean"))
