"""The machine: Python, packages, hidden modules, the Prometheus binary, ports, disk, logs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.checks.report import FAILED, OK, WARNING, Finding
from labkit.errors import PrometheusMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DISTRIBUTION = "observability-lab"
PORTS = {5000: "app", 9090: "Prometheus"}  # what `labkit up` takes by default
LEAST_BYTES = 100_000_000
COMFORTABLE_BYTES = 1_000_000_000  # Prometheus keeps up to 512 MB, fetching it takes 700

# Modules that a file of one's own, beside the notebook, takes the name of most easily.
NAMES = (
    *("labkit", "app", "flask", "waitress", "prometheus_client", "requests", "aiohttp"),
    *("pandas", "numpy", "matplotlib", "ipywidgets"),
)
_OWN_NAMES = ("labkit", "app")
_HOME = Path(__file__).resolve().parents[2]  # the folder that holds labkit and app


def python(requires: str | None = None) -> Iterator[Finding]:
    """Look at Python's version.

    Args:
        requires: the versions that will do, such as ``>=3.11``; what the lab's own metadata says
            by default.
    """
    from packaging.specifiers import SpecifierSet

    if requires is None:
        requires = _metadata()["Requires-Python"]
    version = platform.python_version()
    seen = f"{version}, {sys.executable}"
    if SpecifierSet(requires).contains(version, prereleases=True):
        yield Finding("Python", OK, seen)
    else:
        yield Finding(
            "Python",
            FAILED,
            f"{seen}; the lab needs {requires}",
            "make a new environment with a newer Python: `make lab PYTHON=python3.13`.",
        )


def packages(requirements: Iterable[str] | None = None) -> Iterator[Finding]:
    """Look at the versions of the packages that the lab needs.

    Args:
        requirements: as in pyproject.toml; what the lab's own metadata says by default.
    """
    from packaging.requirements import Requirement

    if requirements is None:
        requirements = _metadata().get_all("Requires-Dist") or ()
    needed = [Requirement(text) for text in requirements]
    wanted = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = {str(r): problem for r in wanted if (problem := _problem(r.name, r.specifier))}
    if not wrong:
        yield Finding("Packages", OK, f"all {len(wanted)} that the lab needs, in versions it knows")
        return
    install = " ".join(f'"{requirement}"' for requirement in wrong)
    yield Finding(
        "Packages",
        FAILED,
        "; ".join(f"{requirement}: {problem}" for requirement, problem in wrong.items()),
        f"{sys.executable} -m pip install {install}, then restart the kernel.",
    )


def _metadata() -> importlib.metadata.PackageMetadata:
    try:
        return importlib.metadata.metadata(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise ModuleNotFoundError(
            f"{DISTRIBUTION} is not installed in {sys.prefix}, only its files are found; "
            f"install it: {sys.executable} -m pip install {_HOME}"
        ) from None


def _problem(name: str, versions: object) -> str | None:
    from packaging.specifiers import SpecifierSet

    assert isinstance(versions, SpecifierSet)  # noqa: S101 - packaging's own type
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
    return None if versions.contains(found, prereleases=True) else f"{found} is installed"


def modules(folder: Path | None = None, path: Sequence[str] | None = None) -> Iterator[Finding]:
    """Look for files that hide the lab's packages or those it uses, such as app.py.

    Args:
        folder: where the notebooks are; the current folder by default.
        path: where Python looks for modules; ``sys.path`` by default.
    """
    folder = (folder or Path.cwd()).resolve()
    searched = [Path(entry or folder).resolve() for entry in (sys.path if path is None else path)]
    hiding = _found(_OWN_NAMES, searched)
    beside = {} if folder.name.endswith("-packages") else _found(NAMES, [folder])
    found = {**beside, **hiding}
    if not found:
        yield Finding("Modules", OK, f"labkit and app come from {_HOME}; nothing hides them")
        return
    taken = hiding or folder in searched
    yield Finding(
        "Modules",
        FAILED if taken else WARNING,
        "; ".join(f"{place} hides the module `{name}`" for name, place in found.items()),
        "rename it and restart the kernel.",
    )


def _found(names: Iterable[str], path: Sequence[Path]) -> dict[str, Path]:
    """Return what is found under these names, the lab's own packages apart."""
    places = {name: place for name in names if (place := _first(name, path))}
    own = {name: _HOME / name for name in _OWN_NAMES}
    return {name: place for name, place in places.items() if place != own.get(name)}


def _first(name: str, path: Iterable[Path]) -> Path | None:
    """Return the file or folder that Python would take for a module of that name."""
    spec = PathFinder.find_spec(name, [str(entry) for entry in path])
    if spec is None or spec.origin is None:  # a folder without __init__.py hides nothing
        return None
    origin = Path(spec.origin).resolve()
    return origin.parent if spec.submodule_search_locations is not None else origin


def prometheus_binary(*, needed: bool = True) -> Iterator[Finding]:
    """Look for Prometheus on this machine; nothing is fetched.

    Args:
        needed: whether the lack of it is a failure; it is none where one runs elsewhere.
    """
    from labkit.prometheus.binary import search

    name, lacking = "Prometheus binary", FAILED if needed else WARNING
    try:
        binary = search().binary
    except PrometheusMissing as error:
        yield Finding.of(name, error, lacking)
        return
    if binary is None:
        remedy = "`labkit prometheus` fetches one."
        yield Finding(name, lacking, "none on this machine", remedy)
    else:
        tool = "with promtool" if binary.promtool else "without promtool, so rules go untested"
        yield Finding(name, OK, f"{binary.version} from {binary.source}: {binary.path}, {tool}")


def port(number: int, purpose: str, own: Mapping[int, str]) -> Iterator[Finding]:
    """Look at whether a port is free.

    Args:
        number: the port, on 127.0.0.1.
        purpose: what `labkit up` takes it for.
        own: the ports of the lab that runs, and what they are.
    """
    from labkit.ports import holder_of

    name = f"Port {number}"
    if number in own:
        yield Finding(name, OK, f"{own[number]} of this lab listens there")
    elif _is_free(number):
        yield Finding(name, OK, f"free, for the {purpose} of `labkit up`")
    else:
        yield Finding(
            name,
            WARNING,
            holder_of(number),
            f"nothing, unless `labkit up` is to have its {purpose} there: then end that program, "
            f"or give --{purpose.lower()}-port. A lab in a notebook takes free ports.",
        )


def _is_free(number: int) -> bool:
    with socket.socket() as listener:
        if sys.platform == "win32":  # where SO_REUSEADDR would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a port whose last connections are fading is free
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
            listener.listen()
        except OSError:
            return False
    return True


def disk(
    folders: Mapping[str, Path],
    *,
    least_bytes: float = LEAST_BYTES,
    comfortable_bytes: float = COMFORTABLE_BYTES,
) -> Iterator[Finding]:
    """Look at the room on the disks, and whether the lab may write there.

    Args:
        folders: what is kept where; a folder may not be there yet.
        least_bytes: the lab does not work with less.
        comfortable_bytes: it works for long with that much.
    """
    free = {what: _free_bytes(folder) for what, folder in folders.items()}
    least = min(free, key=lambda what: free[what])
    seen = ", ".join(f"{free[what] / 1e9:.1f} GB for {what}" for what in folders)
    locked = [str(folder) for folder in folders.values() if not _may_write(folder)]
    if locked:
        remedy = "allow writing there, or set XDG_STATE_HOME and XDG_CACHE_HOME to other folders."
        yield Finding("Disk", FAILED, f"no writing in {', '.join(locked)}", remedy)
    elif free[least] < comfortable_bytes:
        state = FAILED if free[least] < least_bytes else WARNING
        yield Finding("Disk", state, seen, f"make room on the disk of {folders[least]}.")
    else:
        yield Finding("Disk", OK, seen)


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _may_write(folder: Path) -> bool:
    place = _existing(folder)
    return place.is_dir() and os.access(place, os.W_OK)
