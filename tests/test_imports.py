"""Importing: quick, without side effects, and along the layers."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

HEAVY = ("pandas", "matplotlib", "ipywidgets", "numpy", "flask", "aiohttp", "requests", "psutil")
IMPORTS = (ast.Import, ast.ImportFrom)


def test_importing_labkit_loads_nothing_heavy():
    code = f"import sys, labkit; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_layers_hold():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_objectives_modules_import_one_another_in_no_circle():
    """Not for type checkers, and not inside of a function, either."""
    package = "labkit.slo"
    folder = Path(__file__).parent.parent / Path(*package.split("."))
    graph = {f"{package}.{path.stem}": imported(path) for path in folder.glob("[!_]*.py")}
    known = {name: {each for each in found if each in graph} for name, found in graph.items()}
    assert known["labkit.slo.report"], "the imports were found"
    TopologicalSorter(known).prepare()  # raises CycleError


def imported(path: Path) -> set[str]:
    """Return the names that a module imports, and those that may be modules of a package."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, IMPORTS)]
    names = {alias.name for node in nodes for alias in node.names if isinstance(node, ast.Import)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{each.name}" for each in node.names)}
    return names
