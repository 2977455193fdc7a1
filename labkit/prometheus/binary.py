"""Which Prometheus the lab uses: the search order, and where to fetch one if there is none."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import PrometheusMissing
from labkit.prometheus import cache, lines
from labkit.prometheus.candidate import PROMETHEUS, Binary, UnusableError, examine, on_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.candidate import Progress

__all__ = [
    "VARIABLE",
    "Binary",
    "Search",
    "Tried",
    "describe",
    "fetch_prometheus",
    "find_prometheus",
    "search",
]

VARIABLE = "LABKIT_PROMETHEUS"
_DOWNLOADS = "https://prometheus.io/download"


@dataclass(frozen=True)
class Tried:
    """A place that was looked at, and why it gave nothing."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass
class Search:
    """What a search found, and what it tried before.

    Attributes:
        binary: the Prometheus to use, or None.
        tried: the places that gave nothing, in the order they were looked at.
    """

    binary: Binary | None = None
    tried: list[Tried] = field(default_factory=list)


def find_prometheus(*, fetch: bool = True, progress: Progress | None = None) -> Binary:
    """Return the Prometheus to use, fetched if there is none on this machine.

    The order: the path in LABKIT_PROMETHEUS, PATH, the lab's cache; then, with ``fetch``, the
    official release and the distribution's package. Each candidate is run before it is taken.

    Args:
        fetch: whether to download one.
        progress: takes the stage, and how many bytes of how many, while it is fetched.

    Raises:
        PrometheusMissing: when there is none, with what was tried and how to install it; or when
            LABKIT_PROMETHEUS names something that is none, because then nothing else is tried.
    """
    found = search()
    if found.binary is None and fetch:
        _fetch_into(found, progress)
    if found.binary is None:
        raise _missing(found.tried, fetch=fetch)
    return found.binary


def fetch_prometheus(progress: Progress | None = None) -> Binary:
    """Fetch a Prometheus into the lab's cache, whatever else is on this machine; return it.

    Raises:
        PrometheusMissing: when neither the official release nor a package can be had.
    """
    found = Search()
    _fetch_into(found, progress)
    if found.binary is None:
        raise _missing(found.tried, fetch=True)
    return found.binary


def search() -> Search:
    """Look for a Prometheus on this machine, without the network.

    Raises:
        PrometheusMissing: when LABKIT_PROMETHEUS names something that is none.
    """
    if named := os.environ.get(VARIABLE):
        return Search(_named(named))
    found = Search()
    for place, path in _places():
        try:
            found.binary = examine(path, place)
        except UnusableError as error:
            found.tried.append(Tried(place, str(error)))
        else:
            return found
    if not any(tried.place == "PATH" for tried in found.tried):
        found.tried.insert(0, Tried("PATH", "it has no program named prometheus"))
    if not any(tried.place.startswith("cache") for tried in found.tried):
        found.tried.append(Tried("cache", f"nothing was fetched into {cache.path()} yet"))
    return found


def describe() -> dict[str, object]:
    """Return which Prometheus would be used, for people to read; nothing is fetched.

    Returns:
        ``path``, ``version``, ``source``, ``promtool`` (None where there is none), ``cache``, and
        ``tried``, a list of lines; the first four are None where no Prometheus was found.
    """
    try:
        found = search()
    except PrometheusMissing as error:
        found = Search(tried=[Tried(VARIABLE, error.evidence)])
    binary = found.binary
    return {
        "path": binary and str(binary.path),
        "version": binary and binary.version,
        "source": binary and binary.source,
        "promtool": str(binary.promtool) if binary and binary.promtool else None,
        "cache": str(cache.path()),
        "tried": [str(tried) for tried in found.tried],
    }


def _named(named: str) -> Binary:
    try:
        return examine(Path(named).expanduser(), VARIABLE)
    except UnusableError as error:
        raise PrometheusMissing(
            f"{VARIABLE} names something that is not a usable Prometheus.",
            evidence=str(error),
            next_step=f"correct it, or `unset {VARIABLE}` to have the lab look elsewhere.",
        ) from None


def _places() -> Iterator[tuple[str, Path]]:
    """Give every file that might be one, with where it is."""
    yield from (("PATH", path) for path in on_path("prometheus"))
    releases = (path for path in cache.path().glob("release-*") if _version(path) > ())
    for folder in sorted(releases, key=_version, reverse=True):
        name = folder.name.removeprefix("release-")
        yield f"cache (official release {name})", folder / PROMETHEUS
    packaged = cache.path() / "debian" / PROMETHEUS
    if packaged.exists():
        yield "cache (Debian package)", packaged


def _version(folder: Path) -> tuple[int, ...]:
    try:
        return lines.parse(folder.name.removeprefix("release-"))
    except ValueError:
        return ()  # no folder of ours


def _fetch_into(found: Search, progress: Progress | None) -> None:
    from labkit.prometheus import debian, release  # with all of HTTP, which is seldom needed

    sources = (("official release", release.fetch), ("Debian package", debian.fetch))
    for source, fetch in sources:
        try:
            folder = fetch(cache.path(), progress=progress)
            found.binary = examine(folder / PROMETHEUS, source)
        except (PrometheusMissing, UnusableError) as error:
            found.tried.append(Tried(source, _in_one(error)))
        else:
            return


def _in_one(error: Exception) -> str:
    """The message and the evidence, without the next step: there will be one for all."""
    if isinstance(error, PrometheusMissing) and error.evidence:
        return f"{error.message}\n{error.evidence.rstrip()}"
    return str(error)


def _missing(tried: list[Tried], *, fetch: bool) -> PrometheusMissing:
    what = "found, and none could be fetched" if fetch else "found on this machine"
    return PrometheusMissing(
        f"No Prometheus was {what}.",
        evidence="\n".join(map(str, tried)),
        next_step=_how_to_install(fetched=fetch),
    )


def _how_to_install(*, fetched: bool) -> str:
    commands = [] if fetched else ["`labkit prometheus`, which fetches one"]
    if sys.platform == "linux":
        commands.append("`sudo apt install prometheus` (Debian, Ubuntu)")
    if sys.platform == "darwin":
        commands.append("`brew install prometheus`")
    commands.append(f"unpack a release from {_DOWNLOADS} and set {VARIABLE} to its program")
    return "install one: " + "; or ".join(commands) + "."
