"""The distribution's package, by the system's own apt from a repository of the test's."""

from __future__ import annotations

import functools
import hashlib
import os
import posixpath
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labkit.errors import PrometheusMissing
from labkit.prometheus import apt, debian
from labkit.prometheus.candidate import examine
from tests.traffic_target import nobody
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not (shutil.which("apt-get") and shutil.which("dpkg-deb")), reason="this is no Debian"
)

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
QUICK = replace(apt.LIMITS, answer_seconds=2)


class Repository:
    """A repository of packages for apt, served on loopback.

    Args:
        folder: where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = ""
        self.requests: list[str] = []
        folder.mkdir()
        self._server = _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self._server.requests = self.requests
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def add(
        self, name: str, version: str, *, programs: tuple[str, ...] = (), body: str = ""
    ) -> Path:
        """Build a package whose programs answer ``--version``."""
        tree = self.folder / f"{name}-tree"
        control = f"Package: {name}\nVersion: {version}\nArchitecture: {_architecture()}\n"
        control += "Maintainer: Nobody <nobody@example.invalid>\nDescription: a test\n"
        _write(tree / "DEBIAN" / "control", control)
        _write(tree / "usr/share/doc" / name / "copyright", "a licence\n")
        for program in programs or (name,):
            says = body or f"echo '{program}, version {version} (x)'"
            _write(tree / "usr/bin" / program, f"#!/bin/sh\n{says}\n", mode=0o755)
        package = self.folder / f"{name}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, package]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        size = package.stat().st_size
        self.index += f"{control}Filename: ./{name}.deb\nSize: {size}\nSHA256: {digest}\n\n"
        (self.folder / "Packages").write_text(self.index)
        return package

    def close(self) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    requests: list[str]

    def __init__(self, *args: object) -> None:
        self.closing = threading.Event()
        self.silent_about: tuple[str, ...] = ()
        super().__init__(*args)

    def handle_error(self, *args: object) -> None:
        pass  # apt hangs up as it likes


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(posixpath.normpath(self.path))
        if self.path.endswith(self.server.silent_about or "\0"):
            self.server.closing.wait(30)
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def _architecture() -> str:
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    served = Repository(tmp_path / "repository")
    yield served
    served.close()


@pytest.fixture
def sources(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's sources, as apt sees them: the repository, trusted by its owner."""
    path = tmp_path / "sources.list"
    path.write_text(f"deb [trusted=yes] {repository.url} ./\n")
    monkeypatch.setenv("APT_CONFIG", str(apt_config(tmp_path, path)))
    return path


def apt_config(folder: Path, sources: Path) -> Path:
    path = folder / "apt.conf"
    path.write_text(
        f'Dir::Etc::SourceList "{sources}";\n'
        'Dir::Etc::SourceParts "/dev/null";\n'
        'Acquire::http::Proxy::127.0.0.1 "DIRECT";\n'
        'Acquire::http::Proxy::127.0.0.2 "DIRECT";\n'
    )
    return path


def left_in(folder: Path) -> set[str]:
    """What is there, the locks apart."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_the_package_is_fetched_and_unpacked(repository: Repository, sources: Path, tmp_path: Path):
    repository.add("prometheus", "2.42.0+ds-5", programs=("prometheus", "promtool"))
    told: list[tuple[str, int, int | None]] = []
    folder = debian.fetch(tmp_path / "cache", progress=lambda *stage: told.append(stage))
    assert folder == tmp_path / "cache" / "debian"
    assert left_in(folder) == {"prometheus", "promtool", "LICENSE"}
    found = examine(folder / "prometheus", "")
    assert found.version == "2.42.0+ds-5"
    assert found.promtool == folder / "promtool"
    assert left_in(tmp_path / "cache") == {"debian"}
    assert told[0][0] == "Reading Debian's package lists"
    assert told[-1][0] == "Unpacking Prometheus"
    assert debian.fetch(tmp_path / "cache") == folder
    assert [path for path in repository.requests if path.endswith(".deb")] == ["/prometheus.deb"]


def test_promtool_is_taken_from_a_package_of_its_own(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3")
    repository.add("promtool", "3.5.3")
    folder = debian.fetch(tmp_path / "cache")
    assert examine(folder / "prometheus", "").promtool == folder / "promtool"


def test_nothing_of_the_system_is_changed(repository: Repository, sources: Path, tmp_path: Path):
    places = [Path("/var/lib/apt/lists"), Path("/var/lib/dpkg/status"), Path("/var/cache/apt")]
    before = [place.stat().st_mtime_ns for place in places if place.exists()]
    repository.add("prometheus", "3.5.3")
    debian.fetch(tmp_path / "cache")
    assert before == [place.stat().st_mtime_ns for place in places if place.exists()]


def test_a_source_that_does_not_answer_does_not_matter_if_another_has_it(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3")
    with socket.create_server(("127.0.0.2", 0)) as server:  # apt gives up hosts, not ports
        dead = f"http://127.0.0.2:{server.getsockname()[1]}/"
    sources.write_text(f"deb [trusted=yes] {dead} ./\n{sources.read_text()}")
    assert debian.fetch(tmp_path / "cache").exists()


def test_no_network_is_told_in_apts_words(repository: Repository, sources: Path, tmp_path: Path):
    with nobody() as dead:
        sources.write_text(f"deb [trusted=yes] {dead}/ ./\n")
        with pytest.raises(PrometheusMissing, match="knows no package prometheus") as missing:
            debian.fetch(tmp_path / "cache")
    assert "Connection refused" in missing.value.evidence or "connect to" in missing.value.evidence
    assert left_in(tmp_path / "cache") == set()


def test_a_package_that_is_not_there_is_told(repository: Repository, sources: Path, tmp_path: Path):
    repository.add("something-else", "1.0")
    with pytest.raises(PrometheusMissing, match="knows no package prometheus"):
        debian.fetch(tmp_path / "cache")


def test_a_full_disk_is_told_as_one(
    repository: Repository, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    repository.add("something-else", "1.0")  # so that apt fails, as it does without room
    usage = shutil.disk_usage(tmp_path)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PrometheusMissing, match="No space left on device") as missing:
        debian.fetch(tmp_path / "cache")
    assert "make room" in missing.value.next_step
    assert left_in(tmp_path / "cache") == set()


def test_a_package_that_was_changed_on_the_way_is_refused(
    repository: Repository, sources: Path, tmp_path: Path
):
    package = repository.add("prometheus", "3.5.3")
    data = bytearray(package.read_bytes())
    data[-1] ^= 1
    package.write_bytes(data)
    with pytest.raises(PrometheusMissing, match="could not download prometheus") as refused:
        debian.fetch(tmp_path / "cache")
    assert "Hash Sum mismatch" in refused.value.evidence
    assert left_in(tmp_path / "cache") == set()


def test_a_repository_that_nobody_signed_is_refused(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3")
    sources.write_text(f"deb {repository.url} ./\n")
    with pytest.raises(PrometheusMissing) as refused:
        debian.fetch(tmp_path / "cache")
    assert "does not have a Release file" in refused.value.evidence
    assert "/prometheus.deb" not in repository.requests


def test_a_program_that_does_not_run_here_is_never_published(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3", body="echo 'libc: version not found' >&2; exit 1")
    with pytest.raises(PrometheusMissing, match=r"does not run.*version not found"):
        debian.fetch(tmp_path / "cache")
    assert left_in(tmp_path / "cache") == set()


@pytest.mark.parametrize("silent", ["Packages", "prometheus.deb"])
def test_a_server_that_goes_quiet_is_given_up(
    repository: Repository, sources: Path, tmp_path: Path, silent: str
):
    repository.add("prometheus", "3.5.3")
    repository._server.silent_about = (silent, f"{silent}.xz", f"{silent}.gz")
    limits = replace(apt.LIMITS, answer_seconds=60, stall_seconds=2.0)
    with pytest.raises(PrometheusMissing, match=r"stopped: nothing arrived for 2 s"):
        debian.fetch(tmp_path / "cache", limits=limits)
    assert left_in(tmp_path / "cache") == set()


def test_an_interrupt_ends_apt_and_leaves_nothing(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3")

    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        debian.fetch(tmp_path / "cache", progress=interrupt)
    assert left_in(tmp_path / "cache") == set()


def test_two_at_once_fetch_once(repository: Repository, sources: Path, tmp_path: Path):
    repository.add("prometheus", "3.5.3")
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(debian.fetch, tmp_path / "cache") for _ in range(2)]
        assert len({result.result(60) for result in results}) == 1
    assert repository.requests.count("/prometheus.deb") == 1


def test_a_killed_fetch_is_done_again_by_the_next(
    repository: Repository, sources: Path, tmp_path: Path
):
    repository.add("prometheus", "3.5.3")
    repository._server.silent_about = ("prometheus.deb",)
    code = textwrap.dedent(f"""
        from pathlib import Path
        from labkit.prometheus import debian
        debian.fetch(Path({str(tmp_path / "cache")!r}))
    """)
    with subprocess.Popen([sys.executable, "-c", code]) as first:
        wait_for(lambda: "/prometheus.deb" in repository.requests)
        first.kill()
    assert not alive(first.pid)
    repository._server.silent_about = ()
    assert debian.fetch(tmp_path / "cache").exists()
    assert left_in(tmp_path / "cache") == {"debian"}
    repository._server.closing.set()


def test_elsewhere_it_says_that_this_is_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrometheusMissing, match="neither Debian nor Ubuntu") as missing:
        debian.fetch(tmp_path / "cache")
    assert "dpkg is not there" in missing.value.evidence


def test_another_suite_comes_from_the_systems_mirror_and_is_signed(
    repository: Repository, sources: Path, tmp_path: Path
):
    """The repository stands for the mirror: apt asks it for the suite, and finds no signature."""
    mirror = f"{repository.url}debian"
    sources.write_text(
        f"deb [trusted=yes] {repository.url}linux/debian stable main\n"
        f"deb [trusted=yes] {mirror} bookworm main\n"
    )
    with pytest.raises(PrometheusMissing):
        debian.fetch(tmp_path / "cache", suite="forky", limits=QUICK)
    asked = [path for path in repository.requests if "Release" in path]
    assert asked
    assert all(path.startswith("/debian/dists/forky/") for path in asked)


def test_a_system_without_debians_mirror_cannot_take_another_suite(
    repository: Repository, sources: Path, tmp_path: Path
):
    with pytest.raises(PrometheusMissing, match="no mirror of Debian"):
        debian.fetch(tmp_path / "cache", suite="forky")


@pytest.mark.skipif(not (ROOT and shutil.which("setpriv")), reason="the other tests show it then")
def test_it_needs_no_root(repository: Repository):
    repository.add("prometheus", "3.5.3")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sources.list").write_text(f"deb [trusted=yes] {repository.url} ./\n")
        config = apt_config(folder, folder / "sources.list")
        shutil.chown(folder, "nobody")
        code = textwrap.dedent(f"""
            import os
            from pathlib import Path
            from labkit.prometheus import debian
            folder = debian.fetch(Path({name!r}))
            print(os.geteuid(), sorted(path.name for path in folder.iterdir()))
        """)
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        if subprocess.run([*user, sys.executable, "-c", "import labkit"], cwd="/").returncode:
            pytest.skip("nobody may not run this Python")
        done = subprocess.run(
            [*user, sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "APT_CONFIG": str(config), "HOME": name},
        )
    assert done.returncode == 0, done.stderr
    uid, _, files = done.stdout.strip().partition(" ")
    assert int(uid) != 0
    assert files == "['LICENSE', 'prometheus']"
