"""Install the observability lab from this folder, without the network.

python3 install.py [FOLDER]

FOLDER is where to; by default observability-lab in your home. It holds the lab's own Python
environment, Prometheus and the notebooks. Delete it to be rid of all of them.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
WINDOWS = sys.platform == "win32"

# Settings of the person that would lead pip or the environment's Python astray; as bootstrap.py's.
FOREIGN = {
    *("PYTHONHOME", "PYTHONPATH", "PIP_CONSTRAINT", "PIP_DRY_RUN", "PIP_NO_DEPS"),
    *("PIP_PREFIX", "PIP_PYTHON", "PIP_QUIET", "PIP_ROOT", "PIP_TARGET", "PIP_USER"),
}


def main() -> None:
    """Make the environment and the script that opens the lab."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.exit(__doc__)
    about = json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))
    _check_machine(about)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / "observability-lab"
    folder = folder.expanduser().absolute()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty. Name another folder: python3 install.py FOLDER")
    print(f"Installing to {folder} ...")  # noqa: T201 - a script for a terminal
    _install(folder / ".venv", about)
    for part in ("prometheus", "notebooks"):
        shutil.copytree(HERE / part, folder / part)
    for program in (folder / "prometheus").iterdir():
        program.chmod(0o755)  # a zip that Python unpacks has lost it
    print(f"Done. Open the lab: {_launcher(folder)}")  # noqa: T201


def _check_machine(about: dict[str, str]) -> None:
    here = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": sysconfig.get_platform(),
    }
    if any(about[key] != value for key, value in here.items()):
        sys.exit(
            f"This bundle is for Python {about['python']} on {about['platform']}; this is Python "
            f"{here['python']} on {here['platform']}. Run it with python{about['python']}, or "
            "make a bundle on a machine like this one."
        )


def _install(environment: Path, about: dict[str, str]) -> None:
    try:
        venv.create(environment, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("This Python can't make environments. Debian, Ubuntu: python3-venv is missing.")
    command = [
        *(str(_scripts(environment) / "python"), "-m", "pip", "install", "--quiet"),
        *("--disable-pip-version-check", "--no-index", "--find-links", str(HERE / "wheels")),
        f"observability-lab=={about['labkit']}",
    ]
    settings = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    if code := subprocess.run(command, check=False, env=settings).returncode:
        sys.exit(f"pip failed with exit code {code}; what it said stands above.")


def _scripts(environment: Path) -> Path:
    return environment / ("Scripts" if WINDOWS else "bin")


def _launcher(folder: Path) -> Path:
    """Write the script that opens the lab with the Prometheus beside it."""
    labkit = _scripts(Path(".venv")) / "labkit"
    prometheus = Path("prometheus") / ("prometheus.exe" if WINDOWS else "prometheus")
    if WINDOWS:
        script = folder / "open-lab.cmd"
        text = (
            f'@set "LABKIT_PROMETHEUS=%~dp0{prometheus}"\n'
            f'@"%~dp0{labkit}" lab "%~dp0notebooks" %*\n'
        )
    else:
        script = folder / "open-lab"
        text = (
            '#!/bin/sh\nhere=$(cd "$(dirname "$0")" && pwd)\n'
            f'LABKIT_PROMETHEUS="$here/{prometheus}" exec "$here/{labkit}" lab '
            '"$here/notebooks" "$@"\n'
        )
    script.write_text(text, encoding="utf-8", newline=os.linesep)
    script.chmod(0o755)
    return script


if __name__ == "__main__":
    main()
