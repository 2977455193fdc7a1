"""The lab's cache of Prometheus binaries: where it is, one writer at a time, all or nothing."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import locking
from labkit.errors import PrometheusMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.prometheus.candidate import Progress

LOCK_SECONDS = 900.0  # another process may be fetching 130 MB over a slow line


def path() -> Path:
    """Return the folder of the fetched binaries in the user's cache; it may not be there yet."""
    import platformdirs

    return platformdirs.user_cache_path("observability-lab", appauthor=False) / "prometheus"


@contextmanager
def locked(
    folder: Path, *, seconds: float = LOCK_SECONDS, progress: Progress | None = None
) -> Iterator[None]:
    """Be the only one, of all processes, that fills this folder.

    The operating system frees the lock when its holder ends, however that happens.

    Args:
        folder: what is to be filled; the lock is a file beside it.
        seconds: how long to wait for another holder.
        progress: told that this one waits.

    Raises:
        PrometheusMissing: when the other holder takes longer.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")

    def waiting() -> None:
        if progress:
            progress("Waiting for another process that fetches Prometheus", 0, None)

    try:
        with locking.locked(lock, seconds=seconds, waiting=waiting):
            yield
    except TimeoutError as error:
        raise PrometheusMissing(
            f"Another process has been fetching Prometheus for more than {seconds:.0f} s.",
            evidence=str(error),
            next_step="end that process, or wait for it, and try again.",
        ) from error


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``folder`` if the block ends without an error.

    Nobody ever sees it half filled. Call it under `locked`: it removes what fetches that were
    killed left behind.
    """
    prefix = f".{folder.name}.new-"
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield new
        new.chmod(0o755)
        _replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace(new: Path, folder: Path) -> None:
    """Put a folder in another's place; a folder that has files cannot be replaced in one step."""
    if folder.exists():
        old = new.with_name(f"{new.name}.old")
        folder.replace(old)
        new.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.replace(folder)


def once(
    folder: Path,
    fill: Callable[[Path], None],
    *,
    is_good: Callable[[Path], bool],
    progress: Progress | None = None,
) -> Path:
    """Fill a folder unless it is already there and good; return it.

    Of two processes that ask at once, one fills and the other waits for the result.

    Args:
        folder: the folder in the cache.
        fill: puts the files into an empty folder.
        is_good: whether a filled folder can be used.
        progress: told when this process waits for another.

    Raises:
        PrometheusMissing: what ``fill`` raises, or when there is no room or no permission.
    """
    try:
        with locked(folder, progress=progress):
            if not is_good(folder):
                with publishing(folder) as new:
                    fill(new)
    except OSError as error:
        raise _cannot_write(folder.parent, error) from error
    return folder


def _cannot_write(parent: Path, error: OSError) -> PrometheusMissing:
    return PrometheusMissing(
        f"Prometheus could not be stored in {parent}: {error.strerror or error}.",
        evidence=_room(parent),
        next_step="make room (about 700 MB while fetching) or allow writing there, and try again;"
        " XDG_CACHE_HOME names another place for caches.",
    )


def _room(folder: Path) -> str:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return f"{free / 1e6:,.0f} MB are free in {folder}"
