"""The distribution's own package, on Debian and Ubuntu: fetched and unpacked without root."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import PrometheusMissing
from labkit.prometheus import cache
from labkit.prometheus.apt import LIMITS, Apt, run, tool
from labkit.prometheus.candidate import UnusableError, examine, is_usable

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.prometheus.apt import Limits
    from labkit.prometheus.candidate import Progress

_UNPACK_SECONDS = 300.0
_LEAST_BYTES = 1_000_000  # with less the disk is full: what is written comes in larger pieces


def fetch(
    directory: Path,
    *,
    suite: str | None = None,
    limits: Limits = LIMITS,
    progress: Progress | None = None,
) -> Path:
    """Fetch the distribution's Prometheus into a folder, unless it is there; return that folder.

    apt downloads into private folders, so this needs no root and changes nothing on the system;
    signatures are checked as always. The folder is there as a whole or not at all.

    Args:
        directory: where the folder ``debian``, or ``debian-SUITE``, goes.
        suite: another suite of Debian, such as ``forky``, from the system's own mirror; the
            system's sources as they are by default.
        limits: how long it may take.
        progress: told the stage, and how many bytes have arrived.

    Raises:
        PrometheusMissing: when this is no Debian, or the package cannot be had or stored.
    """
    tool("dpkg")
    job = _Fetch(suite, limits, progress)
    return cache.once(
        directory / (f"debian-{suite}" if suite else "debian"),
        job.fill,
        is_good=lambda folder: is_usable(folder / "prometheus"),
        progress=progress,
    )


@dataclass(frozen=True)
class _Fetch:
    suite: str | None
    limits: Limits
    progress: Progress | None

    def fill(self, folder: Path) -> None:
        """Leave ``prometheus``, and ``promtool`` where there is one, in an empty folder.

        Raises:
            OSError: the disk is full, whatever apt and tar make of it.
            PrometheusMissing: anything else went wrong.
        """
        try:
            self._fill(folder)
        except PrometheusMissing as error:
            if shutil.disk_usage(folder).free < _LEAST_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise

    def _fill(self, folder: Path) -> None:
        work = folder / ".apt"
        apt = Apt(work, limits=self.limits, suite=self.suite)
        self._tell("Reading Debian's package lists")
        listed = apt.update()
        self._download(apt, "prometheus", listed)
        if apt.size_of("promtool"):
            self._download(apt, "promtool", listed)
        self._tell("Unpacking Prometheus")
        for package in sorted(apt.packages.glob("*.deb")):
            run([tool("dpkg"), "-x", str(package), str(work / "root")], _UNPACK_SECONDS)
        _take(work / "root", folder)
        shutil.rmtree(work)
        try:
            examine(folder / "prometheus", "")
        except UnusableError as error:
            raise PrometheusMissing(f"The package was fetched but does not run: {error}.") from None

    def _download(self, apt: Apt, package: str, listed: str) -> None:
        size = apt.size_of(package)
        if size is None:
            raise PrometheusMissing(f"apt knows no package {package}.", evidence=listed)
        title = f"Debian's {package}"
        apt.download(package, lambda done: self._tell(title, min(done, size), size))

    def _tell(self, stage: str, done: int = 0, total: int | None = None) -> None:
        if self.progress:
            self.progress(stage, done, total)


def _take(root: Path, folder: Path) -> None:
    """Move the programs and their licence to where they stay."""
    for name in ("prometheus", "promtool"):
        if (program := root / "usr/bin" / name).exists():
            program.replace(folder / name)
    licence = root / "usr/share/doc/prometheus/copyright"
    if licence.exists():
        licence.replace(folder / "LICENSE")
