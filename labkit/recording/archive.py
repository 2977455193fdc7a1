"""The file of a recording, written whole or not at all, and read with suspicion.

It is a zip archive of three members:

``samples``
    Binary, little-endian. For each window of the manifest, and each of its clocks: the times as
    64-bit whole numbers, in milliseconds of unix time, and then for each series of the clock its
    values as 64-bit floats, one for each time.
``manifest.json``
    UTF-8. ``format`` and ``version``; ``lab``, ``interval`` (seconds), ``start_ms``
    and ``end_ms``; ``families``, each ``[name, type, help]``; ``series``, each its labels;
    ``marks``, each ``{time, until, kind, label, text}``; ``windows``, each ``[start_ms, end_ms,
    clocks]`` with clocks ``[how many times, numbers of series]``.
``sha256``
    Of the samples followed by the manifest, as hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import zipfile
import zlib
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from labkit.errors import LabError
from labkit.recording.contents import FORMAT, MOST_SAMPLES, VERSION, Contents, Inconsistent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

SAMPLES, MANIFEST, CHECKSUM = "samples", "manifest.json", "sha256"
MOST_MANIFEST_BYTES = 64_000_000
MOST_SAMPLE_BYTES = 2 * 8 * MOST_SAMPLES  # where every series has a clock of its own

_MEGABYTE = 1_000_000
_PIECE = 1 << 20
_CHECKSUM_BYTES = 64
_ZIP_BEGINS = b"PK\x03\x04"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Writer:
    """Takes the samples of a recording, and then what it tells of itself.

    Args:
        archive: an empty one.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._hash = hashlib.sha256()
        self._samples = archive.open(SAMPLES, "w", force_zip64=True)

    def add(self, words: NDArray[np.int64] | NDArray[np.float64]) -> None:
        """Write the times of a clock, or the values of a series."""
        data = words.astype(words.dtype.newbyteorder("<"), copy=False).tobytes()
        self._hash.update(data)
        self._samples.write(data)

    def finish(self, contents: Contents) -> None:
        """Write the manifest and the checksum."""
        self._samples.close()
        text = json.dumps(contents.to_dict(), ensure_ascii=False, allow_nan=False, indent=None)
        manifest = text.encode()
        self._hash.update(manifest)
        self._archive.writestr(MANIFEST, manifest)
        self._archive.writestr(CHECKSUM, self._hash.hexdigest())

    def close(self) -> None:
        """Let go of the archive, which cannot be closed while its samples are written."""
        self._samples.close()


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Give a writer whose file takes its place when the block ends without an error.

    Args:
        path: the file; it is replaced if it is a recording.

    Raises:
        LabError: it is something else, or it cannot be written; nothing is left then.
    """
    # A name of its own, and not tempfile's: the file gets the permissions that files have here.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        _require_free(path)
        with zipfile.ZipFile(new, "x", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            writer = Writer(archive)
            try:
                yield writer
            finally:
                writer.close()
        new.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def _require_free(path: Path) -> None:
    if not path.exists():
        return
    if path.is_file():
        with suppress(LabError), Reader(path):
            return
    raise LabError(
        f"{path} is there already, and no recording that could be read; it was left alone.",
        next_step="choose another name for the file.",
    )


def _cannot_write(path: Path, error: OSError) -> LabError:
    folder = path.parent
    if not folder.is_dir():
        return LabError(
            f"The recording cannot be written: there is no folder {folder}.",
            next_step="make that folder, or choose another path.",
        )
    free = shutil.disk_usage(folder).free / _MEGABYTE
    return LabError(
        f"The recording cannot be written: {error.strerror or error}.",
        evidence=f"{free:,.0f} MB are free in {folder}",
        next_step="make room or choose another folder; nothing was left there.",
    )


class Reader:
    """A recording's file: what it tells of itself, read and found consistent, and its samples.

    Nothing of it is executed or unpacked to a disk, and no more is read than a recording may have.

    Args:
        path: where it is.

    Attributes:
        contents: the manifest.

    Raises:
        LabError: it is not there, broken, foreign, from a newer version or too large.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive = _open(path)
        try:
            with self.reporting():
                sizes = _sizes(path, self._archive)
                self._manifest = self._archive.read(MANIFEST)
                self.contents = _contents(path, self._manifest, sizes[SAMPLES])
        except BaseException:
            self._archive.close()
            raise

    def samples(self) -> IO[bytes]:
        """Open its samples."""
        return self._archive.open(SAMPLES)

    def digest(self) -> str:
        """Return the checksum of the whole, after comparing it with the one that was written.

        Raises:
            LabError: they differ, or the file is broken.
        """
        found = hashlib.sha256()
        with self.reporting():
            with self.samples() as file:
                while piece := file.read(_PIECE):
                    found.update(piece)
            found.update(self._manifest)
            if self._archive.read(CHECKSUM) != found.hexdigest().encode():
                raise Inconsistent("its checksum is that of something else")
        return found.hexdigest()

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Say it in the lab's words when what is read in the block is broken.

        Raises:
            LabError: it is.
        """
        try:
            yield
        except (*_BROKEN, Inconsistent, OSError) as error:
            raise LabError(
                f"{self.path} is damaged: what is in it does not fit together.",
                evidence=str(error) or type(error).__name__,
                next_step="copy it again from where it was recorded, or record anew.",
            ) from error

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._archive.close()


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise LabError(
            f"The recording cannot be opened: {path} – {error.strerror or error}.",
            next_step="see that the path is right; a relative one begins where the notebook is.",
        ) from error
    except (*_BROKEN, ValueError) as error:
        raise _no_archive(path) from error


def _no_archive(path: Path) -> LabError:
    with path.open("rb") as file:
        head = file.read(len(_ZIP_BEGINS))
    if not head:
        return LabError(f"{path} is empty.", next_step="copy it again from where it was recorded.")
    if head == _ZIP_BEGINS:
        return LabError(
            f"{path} is damaged: its end is missing.",
            evidence=f"{path.stat().st_size:,} bytes are there",
            next_step="copy it again from where it was recorded: that broke off.",
        )
    return _foreign(path, f"it begins with {head!r}")


def _foreign(path: Path, evidence: str) -> LabError:
    return LabError(
        f"{path} is no recording of a lab.",
        evidence=evidence,
        next_step="open a file that labkit.record(lab, path) wrote.",
    )


def _too_large(path: Path, evidence: str) -> LabError:
    return LabError(
        f"{path} is too large to be served.",
        evidence=evidence,
        next_step="record less of the session: labkit.record(lab, path, minutes=…).",
    )


def _sizes(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """Return what the members take unpacked; zipfile never reads more than they say."""
    sizes = {member.filename: member.file_size for member in archive.infolist()}
    expected = {SAMPLES, MANIFEST, CHECKSUM}
    if sizes.keys() != expected or len(archive.infolist()) != len(expected):
        members = ", ".join(map(repr, list(sizes)[:3])) or "nothing"
        raise _foreign(path, f"a zip archive of {members}{', …' * (len(sizes) > len(expected))}")
    for name, most in (
        (SAMPLES, MOST_SAMPLE_BYTES),
        (MANIFEST, MOST_MANIFEST_BYTES),
        (CHECKSUM, _CHECKSUM_BYTES),
    ):
        if sizes[name] > most:
            evidence = (
                f"its {name} would take {sizes[name] / _MEGABYTE:,.1f} MB unpacked; "
                f"at most {most / _MEGABYTE:,.1f} MB are read"
            )
            raise _too_large(path, evidence)
    return sizes


def _contents(path: Path, manifest: bytes, sample_bytes: int) -> Contents:
    told = _json(path, manifest)
    version = told.get("version")
    if isinstance(version, int) and version > VERSION:
        raise LabError(
            f"{path} was recorded by a newer labkit than this one.",
            evidence=f"its format is {version}; this labkit reads {VERSION}",
            next_step="update labkit here, or record it there with this version.",
        )
    if version != VERSION:
        raise Inconsistent("it has no version")
    contents = Contents.from_dict(told)
    if contents.is_too_large:
        raise _too_large(path, f"{contents.samples:,} samples; the most are {MOST_SAMPLES:,}")
    if contents.data_bytes != sample_bytes:
        raise Inconsistent("it has more or fewer samples than it says")
    return contents


def _json(path: Path, manifest: bytes) -> dict[str, Any]:
    try:
        told = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise Inconsistent(f"{MANIFEST} is no JSON") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise _foreign(path, f"{MANIFEST} does not say that it is one")
    return told
