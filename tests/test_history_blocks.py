"""A past becomes storage blocks: the text, promtool, and the cache of what was built."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from labkit.errors import LabError
from labkit.history import blocks, openmetrics
from labkit.history.store import Store, is_complete
from tests.prometheus_lines import binaries
from tests.small_past import HOSTILE, Chunk, Family, Series, SmallPast
from tests.waiting import wait_for

if TYPE_CHECKING:
    from labkit.prometheus.candidate import Binary

HOUR_MS = 3_600_000


class Words:
    """Takes what a build says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def binary() -> Binary:
    return binaries()[-1]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "cache", most_megabytes=100)


def script(path: Path, text: str) -> Path:
    """Something that is run in promtool's place."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def written(chunk: Chunk, families: tuple[Family, ...] = ()) -> list[str]:
    file = io.StringIO()
    pieces = [piece for span in openmetrics.spans([chunk], HOUR_MS) for piece in span]
    openmetrics.write(file, pieces, families)
    return file.getvalue().splitlines()


def test_the_text_keeps_numbers_labels_and_times_exactly():
    times = np.array([1_700_000_017_000, 1_700_000_018_001])
    series = [
        Series("c_total", "c_total", {"text": HOSTILE}, np.array([3.0, 9e15])),
        Series("g", "g", {}, np.array([0.1 + 0.2, np.nan])),
        Series("g", "g", {"is": "inf"}, np.array([np.inf, -0.5])),
    ]
    lines = written(Chunk(times, series), (Family("c_total", "counter", "A\nB"),))
    label = r'{text="a \"b\"\\\n<i>é</i>"}'
    assert lines == [
        r"# HELP c A\nB",
        "# TYPE c counter",
        f"c_total{label} 3 1700000017",
        f"c_total{label} 9000000000000000 1700000018.001",
        "g 0.30000000000000004 1700000017",
        'g{is="inf"} inf 1700000017',
        'g{is="inf"} -0.5 1700000018.001',
        "# EOF",
    ]


def test_spans_are_cut_where_storage_cuts_its_blocks():
    times = np.arange(10) * HOUR_MS // 2 + HOUR_MS // 4  # two an hour
    values = np.arange(10.0)
    chunks = [
        Chunk(times[:5], [Series("x", "x", {}, values[:5])]),
        Chunk(times[5:], [Series("x", "x", {}, values[5:])]),
    ]
    spans = list(openmetrics.spans(chunks, 2 * HOUR_MS))
    found = [[piece.values(piece.series[0]).tolist() for piece in span] for span in spans]
    assert found == [[[0, 1, 2, 3]], [[4], [5, 6, 7]], [[8, 9]]]
    for piece in (piece for span in spans for piece in span):
        assert len({int(time) // (2 * HOUR_MS) for time in piece.times_ms}) == 1


def test_a_past_becomes_one_block_a_span_and_says_how_far_it_is(prometheus_binary, tmp_path):
    past, progress = SmallPast(days=8), Words()
    promtool = blocks.require_promtool(prometheus_binary)
    count = blocks.build(past, tmp_path, promtool=promtool, progress=progress)
    assert count == sum(map(len, past.samples().values()))
    # 2026-01-23 is 20476 days, or 3033 spans and 2.25 days, after 1970.
    assert len(blocks.blocks_in(tmp_path)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {
        block.name for block in blocks.blocks_in(tmp_path)
    }
    assert progress.said[0] == "Building the history: 12 % of 8 days …"
    assert "promtool stores the last" in progress.said[-1]


def test_a_dense_past_is_built_in_shorter_spans(binary, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_SAMPLES", 60 * 54 * 3)  # three series on the first day
    past = SmallPast(days=3)
    promtool = blocks.require_promtool(binary)
    assert blocks.build(past, tmp_path, promtool=promtool) == sum(map(len, past.samples().values()))
    built = blocks.blocks_in(tmp_path)
    assert len(built) == 2  # 2026-01-28 is 20481 days, or 9102 spans of 54 h and 1.5 days


def test_what_was_built_is_taken_from_the_cache(store, binary, tmp_path):
    assert store.open(SmallPast(), tmp_path / "1", binary=binary) is False
    (entry,) = store.entries()
    assert store.open(SmallPast(), tmp_path / "2", binary=replace(binary, promtool=None)) is True
    assert store.open(SmallPast(days=2, name="two"), tmp_path / "3", binary=binary) is False
    assert len(store.entries()) == 2
    one, two = (blocks.blocks_in(tmp_path / name) for name in "12")
    assert [block.name for block in one] == [block.name for block in two] != []
    names = {path.relative_to(entry.folder) for path in entry.folder.rglob("*") if path.is_file()}
    copied = {
        path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file()
    }
    assert copied == names - {Path("complete.json")}
    assert "2 histories" in repr(store)


def test_what_a_server_does_to_its_copy_leaves_the_cache_as_it_is(store, binary, tmp_path):
    store.open(SmallPast(), tmp_path / "1", binary=binary)
    for path in (tmp_path / "1").rglob("*"):
        if path.name in ("meta.json", "tombstones"):
            path.write_text("changed")
        elif path.is_file():
            path.unlink()
    assert is_complete(store.entries()[0].folder)


@pytest.mark.parametrize("harm", ["no marker", "a file cut short", "a file gone", "not JSON"])
def test_a_folder_that_is_not_whole_is_built_anew(store, binary, tmp_path, harm):
    store.open(SmallPast(), tmp_path / "1", binary=binary)
    folder = store.entries()[0].folder
    index = next(folder.rglob("index"))
    if harm == "no marker":
        (folder / "complete.json").unlink()
    elif harm == "a file cut short":
        index.unlink()
        index.write_bytes(b"")
    elif harm == "a file gone":
        index.unlink()
    else:
        (folder / "complete.json").write_text("{")
    assert store.open(SmallPast(), tmp_path / "2", binary=binary) is False
    assert next((tmp_path / "2").rglob("index")).stat().st_size > 0
    assert store.open(SmallPast(), tmp_path / "3", binary=binary) is True


def test_what_was_not_opened_for_longest_goes_first(store, binary, tmp_path):
    for number, name in enumerate("abc"):
        store.open(SmallPast(name=name), tmp_path / name, binary=binary)
        newest = store.entries()[-1]
        os.utime(newest.folder / "complete.json", (1000 + number, 1000 + number))
    a, b, c = store.entries()
    store.open(SmallPast(name="a"), tmp_path / "again", binary=binary)
    store.most_bytes = a.size + c.size
    (store.folder / f".{b.folder.name}.new-killed").mkdir()
    store.tidy()
    assert {entry.folder for entry in store.entries()} == {a.folder, c.folder}
    assert not list(store.folder.glob(".*.new-*"))
    store.most_bytes = 0
    assert store.open(SmallPast(name="d"), tmp_path / "d", binary=binary) is False
    assert store.entries() == []
    assert blocks.blocks_in(tmp_path / "d")


def test_the_limit_comes_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("LABKIT_HISTORY_CACHE_MB", "12.5")
    assert Store(tmp_path).most_bytes == 12_500_000
    for text in ("much", "-1", "inf"):
        monkeypatch.setenv("LABKIT_HISTORY_CACHE_MB", text)
        with pytest.raises(ValueError, match="megabytes"):
            Store(tmp_path)


BUILD = """
import sys
from pathlib import Path
from labkit.history.store import Store
from labkit.prometheus.candidate import examine
from tests.small_past import SmallPast

def wait(day):
    print("building", flush=True)
    sys.stdin.readline()

binary = examine(Path(sys.argv[1]), "test")
store = Store(Path(sys.argv[2]))
print(store.open(SmallPast(before=wait), Path(sys.argv[3]), binary=binary), flush=True)
"""


def test_of_two_processes_that_want_the_same_one_builds_and_the_other_waits(
    store, binary, tmp_path
):
    command = [sys.executable, "-c", BUILD, binary.path, store.folder, tmp_path / "other"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "building\n"

            class Go(Words):
                def say(self, text: str) -> None:
                    super().say(text)
                    if len(self.said) == 1:
                        other.stdin.write("\n")
                        other.stdin.flush()

            progress = Go()
            assert store.open(SmallPast(), tmp_path / "own", binary=binary, progress=progress)
            assert set(progress.said) == {
                "Another notebook is building this history; waiting for it …"
            }
            assert other.stdout.readline() == "False\n"
            assert other.wait(20) == 0
        finally:
            other.kill()
    own, others = (blocks.blocks_in(tmp_path / name) for name in ("own", "other"))
    assert [block.name for block in own] == [block.name for block in others]


def test_a_build_that_was_killed_is_not_used(store, binary, tmp_path):
    command = [sys.executable, "-c", BUILD, binary.path, store.folder, tmp_path / "other"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "building\n"
        other.kill()
    assert list(store.folder.glob(".*.new-*"))
    assert store.open(SmallPast(), tmp_path / "own", binary=binary) is False
    assert not list(store.folder.glob(".*.new-*"))


def test_an_interrupt_ends_promtool_and_leaves_nothing(store, binary, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    busy = tmp_path / "busy"
    promtool = script(tmp_path / "promtool", f"touch $TMPDIR/head {busy}; exec sleep 60")

    def interrupt(day: int) -> None:
        # By then the first span is with promtool, and this one is waiting for it.
        if day == 6:
            wait_for(busy.exists)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.open(
            SmallPast(days=8, before=interrupt),
            tmp_path / "data",
            binary=replace(binary, promtool=promtool),
        )
    assert busy.exists()
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == []
    assert list((tmp_path / "temporary").iterdir()) == []
    assert blocks.blocks_in(tmp_path / "data") == []


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("echo 'unexpected end of data' >&2; exit 3", "exit code 3.*unexpected end"),
        ("echo 'write: no space left on device' >&2; exit 1", "cannot be stored.*MB are free"),
        ("exit 0", "stored 0 of 4,310 samples"),
    ],
    ids=["it fails", "the disk is full", "it stores nothing"],
)
def test_what_goes_wrong_in_promtool_is_said_and_nothing_is_kept(
    store, binary, tmp_path, does, says
):
    promtool = script(tmp_path / "promtool", does)
    with pytest.raises(LabError) as caught:
        store.open(SmallPast(), tmp_path / "data", binary=replace(binary, promtool=promtool))
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
    assert [path.name for path in store.folder.iterdir() if path.is_dir()] == []


def test_a_full_disk_while_the_text_is_written_is_said(store, binary, tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blocks, "write", full)
    with pytest.raises(LabError, match=r"(?s)cannot be stored.*No space left.*XDG_CACHE_HOME"):
        store.open(SmallPast(), tmp_path / "data", binary=binary)
    assert store.entries() == []


def test_without_promtool_the_error_says_how_to_get_it(store, binary, tmp_path):
    with pytest.raises(LabError, match=r"(?s)promtool.*labkit prometheus.*apt install promtool"):
        store.open(SmallPast(), tmp_path / "data", binary=replace(binary, promtool=None))


def test_without_hard_links_the_blocks_are_copied(store, binary, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    store.open(SmallPast(), tmp_path / "data", binary=binary)
    index = next((tmp_path / "data").rglob("index"))
    assert index.stat().st_nlink == 1
    assert index.stat().st_size > 0
