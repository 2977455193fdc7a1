"""A leak detector that runs after every test: threads, child processes, listening ports."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.prometheus_lines import prometheus_binary  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

# Threads that libraries start once and keep for the life of the process.
LIBRARY_THREADS = {"tqdm_monitor", "IPythonHistorySavingThread"}
# A job that a script has put in the background ignores Ctrl-C, and so would what tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SETTLE_SECONDS = 10.0  # only a leak takes as long


def _threads() -> set[int]:
    alive = (t for t in threading.enumerate() if t.name not in LIBRARY_THREADS)
    return {t.ident for t in alive if t.ident is not None}


def _children() -> set[int]:
    alive = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return alive


def _ports() -> set[int]:
    connections = psutil.Process().net_connections(kind="inet")
    return {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}


def _state() -> dict[str, set[int]]:
    return {"threads": _threads(), "child processes": _children(), "open ports": _ports()}


def _describe(kind: str, leaked: set[int]) -> str:
    if kind == "threads":
        return ", ".join(t.name for t in threading.enumerate() if t.ident in leaked)
    if kind == "child processes":
        return ", ".join(
            " ".join(psutil.Process(pid).cmdline()[:4]) for pid in leaked if psutil.pid_exists(pid)
        )
    return ", ".join(map(str, sorted(leaked)))


@contextmanager
def _local_time(zone: str) -> Iterator[None]:
    if sys.platform == "win32":
        pytest.skip("the local time of a process cannot be set here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def new_york() -> Iterator[None]:
    """Let the local time be New York's."""
    with _local_time("America/New_York"):
        yield


@pytest.fixture
def utc() -> Iterator[None]:
    """Let the local time be UTC."""
    with _local_time("UTC"):
        yield


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or a listening port behind."""
    before = _state()
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        leaks = {kind: now - before[kind] for kind, now in _state().items() if now - before[kind]}
        if not leaks:
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    pytest.fail("left behind: " + "; ".join(f"{k}: {_describe(k, v)}" for k, v in leaks.items()))
