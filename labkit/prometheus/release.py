"""The official release of Prometheus: fetched, checked against a known hash, unpacked."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING

from labkit.errors import PrometheusMissing
from labkit.prometheus import cache
from labkit.prometheus.candidate import UnusableError, examine, is_usable
from labkit.prometheus.download import LIMITS, Download, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.prometheus.candidate import Progress
    from labkit.prometheus.download import Limits

RELEASES_URL = "https://github.com/prometheus/prometheus/releases/download"
URL_VARIABLE = "LABKIT_RELEASES_URL"

_WANTED = {"prometheus", "promtool", "prometheus.exe", "promtool.exe", "LICENSE", "NOTICE"}
_DEPTH = 2  # all of them are at the top of the one folder that an archive holds
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}


@dataclass(frozen=True)
class Release:
    """A version of the official release, and the SHA-256 of its archive for each platform."""

    version: str
    sha256: Mapping[str, str]

    def archive(self, target: str) -> str:
        """Return the name of a platform's archive."""
        suffix = "zip" if target.startswith("windows") else "tar.gz"
        return f"prometheus-{self.version}.{target}.{suffix}"


# The long-term line until July 2027.
RELEASE = Release(
    "3.13.2",
    {
        "linux-amd64": "0e8c4d46101bd025ea8265e377d2caabc57f488fc1be1c367f37db69ea41be6f",
        "linux-arm64": "7cecb17a6f41d59814e1a0581a1f81f79051ad5973d1ecf39e23a9f747d6572a",
        "darwin-amd64": "e57095aed0b69e10edaee28b92718d4a65f46d466bf93aeda54075e901d15c2a",
        "darwin-arm64": "f68ca4f1dbedd6366bbfdd8ac5d2c0b7ba1f273474acc8d38eb33202fbeec7a4",
        "windows-amd64": "ebd97831d80be097eed54af257816ca7fa93cc67682bdcf94d44057b17cde6ad",
    },
)


def this_platform() -> str:
    """Return this machine in the words of the release's file names, such as ``linux-amd64``."""
    machine = platform.machine().lower()
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_ARCHITECTURES.get(machine, machine)}"


def fetch(
    directory: Path,
    *,
    release: Release = RELEASE,
    target: str | None = None,
    base_url: str | None = None,
    limits: Limits = LIMITS,
    progress: Progress | None = None,
) -> Path:
    """Fetch the official release into a folder, unless it is there; return that folder.

    It holds ``prometheus``, ``promtool``, their licence and notice, and is there as a whole or not
    at all. An archive that was half downloaded stays beside it and is continued the next time.

    Args:
        directory: where the folder ``release-VERSION`` goes.
        release: which release.
        target: for which machine, such as ``linux-amd64``; this one by default.
        base_url: the mirror that has ``vVERSION/ARCHIVE``; LABKIT_RELEASES_URL, then the
            project's own place by default.
        limits: how long the download may take.
        progress: told the stage, and how far it is.

    Raises:
        PrometheusMissing: when there is none for this machine, or it cannot be had or stored.
    """
    platform_name = target or this_platform()
    if platform_name not in release.sha256:
        known = ", ".join(sorted(release.sha256))
        raise PrometheusMissing(
            f"There is no official Prometheus {release.version} for {platform_name} here.",
            evidence=f"known: {known}",
        )
    base = base_url or os.environ.get(URL_VARIABLE) or RELEASES_URL
    url = f"{base.rstrip('/')}/v{release.version}/{release.archive(platform_name)}"
    job = _Fetch(release, platform_name, url, limits, progress)
    return cache.once(
        directory / f"release-{release.version}",
        lambda folder: job.fill(folder, directory),
        is_good=job.is_good,
        progress=progress,
    )


@dataclass(frozen=True)
class _Fetch:
    release: Release
    target: str
    url: str
    limits: Limits
    progress: Progress | None

    @property
    def program(self) -> str:
        return "prometheus.exe" if self.target.startswith("windows") else "prometheus"

    def is_good(self, folder: Path) -> bool:
        return is_usable(folder / self.program)

    def fill(self, folder: Path, directory: Path) -> None:
        """Download the archive beside the folder, unpack it into the folder, and try it."""
        archive = directory / f".{self.release.archive(self.target)}.part"
        title = f"Prometheus {self.release.version}"
        Download(
            self.url,
            archive,
            self.release.sha256[self.target],
            title,
            self.limits,
            self.progress,
        ).run()
        try:
            self._compare_with_list()
            if self.progress:
                self.progress(f"Unpacking {title}", 0, None)
            unpack(archive, folder)
            examine(folder / self.program, title)
        except UnusableError as error:
            raise PrometheusMissing(f"{title} was fetched but does not run: {error}.") from None
        finally:
            archive.unlink(missing_ok=True)

    def _compare_with_list(self) -> None:
        """Refuse an archive that the release's own list of hashes, where there is one, refuses.

        The hash for Windows is pinned by fewer projects than the others.
        """
        if not self.target.startswith("windows"):
            return
        address, name = self.url.rsplit("/", 1)
        text = read_text(f"{address}/sha256sums.txt", seconds=self.limits.answer_seconds) or ""
        listed = {line[66:].strip(): line[:64] for line in text.splitlines()}
        expected = self.release.sha256[self.target]
        if listed.get(name, expected) != expected:
            raise PrometheusMissing(
                f"{name} has another hash in the release's own list; it was thrown away.",
                evidence=f"from {address}/sha256sums.txt\nlisted {listed[name]}",
                next_step="install Prometheus yourself and set LABKIT_PROMETHEUS to it.",
            )


def unpack(archive: Path, folder: Path) -> None:
    """Take the programs, their licence and their notice out of an archive, and nothing else.

    Raises:
        PrometheusMissing: when it is no archive, or has a member that points outside of it.
    """
    take = _from_zip if zipfile.is_zipfile(archive) else _from_tar
    try:
        take(archive, folder)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise PrometheusMissing(
            f"{archive.name} cannot be unpacked: {error}.",
            next_step="install Prometheus yourself and set LABKIT_PROMETHEUS to it.",
        ) from None


def _from_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            name = _wanted(member.name)
            source = tar.extractfile(member) if name and member.isreg() else None
            if name and source:
                _write(source, folder / name)


def _from_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if name := _wanted(member.filename):
                with packed.open(member) as source:
                    _write(source, folder / name)


def _wanted(member: str) -> str | None:
    """Return the file name of a member to take, None for one to leave.

    Raises:
        ValueError: when it points outside the archive.
    """
    path = PurePosixPath(member)
    if path.is_absolute() or ".." in path.parts or "\\" in member or PureWindowsPath(member).drive:
        raise ValueError(f"it has a member that points outside of it, {member!r}")
    return path.name if len(path.parts) == _DEPTH and path.name in _WANTED else None


def _write(source: IO[bytes], target: Path) -> None:
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    target.chmod(0o755 if target.stem in {"prometheus", "promtool"} else 0o644)
