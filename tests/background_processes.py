"""The processes of background traffic in a test: who they are, and that none is left."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psutil
import pytest

from labkit.traffic import background_state as files
from labkit.traffic.background import Background
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labkit.traffic.background import BackgroundStatus


class Processes:
    """Finds the processes whose folders are below one path, and remembers their worker.

    They are nobody's children, so the leak detector does not see them: this one does.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._seen: set[int] = set()

    def mains(self) -> list[int]:
        """Return the process numbers of what sends in the background now."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            mine = any(argument.startswith(self._path) for argument in command)
            # Without the short-lived one that starts it, whose command line holds all of this.
            started = "labkit.traffic.background_main" in command and "-S" not in command
            if mine and started and alive(process.pid):
                found.append(process.pid)
        return found

    def family(self, status: BackgroundStatus) -> list[int]:
        """Return the process, its guard and its worker, and remember them."""
        wait_for(lambda: len(psutil.Process(status.pid).children(recursive=True)) == 2)
        children = psutil.Process(status.pid).children(recursive=True)
        members = [status.pid, *(child.pid for child in children)]
        self._seen.update(members)
        return members

    def end_all(self) -> None:
        """End what is left, by its number, and fail when anything stays."""
        for pid in self.mains():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._seen.update(child.pid for child in psutil.Process(pid).children(True))
                psutil.Process(pid).terminate()
                self._seen.add(pid)
        wait_for(lambda: not any(map(alive, self._seen)))


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Give the test a state folder of its own, and leave no process behind."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    processes = Processes(tmp_path)
    yield processes
    processes.end_all()


def forge(url: str, **fields: object) -> Background:
    """Write a state file as one that ran until its machine was switched off."""
    folder = files.folder_of(url)
    folder.mkdir(parents=True, exist_ok=True)
    started = {"intensity": "normal", "mix": "everyday", "seed": 1, "token": "f"}
    times = {"started_at": 1.7e9, "updated_at": 1.7e9 + 60, "give_up_seconds": 600.0}
    values = {"state": "running", **started, **times, **fields}
    files.save(folder, files.BackgroundStatus(url, **values))  # type: ignore[arg-type]
    return Background(folder)
