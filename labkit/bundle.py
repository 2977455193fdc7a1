"""A bundle: wheels, Prometheus and notebooks in one file, for machines without the network."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.notebook_files import chosen, shipped
from labkit.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.prometheus.binary import Binary

INSTALLER = Path(__file__).with_name("bundle_install.py")
_CLONE = Path(__file__).parent.parent
_PIP_SECONDS = 900
_TAIL = 12


def write(path: Path, tell: Callable[[str], None], *, solutions: bool = False) -> None:
    """Pack all that the lab needs on a machine of the same kind, as a whole or not at all.

    Args:
        path: the file, a zip.
        tell: takes each line for the person at the terminal.
        solutions: whether the notebooks have the solutions of their exercises.

    Raises:
        LabError: this lab is no clone, which has what the wheel is made of; a wheel can't be
            fetched; or the file can't be written.
        PrometheusMissing: there is none, and none could be fetched.
    """
    from labkit.prometheus.binary import find_prometheus
    from labkit.teaching.course import write_notebooks

    if not path.absolute().parent.is_dir():
        raise LabError(f"There is no folder {path.absolute().parent}.", next_step="make it first.")
    with Progress() as progress:
        binary = find_prometheus(progress=progress.stage)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tell("Collecting the wheels; the first time takes minutes ...")
        collect_wheels(folder / "wheels")
        tell(f"{len(list((folder / 'wheels').iterdir()))} wheels; Prometheus {binary.version}")
        _copy_prometheus(binary, folder / "prometheus")
        write_notebooks(chosen(shipped()), folder / "notebooks", solutions=solutions)
        shutil.copy(INSTALLER, folder / "install.py")
        (folder / "bundle.json").write_text(json.dumps(_about(binary), indent=1), encoding="utf-8")
        _pack(folder, path)


def collect_wheels(folder: Path) -> None:
    """Put the wheels of the lab and of all it needs into a folder, for this Python and system.

    Raises:
        LabError: this lab is no clone, or pip failed; its own words are the evidence.
    """
    if not (_CLONE / "pyproject.toml").exists():
        raise LabError(
            "This lab is installed from a wheel; a bundle is made where its source is.",
            next_step="run labkit bundle in a clone.",
        )
    command = [
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
        *("--wheel-dir", str(folder), "--constraint", str(_CLONE / "constraints.txt")),
        str(_CLONE),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(
            f"pip did not end within {_PIP_SECONDS // 60} minutes.", next_step="try again."
        ) from error
    if done.returncode:
        raise LabError(
            "The wheels can't be collected.",
            evidence="\n".join(done.stderr.splitlines()[-_TAIL:]),
            next_step="connect this machine to the network, and try again.",
        )


def _copy_prometheus(binary: Binary, folder: Path) -> None:
    folder.mkdir()
    suffix = ".exe" if sys.platform == "win32" else ""
    for name, program in (("prometheus", binary.path), ("promtool", binary.promtool)):
        if program is not None:
            shutil.copy(program, folder / f"{name}{suffix}")


def _about(binary: Binary) -> dict[str, str]:
    from labkit import __version__

    return {
        "labkit": __version__,
        "prometheus": binary.version,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": sysconfig.get_platform(),
    }


def _pack(folder: Path, path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.new")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    packed.write(file, Path(path.stem) / file.relative_to(folder))
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise LabError(
            f"{path} can't be written.", evidence=str(error), next_step="name another file."
        ) from error
