"""The cache of built histories: each made once, whole or not at all, the oldest out first."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import locking
from labkit.errors import LabError
from labkit.history.blocks import blocks_in, build, cannot_write, require_promtool
from labkit.prometheus import cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.history.past import Past
    from labkit.progress import Progress
    from labkit.prometheus.candidate import Binary

VARIABLE = "LABKIT_HISTORY_CACHE_MB"
MOST_MEGABYTES = 2000.0
LOCK_SECONDS = 900.0  # another process may be building months of several instances

_FORMAT = 1  # of what is stored: another number, and all is built anew
_MARKER = "complete.json"  # written last: without it a folder is none of ours
_LOCKS = 16
_MEGABYTE = 1_000_000
# Prometheus may write these anew in its own copy of a block; the rest it only reads.
_SMALL = {"meta.json", "tombstones"}


@dataclass(frozen=True)
class Entry:
    """A history in the cache.

    Attributes:
        folder: where it is.
        size: in bytes.
        used_at: when it was last opened, in unix seconds.
    """

    folder: Path
    size: int
    used_at: float


class Store:
    """The histories that were built on this machine, each a folder of storage blocks.

    Usable from several processes and threads at once: of two that want the same history, one
    builds it and the other waits. A folder takes its name when it is complete, so that a build
    that was interrupted is never used.

    Args:
        folder: where they are; in the user's cache by default.
        most_megabytes: how much they may take together; what was not opened for longest goes
            first. By default LABKIT_HISTORY_CACHE_MB, or 2000.

    Raises:
        ValueError: LABKIT_HISTORY_CACHE_MB is not a number of megabytes.
    """

    def __init__(self, folder: Path | None = None, most_megabytes: float | None = None) -> None:
        self.folder = folder or cache.path().with_name("history")
        limit = _limit() if most_megabytes is None else most_megabytes
        self.most_bytes = round(limit * _MEGABYTE)

    def open(
        self, past: Past, data: Path, *, binary: Binary, progress: Progress | None = None
    ) -> bool:
        """Put the blocks of a past into a data folder, built now if they are not in the cache.

        Args:
            past: which one.
            data: a folder of the caller's own; made if it is not there.
            binary: the Prometheus that will serve it; its promtool builds.
            progress: told how far that is.

        Returns:
            Whether they were in the cache.

        Raises:
            LabError: they cannot be built, or stored, or another process takes too long.
        """
        try:
            data.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = self.folder / _key(past, binary)
            with self._locked(folder.name, progress):
                found = is_complete(folder)
                if not found:
                    _make(folder, past, binary, progress)
                _put(folder, data)
                os.utime(folder / _MARKER)
            self.tidy()
        except OSError as error:
            raise cannot_write(_existing(self.folder), str(error)) from error
        return found

    def entries(self) -> list[Entry]:
        """Return what is in the cache, what was not opened for longest first."""
        found = []
        for marker in self.folder.glob(f"*/{_MARKER}"):
            with suppress(OSError, ValueError, KeyError):  # another process removes it just now
                told, used = json.loads(marker.read_text(encoding="utf-8")), marker.stat().st_mtime
                found.append(Entry(marker.parent, int(told["bytes"]), used))
        return sorted(found, key=lambda entry: entry.used_at)

    def tidy(self) -> None:
        """Remove what is over the limit, and what builds that were killed left behind."""
        for leftover in self.folder.glob(".*.new-*"):
            self._remove(leftover, leftover.name[1:].partition(".")[0])
        entries = self.entries()
        size = sum(entry.size for entry in entries)
        for entry in entries:
            if size <= self.most_bytes:
                return
            self._remove(entry.folder, entry.folder.name)
            size -= entry.size

    def _remove(self, folder: Path, key: str) -> None:
        """Remove a folder unless someone is building or opening it just now."""
        with suppress(TimeoutError), locking.locked(self._lock(key), seconds=0):
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _locked(self, key: str, progress: Progress | None) -> Iterator[None]:
        def waiting() -> None:
            if progress is not None:
                progress.say("Another notebook is building this history; waiting for it …")

        try:
            with locking.locked(self._lock(key), seconds=LOCK_SECONDS, waiting=waiting):
                yield
        except TimeoutError as error:
            raise LabError(
                f"Another process has been building a history for {LOCK_SECONDS:.0f} s.",
                evidence=str(error),
                next_step="end that process, or wait for it, and try again.",
            ) from error

    def _lock(self, key: str) -> Path:
        # A lock's file stays, since a waiter may have it open: a few for all histories, not one
        # each. Two that share one wait for each other at times, which is no harm.
        return self.folder / f".{zlib.crc32(key.encode()) % _LOCKS}.lock"

    def __repr__(self) -> str:
        entries = self.entries()
        size = sum(entry.size for entry in entries) / _MEGABYTE
        most = self.most_bytes / _MEGABYTE
        return f"<Store of {len(entries)} histories, {size:.0f} of {most:.0f} MB, {self.folder}>"


def is_complete(folder: Path) -> bool:
    """Whether a folder of the cache holds all that was written when it was built."""
    try:
        told: dict[str, Any] = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        return told["format"] == _FORMAT and all(
            (folder / name).stat().st_size == size for name, size in told["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _key(past: Past, binary: Binary) -> str:
    """Return the name of a past's folder; blocks of one version may be too new for another."""
    import hashlib

    words = f"{past.digest} {_FORMAT} {binary.version}"
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def _make(folder: Path, past: Past, binary: Binary, progress: Progress | None) -> None:
    promtool = require_promtool(binary)
    with cache.publishing(folder) as new:
        samples = build(past, new, promtool=promtool, progress=progress)
        files = {
            str(path.relative_to(new)): path.stat().st_size
            for block in blocks_in(new)
            for path in block.rglob("*")
            if path.is_file()
        }
        marker = {
            "format": _FORMAT,
            "digest": past.digest,
            "prometheus": binary.version,
            "samples": samples,
            "bytes": sum(files.values()),
            "files": files,
        }
        (new / _MARKER).write_text(json.dumps(marker, indent=1), encoding="utf-8")


def _put(folder: Path, data: Path) -> None:
    """Give a data folder the blocks: the same files under further names, where that can be."""
    for block in blocks_in(folder):
        for source in sorted(block.rglob("*")):
            target = data / source.relative_to(folder)
            if source.is_dir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)


def _link(source: Path, target: Path) -> None:
    if source.name not in _SMALL:
        with suppress(OSError):  # another disk, or a file system without hard links
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)


def _limit() -> float:
    text = os.environ.get(VARIABLE, "").strip()
    try:
        limit = float(text) if text else MOST_MEGABYTES
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise ValueError(f"{VARIABLE} is {text!r}; it is a number of megabytes, such as 2000")
    return limit


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
