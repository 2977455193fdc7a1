"""Which Prometheus is taken, and what is said when there is none."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit.errors import PrometheusMissing
from labkit.prometheus import binary, cache, candidate
from labkit.prometheus.binary import describe, fetch_prometheus, find_prometheus
from labkit.prometheus.candidate import Binary, UnusableError, examine

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


@pytest.fixture
def bin_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A machine without Prometheus, network and apt: two folders on PATH, and an empty cache."""
    folders = tmp_path / "bin-1", tmp_path / "bin-2"
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LABKIT_RELEASES_URL", "http://127.0.0.1:1/mirror")
    monkeypatch.delenv("LABKIT_PROMETHEUS", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return folders


def program(folder: Path, version: str = "3.5.0", *, name: str = "prometheus", to: int = 1) -> Path:
    """A program that answers ``--version`` like those of the Prometheus project."""
    line = f"{name}, version {version} (branch: HEAD, revision: abc)"
    return script(folder / name, f"echo '{line}' >&{to}\necho '  go version: go1.22' >&{to}")


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_variable_goes_before_everything(
    bin_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program(bin_folders[0], "3.1.0")
    named = program(tmp_path / "own", "2.50.1")
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(named))
    assert find_prometheus() == Binary(named, "2.50.1", "LABKIT_PROMETHEUS")


def test_the_variable_may_be_relative_or_under_home(
    bin_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    named = program(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    for spelling in ("own/prometheus", "~/own/prometheus"):
        monkeypatch.setenv("LABKIT_PROMETHEUS", spelling)
        assert find_prometheus().path == named


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "does not exist"),
        ("folder", "is a folder"),
        ("echo Prometheus the film player 1.0", "is not prometheus.*the film player"),
        ("echo 'promtool, version 3.5.0 (x)'", "is not prometheus"),
        ("echo 'prometheus, version 2.15.2 (x)'", r"the lab needs 2\.33 or later"),
        ("echo 'no libc' >&2; exit 127", "exit code 127 and said: no libc"),
        ("exit 0", "said: nothing"),
        ("exec sleep 30", "did not answer"),
    ],
)
def test_a_variable_that_names_something_else_is_an_error_without_a_fallback(
    bin_folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str | None,
    reason: str,
):
    program(bin_folders[0])
    path = tmp_path / "own" / "prometheus"
    if body == "folder":
        path.mkdir(parents=True)
    elif body:
        script(path, body.replace("sleep", "/bin/sleep"))
    monkeypatch.setattr(candidate, "VERSION_SECONDS", 0.5)
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(path))
    with pytest.raises(PrometheusMissing, match="LABKIT_PROMETHEUS") as missing:
        find_prometheus()
    assert re.search(reason, missing.value.evidence)
    assert "unset LABKIT_PROMETHEUS" in missing.value.next_step


def test_a_file_that_is_no_program_is_no_candidate(tmp_path: Path):
    path = tmp_path / "prometheus"
    path.write_bytes(b"\x7fELF but not really")
    with pytest.raises(UnusableError, match="cannot be run: Permission denied"):
        examine(path, "")
    path.chmod(0o755)
    with pytest.raises(UnusableError, match="cannot be run: Exec format error"):
        examine(path, "")


def test_a_broken_program_on_path_is_skipped_for_the_next(bin_folders: tuple[Path, Path]):
    broken = script(bin_folders[0] / "prometheus", "echo something else")
    good = program(bin_folders[1], "3.2.1")
    found = binary.search()
    assert found.binary == Binary(good, "3.2.1", "PATH")
    assert str(found.tried[0]).startswith(f"PATH: {broken} is not prometheus")


@pytest.mark.parametrize("stream", [1, 2])
def test_the_version_may_come_on_either_stream(bin_folders: tuple[Path, Path], stream: int):
    program(bin_folders[0], "2.42.0+ds", to=stream)
    assert find_prometheus().version == "2.42.0+ds"
    assert find_prometheus().major == 2


def test_promtool_is_the_one_beside_it_of_the_same_version(bin_folders: tuple[Path, Path]):
    program(bin_folders[0], "3.5.0")
    elsewhere = program(bin_folders[1], "3.5.0", name="promtool")
    assert find_prometheus().promtool == elsewhere
    beside = program(bin_folders[0], "3.5.0", name="promtool")
    assert find_prometheus().promtool == beside
    program(bin_folders[0], "3.4.0", name="promtool")
    assert find_prometheus().promtool == elsewhere
    elsewhere.unlink()
    assert find_prometheus().promtool is None


def test_promtool_is_found_beside_what_a_link_points_to(
    bin_folders: tuple[Path, Path], tmp_path: Path
):
    program(tmp_path / "opt")
    promtool = program(tmp_path / "opt", name="promtool")
    (bin_folders[0] / "prometheus").symlink_to(tmp_path / "opt" / "prometheus")
    assert find_prometheus().promtool == promtool


def test_the_cache_comes_after_path_newest_release_first(bin_folders: tuple[Path, Path]):
    for folder in ("release-3.9.1", "release-3.13.2", "release-junk", "debian-forky"):
        program(cache.path() / folder, folder.rpartition("-")[2].replace("forky", "3.99.0"))
    program(cache.path() / "debian", "2.42.0")
    assert find_prometheus().source == "cache (official release 3.13.2)"
    script(cache.path() / "release-3.13.2" / "prometheus", "exit 1")
    assert find_prometheus().version == "3.9.1"
    (cache.path() / "release-3.9.1" / "prometheus").unlink()
    assert find_prometheus().source == "cache (Debian package)"
    program(bin_folders[1], "3.0.0")
    assert find_prometheus().source == "PATH"


def test_without_fetching_the_error_says_where_it_looked(bin_folders: tuple[Path, Path]):
    with pytest.raises(PrometheusMissing, match="on this machine") as missing:
        find_prometheus(fetch=False)
    assert "PATH: it has no program named prometheus" in missing.value.evidence
    assert f"nothing was fetched into {cache.path()}" in missing.value.evidence
    assert "labkit prometheus" in missing.value.next_step
    assert not cache.path().exists()


def test_when_all_fails_the_error_lists_each_attempt_and_how_to_install(
    bin_folders: tuple[Path, Path],
):
    with pytest.raises(PrometheusMissing, match="none could be fetched") as missing:
        find_prometheus()
    tried = re.findall(
        r"^(PATH|cache|official release|Debian package):", missing.value.evidence, re.MULTILINE
    )
    assert tried == ["PATH", "cache", "official release", "Debian package"]
    assert "Connection refused" in missing.value.evidence
    assert "http://127.0.0.1:1/mirror/v3.13.2/prometheus-3.13.2." in missing.value.evidence
    assert "apt-get" in missing.value.evidence or "dpkg is not there" in missing.value.evidence
    assert "LABKIT_PROMETHEUS" in missing.value.next_step
    if sys.platform == "linux":
        assert "sudo apt install prometheus" in missing.value.next_step


def test_fetching_on_demand_does_not_take_the_one_on_path(bin_folders: tuple[Path, Path]):
    program(bin_folders[0])
    with pytest.raises(PrometheusMissing, match="none could be fetched"):
        fetch_prometheus()


def test_a_cache_that_cannot_be_made_is_a_reason_like_others(
    bin_folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(PrometheusMissing) as missing:
        find_prometheus()
    assert "could not be stored" in missing.value.evidence


def test_describe_says_what_would_be_used_and_fetches_nothing(
    bin_folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    assert describe()["path"] is None
    assert len(describe()["tried"]) == 2
    path = program(bin_folders[0], "3.5.0")
    assert describe() | {"tried": []} == {
        "path": str(path),
        "version": "3.5.0",
        "source": "PATH",
        "promtool": None,
        "cache": str(cache.path()),
        "tried": [],
    }
    monkeypatch.setenv("LABKIT_PROMETHEUS", "/nowhere")
    assert describe()["tried"] == ["LABKIT_PROMETHEUS: /nowhere does not exist"]


def test_a_real_one_is_recognised(prometheus_binary: Binary):
    again = examine(prometheus_binary.path, prometheus_binary.source)
    assert again == prometheus_binary
    assert again.major == again.line.major


@pytest.fixture
def filled(tmp_path: Path) -> Callable[[], Path]:
    return lambda: cache.once(
        tmp_path / "folder",
        lambda new: (new / "file").touch(),
        is_good=lambda folder: (folder / "file").exists(),
    )


def test_a_folder_of_the_cache_that_broke_is_filled_anew(
    filled: Callable[[], Path], tmp_path: Path
):
    (filled() / "file").unlink()
    (tmp_path / "folder" / "rest").touch()
    assert [path.name for path in filled().iterdir()] == ["file"]


def test_what_a_killed_fetch_left_is_removed_by_the_next(
    filled: Callable[[], Path], tmp_path: Path
):
    (tmp_path / ".folder.new-killed").mkdir()
    filled()
    assert {path.name for path in tmp_path.iterdir()} == {"folder", ".folder.lock"}
