"""A Prometheus binary, and the test that a file is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.prometheus import lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Progress = Callable[[str, int, int | None], None]

VERSION_SECONDS = 15.0  # a hundred megabytes from a cold disk take a while
EXECUTABLE_SUFFIX = ".exe" if sys.platform == "win32" else ""
PROMETHEUS = f"prometheus{EXECUTABLE_SUFFIX}"
PROMTOOL = f"promtool{EXECUTABLE_SUFFIX}"

_VERSION = re.compile(r"^(prometheus|promtool), version (\d+\.\d+\.\d+\S*)", re.MULTILINE)


class UnusableError(Exception):
    """A file is not a Prometheus the lab can use; the text is the reason."""


@dataclass(frozen=True)
class Binary:
    """A Prometheus that runs on this machine.

    Attributes:
        path: the program.
        version: as it says itself, such as ``2.42.0+ds``.
        source: where it was found, such as ``PATH`` or ``cache (official release 3.13.2)``.
        promtool: the tool of the same version, where there is one.
    """

    path: Path
    version: str
    source: str
    promtool: Path | None = None

    @property
    def major(self) -> int:
        """The line it belongs to: 2 or 3."""
        return lines.parse(self.version)[0]

    @property
    def line(self) -> lines.Line:
        """What differs between this line and the other."""
        return lines.line(self.version)


def examine(path: Path, source: str) -> Binary:
    """Run a candidate's ``--version`` and return it as a `Binary`, with its promtool.

    Raises:
        UnusableError: when it does not run, is something else, or is too old.
    """
    version = version_of(path, "prometheus")
    if lines.parse(version)[:2] < lines.OLDEST:
        oldest = ".".join(map(str, lines.OLDEST))
        raise UnusableError(f"{path} is Prometheus {version}; the lab needs {oldest} or later")
    return Binary(path.absolute(), version, source, _promtool(path, version))


def is_usable(path: Path) -> bool:
    """Whether a file is a Prometheus that runs here."""
    try:
        examine(path, "")
    except UnusableError:
        return False
    return True


def version_of(path: Path, name: str) -> str:
    """Return the version that a program of the Prometheus project prints.

    Args:
        path: the program.
        name: what it has to be, ``prometheus`` or ``promtool``.

    Raises:
        UnusableError: when it is not there, does not run, hangs, or is something else.
    """
    if path.is_dir():
        raise UnusableError(f"{path} is a folder, not a program")
    if not path.exists():
        raise UnusableError(f"{path} does not exist")
    code, output = _run_version(path)
    if (found := _VERSION.search(output)) is None or found[1] != name:
        said = output.strip().splitlines()[:1] or ["nothing"]
        raise UnusableError(
            f"{path} is not {name}: `--version` ended with exit code {code} and said: {said[0]}"
        )
    return found[2]


def _run_version(path: Path) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [str(path.absolute()), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # some versions print it here
            timeout=VERSION_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        seconds = f"{VERSION_SECONDS:.0f} s"
        raise UnusableError(f"{path} did not answer `--version` within {seconds}") from None
    except OSError as error:
        raise UnusableError(f"{path} cannot be run: {error.strerror or error}") from error
    return done.returncode, done.stdout.decode("utf-8", "replace")


def on_path(name: str) -> Iterator[Path]:
    """Give every program of this name on PATH, first one first."""
    seen = set()
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder) if folder else None
        if found and found not in seen:
            seen.add(found)
            yield Path(found)


def _promtool(prometheus: Path, version: str) -> Path | None:
    for candidate in _promtools(prometheus):
        try:
            if version_of(candidate, "promtool") == version:
                return candidate.absolute()
        except UnusableError:
            continue  # not having one is no failure: promtool is a convenience
    return None


def _promtools(prometheus: Path) -> Iterable[Path]:
    yield prometheus.with_name(PROMTOOL)
    resolved = prometheus.resolve().with_name(PROMTOOL)
    if resolved != prometheus.absolute().with_name(PROMTOOL):
        yield resolved
    yield from on_path("promtool")
