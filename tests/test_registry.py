"""The registry: who runs is found, who is gone never is."""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from labkit import registry
from labkit.errors import LabError
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "observability-lab" / "running"


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


ANNOUNCE = (
    "from labkit import registry; entry = registry.announce('up', url='http://127.0.0.1:1');"
    "print(entry.path, flush=True); input()"
)


@contextmanager
def announced_elsewhere() -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that announced itself, and the file of its entry."""
    command = [sys.executable, "-c", ANNOUNCE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
        process.kill()


def change(entry: registry.Entry, **fields: object) -> None:
    """Rewrite an entry's file, as if another process or machine had written it."""
    data = json.loads(entry.path.read_text())
    entry.path.write_text(json.dumps(data | fields))


def test_what_was_announced_is_found_until_it_is_withdrawn():
    entry = registry.announce(
        "lab",
        name="mine",
        url="http://127.0.0.1:5000",
        prometheus_url="http://127.0.0.1:9090",
        token="secret",
        folder="/somewhere",
        intensity="low",
    )
    [found] = registry.running()
    assert found == entry
    assert (found.pid, found.token, found.more) == (os.getpid(), "secret", {"intensity": "low"})
    entry.withdraw()
    entry.withdraw()
    assert registry.running() == []


def test_the_newest_comes_first_and_kinds_are_told_apart():
    first = registry.announce("lab")
    background = registry.announce("background")
    last = registry.announce("up")
    assert registry.running() == [last, background, first]
    assert registry.running("background") == [background]
    assert registry.find_target() == last
    last.withdraw()
    assert registry.find_target() == first, "background traffic is no app"


def test_with_nothing_running_the_message_names_the_commands_that_start_something():
    registry.announce("background")
    with pytest.raises(LabError, match=r"labkit up") as caught:
        registry.find_target()
    assert "make lab" in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_user_can_read_an_entry_as_it_holds_a_token(state):
    entry = registry.announce("lab", token="secret")
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert "secret" not in repr(entry)


def test_an_entry_of_a_process_that_is_gone_is_removed(state):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        registry.announce("up", pid=process.pid)
        assert registry.find_target().pid == process.pid
        process.kill()
        # Not reaped yet, so its number still exists.
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        assert registry.running() == []
    assert files(state) == []


def test_an_entry_whose_number_another_process_got_is_never_trusted(state):
    with announced_elsewhere() as (path, process):
        [entry] = registry.running()
        assert (entry.path, entry.pid) == (path, process.pid)
        process.kill()
        process.wait(10)
    change(entry, pid=os.getpid())
    assert registry.running() == []
    assert files(state) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this time does not move")
def test_a_clock_that_is_set_ends_no_lab(state, monkeypatch):
    mine = registry.announce("lab")
    with announced_elsewhere() as (path, _):
        boot_time = psutil._pslinux.boot_time  # in Linux's account, every process moves with it
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time() + 1)
        assert {entry.path for entry in registry.running()} == {mine.path, path}
        mine.withdraw()
        assert files(state) == [path]


def test_an_entry_that_cannot_be_read_hides_nobody(state):
    """Root's after a `sudo labkit up`, or on Windows one that is just being read."""
    entry = registry.announce("up")
    (state / "lab-mine-to-look-at.json").mkdir()  # which root cannot read either
    assert registry.running() == [entry]


def test_a_file_that_makes_no_sense_is_removed_and_hides_nobody(state):
    entry = registry.announce("up")
    for number, text in enumerate(["", "[1]", "{}", '{"host": "x"}', '{"pid": "many"']):
        (state / f"up-bad{number}.json").write_text(text)
    assert registry.running() == [entry]
    assert files(state) == [entry.path]


@pytest.mark.parametrize(
    ("name", "value"),
    [("started_at", "yesterday"), ("url", None), ("folder", 3), ("pid", "1"), ("more", [])],
)
def test_an_entry_with_a_field_of_another_type_is_removed_and_hides_nobody(state, name, value):
    entry, odd = registry.announce("up"), registry.announce("lab")
    change(odd, **{name: value})
    assert registry.running() == [entry]
    assert files(state) == [entry.path]


def test_without_a_state_folder_nothing_runs_and_nothing_can_be_announced(monkeypatch, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(in_the_way))
    assert registry.running() == []
    with pytest.raises(LabError, match="Nothing is running"):
        registry.find_target()
    with pytest.raises(LabError, match="XDG_STATE_HOME"):
        registry.announce("up")


def test_a_full_disk_leaves_no_half_of_an_entry(state, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    registry.running()
    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(LabError, match=r"No space left(.|\n)*make room on its disk"):
        registry.announce("up")
    assert files(state) == []


def test_what_runs_on_another_machine_with_the_same_home_is_left_alone(state):
    entry = registry.announce("up")
    change(entry, host=f"not-{platform.node()}", pid=2**22 + 1)
    assert registry.running() == []
    assert files(state) == [entry.path]


def test_nobody_meets_half_an_entry(state):
    """Readers in threads, while entries come and go: never an error, never a leftover."""

    def come_and_go(_: int) -> None:
        for _ in range(20):
            entry = registry.announce("lab")
            assert entry in registry.running()
            entry.withdraw()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert files(state) == []


def test_a_process_that_has_ended_cannot_be_announced():
    with pytest.raises(LabError, match="has ended"):
        registry.announce("up", pid=2**22 + 1)
