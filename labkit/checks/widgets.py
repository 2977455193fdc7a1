"""Jupyter's widget extension: without it a panel shows as a line of text."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.checks.report import FAILED, OK, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Widgets"
EXTENSION = "@jupyter-widgets/jupyterlab-manager"
_PACKAGE = "jupyterlab_widgets"
_PARENT = "JPY_PARENT_PID"  # Jupyter tells a kernel who started it


def widgets() -> Iterator[Finding]:
    """Look for JupyterLab's widget extension: installed here, found, enabled, and served."""
    try:
        version = importlib.metadata.version(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        yield _missing(f"{_PACKAGE} is not installed in {sys.prefix}", sys.executable)
        return
    folder = _extension_folder()
    if folder is None:
        seen = f"{_PACKAGE} {version} is installed, but JupyterLab does not find {EXTENSION}"
        yield _missing(seen, sys.executable)
    elif by := _disabled_by():
        remedy = (
            f"{sys.executable} -m jupyter labextension enable {EXTENSION}, then reload the page."
        )
        yield Finding(NAME, FAILED, f"{EXTENSION} is disabled by {by}", remedy)
    elif (server := _server_python()) and not _is_here(server):
        yield _elsewhere(server)
    else:
        yield Finding(NAME, OK, f"{_PACKAGE} {version}, in {folder}")


def _missing(seen: str, python: str) -> Finding:
    remedy = f"{python} -m pip install --force-reinstall {_PACKAGE}, then start JupyterLab anew."
    return Finding(NAME, FAILED, seen, remedy)


def _elsewhere(server: Path) -> Finding:
    data = server.parent.parent / "share" / "jupyter" / "labextensions"
    if (data / EXTENSION / "package.json").exists():
        return Finding(NAME, OK, f"in {data}, which is where this JupyterLab runs")
    seen = f"JupyterLab runs in another environment than this kernel, {server.parent.parent}"
    remedy = f"open the notebooks with `make lab`, or: {server} -m pip install {_PACKAGE}"
    return Finding(NAME, WARNING, f"{seen}, without the extension", remedy)


def _extension_folder() -> Path | None:
    """Return the folder that JupyterLab would take the extension from."""
    from jupyter_core.paths import jupyter_path

    found = (Path(folder, EXTENSION) for folder in jupyter_path("labextensions"))
    return next((folder for folder in found if (folder / "package.json").exists()), None)


def _disabled_by() -> Path | None:
    """Return the file that disables the extension; the first that speaks of it decides."""
    from jupyter_core.paths import jupyter_config_path

    folders = [Path(folder, "labconfig") for folder in jupyter_config_path()]
    folders.append(Path(sys.prefix, "share", "jupyter", "lab", "settings"))
    for file in (folder / "page_config.json" for folder in folders):
        disabled = _read(file).get("disabledExtensions", {})
        choices = disabled if isinstance(disabled, dict) else dict.fromkeys(disabled, True)
        if EXTENSION in choices:
            return file if choices[EXTENSION] else None
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or nothing that JupyterLab could read either
        return {}
    return config if isinstance(config, dict) else {}


def _server_python() -> Path | None:
    """Return the Python of the Jupyter server that started this kernel, as far as it shows."""
    import psutil

    number = os.environ.get(_PARENT, "")
    if not number.isdecimal():
        return None
    try:
        arguments = psutil.Process(int(number)).cmdline()
    except psutil.Error:
        return None
    is_jupyter = any("jupyter" in Path(argument).name for argument in arguments[1:])
    return Path(arguments[0]) if is_jupyter and Path(arguments[0]).is_absolute() else None


def _is_here(python: Path) -> bool:
    return python.parent.resolve() == Path(sys.executable).parent.resolve()
