"""Servers for tests of exercises: the histories built once for all lines of Prometheus."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from labkit.history.store import Store
from labkit.teaching.exercises import all_exercises
from labkit.teaching.servers import Servers
from tests.prometheus_lines import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from labkit.history.past import Past
    from labkit.progress import Progress
    from labkit.prometheus.candidate import Binary


def oldest() -> Binary:
    """Return the oldest Prometheus: what its promtool builds, all lines read."""
    return min(
        binaries(), key=lambda each: [int(n) for n in each.version.split("+")[0].split(".")[:2]]
    )


def put(store: Store, past: Past, data: Path, binary: Binary, progress: Progress | None) -> None:
    """Put the blocks of a past into a data folder, built by the oldest promtool."""
    del binary
    store.open(past, data, binary=oldest(), progress=progress)


def servers_on(binary: Binary, cache: Path) -> Servers:
    """Return servers of a line of Prometheus whose histories come from a cache of the tests."""
    store = partial(put, Store(cache))
    return Servers(binary=lambda _: binary, store=store)


@contextmanager
def all_servers(binary: Binary, cache: Path) -> Iterator[Mapping[str, Servers]]:
    """Give running servers for each history that exercises are about."""
    firsts = {each.history: each for each in all_exercises().values() if each.history}
    with ExitStack() as closing:
        running = {}
        for name, exercise in firsts.items():
            running[name] = closing.enter_context(servers_on(binary, cache))
            running[name].start(exercise.history)
        yield running
