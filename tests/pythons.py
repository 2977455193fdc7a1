"""Run the quick tests on every Python there is, and on the lowest versions of the libraries.

    python3 -m tests.pythons             # each python3.N on the PATH that is supported; lowest
    python3 -m tests.pythons 3.12        # one of them, with the versions of constraints.txt
    python3 -m tests.pythons lowest      # the lowest versions, on the lowest Python there is
    python3 -m tests.pythons newest      # today's newest versions, on the newest Python there is

`make pythons` calls it. It needs the standard library only, makes a virtual environment for each
in a temporary folder, and takes some three minutes for each. What the environment says for the
tests, such as LABKIT_TEST_PROMETHEUS, is passed on.
"""

# ruff: noqa: T201 - it tells a person at a terminal

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SECONDS = 1800

# Between them these use every library; what needs a browser, minutes or a port of its own is out.
QUICK = ["app", "faults", "metrics", "lab", "panels", "plots", "processes", "server", "report"]
QUICK += ["prometheus_server", "promql_client", "promql_frames", "traffic_run", "traffic_stats"]
# Of the tests' tools, those that look at the source and need versions of their own.
LOOKING = re.compile(r"import-linter|mypy|ruff|.*-stubs|types-.*")


def pythons() -> dict[str, str]:
    """Return the supported Pythons that are here, the lowest first."""
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    found = {version: shutil.which(f"python{version}") for version in supported}
    here = version_of(sys.executable)
    found[here] = found.get(here) or sys.executable
    return {
        version: path
        for version, path in sorted(found.items(), key=lambda item: int(item[0][2:]))
        if path and version in supported and version_of(path) == version
    }


def version_of(python: str) -> str:
    """Return a Python's version; a version manager's stand-in may be there and have none."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def lowest() -> str:
    """Return constraints to the lowest version that pyproject.toml allows of each library."""
    return "".join(f"{text.replace('>=', '==')}\n" for text in PROJECT["dependencies"])


def requirements(name: str, folder: Path) -> list[str]:
    """Return what pip is told to install."""
    if name == "newest":
        return ["-e", f"{ROOT}[test]"]
    if name != "lowest":
        return ["-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[test]"]
    constraints = folder / "lowest.txt"
    constraints.write_text(lowest(), encoding="utf-8")
    tools = PROJECT["optional-dependencies"]["test"]
    return ["-c", str(constraints), "-e", str(ROOT), *(t for t in tools if not LOOKING.match(t))]


def passes(name: str, python: str, folder: Path) -> bool:
    """Make an environment, install and run the quick tests; return whether they passed."""
    print(f"\n--- {name}: {python}", flush=True)
    venv = folder / name
    subprocess.run([python, "-m", "venv", venv], check=True, timeout=SECONDS)
    own = str(venv / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    tests = [f"tests/test_{part}.py" for part in QUICK]
    pytest = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    if name == "lowest":  # old libraries on newer ones of theirs: not for this project to mend
        pytest += ["-W", "ignore::DeprecationWarning"]
    return all(
        subprocess.run(command, cwd=ROOT, timeout=SECONDS).returncode == 0
        for command in ([*pip, *requirements(name, folder)], pytest)
    )


def main(names: list[str]) -> int:
    """Check those that were named, or all that are here and the lowest versions."""
    here = pythons()
    versions = list(here)
    chosen = {
        name: here[{"lowest": versions[0], "newest": versions[-1]}.get(name, name)]
        for name in names or [*versions, "lowest"]
    }
    with tempfile.TemporaryDirectory() as folder:
        results = {name: passes(name, path, Path(folder)) for name, path in chosen.items()}
    print()
    for name, passed in results.items():
        print(f"{name:8} {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - {*pythons(), "lowest", "newest"}:
        sys.exit(f"not here: {', '.join(unknown)}; here are {', '.join(pythons())}, lowest, newest")
    sys.exit(main(sys.argv[1:]))
