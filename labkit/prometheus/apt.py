"""apt-get with folders of its own: it needs no root, and changes nothing on the system."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.errors import PrometheusMissing
from labkit.processes import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
_POLL_SECONDS = 0.1
_QUICK_SECONDS = 60.0
_FORCE = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass(frozen=True)
class Limits:
    """How long apt may keep someone waiting.

    Attributes:
        answer_seconds: for a server to answer apt.
        stall_seconds: how long nothing new may arrive; it includes the reading of the lists.
        total_seconds: for each of apt's commands.
    """

    answer_seconds: int = 10
    stall_seconds: float = 30.0
    total_seconds: float = 900.0


LIMITS = Limits()


def tool(name: str) -> str:
    """Return the path of one of Debian's tools.

    Raises:
        PrometheusMissing: when this is another system.
    """
    path = shutil.which(name) if sys.platform == "linux" else None
    if path is None:
        raise PrometheusMissing(
            "This is neither Debian nor Ubuntu, so there is no package to fetch.",
            evidence=f"{name} is not there",
        )
    return path


def run(command: Sequence[str], seconds: float) -> str:
    """Run a command that takes no time worth showing; return what it printed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise PrometheusMissing(f"{' '.join(command)} failed.", evidence=error.stderr) from None
    except subprocess.TimeoutExpired:
        raise PrometheusMissing(f"{' '.join(command)} took more than {seconds:g} s.") from None
    return done.stdout


class Apt:
    """apt-get with folders of its own: no root, and nothing of the system's is changed.

    Args:
        work: an empty or missing folder for its lists and packages.
        limits: how long its commands may take.
        suite: a suite of Debian to use instead of the system's sources.

    Raises:
        PrometheusMissing: when the system has no source of Debian's to take another suite from.
    """

    def __init__(self, work: Path, *, limits: Limits = LIMITS, suite: str | None = None) -> None:
        self.packages = work / "packages"
        self._limits = limits
        self._log = work / "log"
        for folder in ("lists/partial", "cache/archives/partial", "sources", "packages"):
            (work / folder).mkdir(parents=True)
        (work / "status").touch()
        self._options = _options(work, limits)
        if suite:
            (work / "sources" / "suite.sources").write_text(_source(suite))
            self._options |= {
                "Dir::Etc::SourceList": "/dev/null",
                "Dir::Etc::SourceParts": str(work / "sources"),
            }

    def update(self) -> str:
        """Fetch the package lists; return what apt said.

        A source that fails is no failure yet: the package may be in another one.
        """
        code, words = self._run(["update"], watch=self.packages.parent / "lists")
        return words or f"apt-get update ended with exit code {code}"

    def size_of(self, package: str) -> int | None:
        """Return the size of a package's archive in bytes, or None where there is no such one."""
        code, words = self._run(["--print-uris", "download", package], watch=self.packages)
        uris = [line.split() for line in words.splitlines() if line.startswith("'")]
        return int(uris[0][2]) if code == 0 and uris else None

    def download(self, package: str, tell: Callable[[int], None] | None = None) -> None:
        """Fetch a package's archive; ``tell`` takes the bytes that have arrived.

        Raises:
            PrometheusMissing: when apt does not get it.
        """
        code, words = self._run(["download", package], watch=self.packages, tell=tell)
        if code:
            raise PrometheusMissing(f"apt could not download {package}.", evidence=words)

    def _run(
        self,
        arguments: Sequence[str],
        *,
        watch: Path,
        tell: Callable[[int], None] | None = None,
    ) -> tuple[int, str]:
        command = [tool("apt-get"), "-q", *_as_arguments(self._options), *arguments]
        with self._log.open("wb") as log:
            apt = subprocess.Popen(
                command,
                cwd=self.packages,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                start_new_session=True,  # so that its helpers can be ended with it
            )
            try:
                code = self._watch(apt, watch, tell)
            finally:
                _end(apt)
        return code, tail(self._log, 15)

    def _watch(
        self, apt: subprocess.Popen[bytes], folder: Path, tell: Callable[[int], None] | None
    ) -> int:
        """Wait for apt as long as what it writes grows."""
        started = grown = time.monotonic()
        size, before = 0, _size(folder)
        while apt.poll() is None:
            now = time.monotonic()
            if (arrived := _size(folder) - before) > size:
                size, grown = arrived, now
                if tell:
                    tell(size)
            if now > grown + self._limits.stall_seconds:
                raise self._stopped(f"nothing arrived for {self._limits.stall_seconds:g} s")
            if now > started + self._limits.total_seconds:
                raise self._stopped(f"it took longer than {self._limits.total_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        return apt.returncode

    def _stopped(self, reason: str) -> PrometheusMissing:
        return PrometheusMissing(
            f"apt-get was stopped: {reason}.",
            evidence=tail(self._log, 15),
            next_step="check the network and apt's proxy, or install Prometheus yourself.",
        )


def _options(work: Path, limits: Limits) -> dict[str, str]:
    seconds = str(limits.answer_seconds)
    return {
        "Dir::State::Lists": str(work / "lists"),
        "Dir::State::status": str(work / "status"),
        "Dir::Cache": str(work / "cache"),
        "APT::Sandbox::User": "root",  # apt's own user cannot reach a private folder
        "Acquire::AllowInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": seconds,
        "Acquire::https::Timeout": seconds,
        "Acquire::ftp::Timeout": seconds,
        # Lists that some systems fetch as well, and that nothing here reads.
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb-src::Sources::DefaultEnabled": "false",
    }


def _as_arguments(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _source(suite: str) -> str:
    """Return a source for apt: a suite from the mirror that the system uses for Debian."""
    keyring = next((path for path in _KEYRINGS if path.exists()), None)
    lines = ["Types: deb", f"URIs: {_mirror()}", f"Suites: {suite}", "Components: main"]
    if keyring:
        lines.append(f"Signed-By: {keyring}")
    return "\n".join(lines) + "\n"


def _mirror() -> str:
    """Return the system's mirror of Debian."""
    # Without release info, because a container may have no lists of its own yet.
    options = ["--no-release-info", "--format", "$(COMPONENT) $(REPO_URI)"]
    command = [tool("apt-get"), "indextargets", *options, "Created-By: Packages"]
    listed = run(command, _QUICK_SECONDS)
    # A third party's path may end in `debian` too; the distribution's is just that.
    for line in listed.splitlines():
        component, _, uri = line.partition(" ")
        if component == "main" and urlsplit(uri).path.rstrip("/") == "/debian":
            return uri
    raise PrometheusMissing(
        "Another suite of Debian was asked for, but the system has no mirror of Debian.",
        evidence=listed,
    )


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # apt has renamed it
            continue
    return total


def _end(apt: subprocess.Popen[bytes]) -> None:
    """End apt and its helpers, if they still run."""
    if apt.poll() is None:
        os.killpg(apt.pid, _FORCE)
        apt.wait(5.0)
