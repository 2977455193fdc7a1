"""The `labkit` command as people run it: in a terminal of its own, and with pipes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pexpect
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-m", "labkit"]
SECONDS = 40.0


def environment(state: Path, **more: str) -> dict[str, str]:
    """Return an environment whose state folder is another, and that points at no deployment."""
    kept = {k: v for k, v in os.environ.items() if k not in ("LABKIT_APP_URL", "NO_COLOR")}
    kept.pop("LABKIT_PROMETHEUS_URL", None)
    return {**kept, "XDG_STATE_HOME": str(state), "TERM": "xterm-256color", **more}


def piped(
    *arguments: str, env: Mapping[str, str], **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal, to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        **settings,
    )


@contextlib.contextmanager
def terminal(*arguments: str, env: Mapping[str, str]) -> Iterator[Any]:
    """Run the command in a terminal of 140 columns; end it and all it started if it still runs."""
    with warnings.catch_warnings():
        # From Python 3.12 on, forking while the test's app server has threads is warned of.
        warnings.filterwarnings("ignore", ".*multi-threaded", DeprecationWarning)
        child = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            env=dict(env),
            encoding="utf-8",
            dimensions=(40, 140),
            timeout=SECONDS,
        )
    try:
        yield child
    finally:
        child.close(force=True)


def finish(child: Any) -> int | None:
    """Wait for a command in a terminal to end; return its exit code."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus


def processes_below(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and they in turn."""
    return psutil.Process(pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    """Whether none of the processes runs any more."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)
