"""Virtual environments for tests: with this one's packages in sight, but not its labkit."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
WINDOWS = sys.platform == "win32"


class Venv:
    """A virtual environment that sees the packages of the one the tests run in.

    An editable installation is a .pth file, and .pth files in a folder that is itself added by
    one are not read: `labkit` is there only once it has been installed.

    Args:
        path: where to make it.
    """

    def __init__(self, path: Path) -> None:
        venv.create(path, with_pip=False)
        self.path = path
        self.scripts = path / ("Scripts" if WINDOWS else "bin")
        self.python = self.scripts / ("python.exe" if WINDOWS else "python")
        self.site_packages = Path(
            self.run("import sysconfig; print(sysconfig.get_path('purelib'))")
        )
        present = sysconfig.get_path("purelib")
        (self.site_packages / "present.pth").write_text(f"{present}\n", encoding="utf-8")

    def run(self, code: str, **options: object) -> str:
        """Run some code; return what it printed."""
        return self.output([self.python, "-c", code], **options)

    def pip(self, *arguments: object) -> str:
        """Run pip, without the network where the build backend is here."""
        return self.output([self.python, "-m", "pip", *arguments], env=os.environ | pip_settings())

    def output(self, command: list[object], **options: object) -> str:
        """Run a command; return what it printed."""
        done = subprocess.run(
            list(map(str, command)),
            **{"capture_output": True, "text": True, "timeout": 120, "check": False} | options,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


def pip_settings() -> dict[str, str]:
    """Return what keeps pip to what is installed, if the build backend is; else it fetches that."""
    settings = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    if find_spec("hatchling"):
        settings |= {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1"}
        settings["PIP_NO_BUILD_ISOLATION"] = "0"  # to pip, 0 in this one means: no isolation
    return settings
