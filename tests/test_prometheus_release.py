"""Fetching the official release, from a server that behaves well and badly."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from labkit.errors import PrometheusMissing
from labkit.prometheus import release
from labkit.prometheus.download import LIMITS
from labkit.prometheus.release import RELEASE, Release, this_platform, unpack
from tests.traffic_target import nobody
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")

VERSION = "3.13.2"
FOLDER = f"prometheus-{VERSION}.{this_platform()}"
QUICK = replace(LIMITS, answer_seconds=2.0, stall_seconds=0.5)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def program(name: str) -> bytes:
    return f"#!/bin/sh\necho '{name}, version {VERSION} (x)'\n".encode()


def members() -> dict[str, bytes]:
    """What an official archive holds, as far as it matters; the filler makes it large."""
    return {
        f"{FOLDER}/LICENSE": b"a licence",
        f"{FOLDER}/NOTICE": b"a notice",
        f"{FOLDER}/prometheus.yml": b"not wanted",
        f"{FOLDER}/filler": os.urandom(300_000),
        f"{FOLDER}/console_libraries/prometheus": b"not wanted either",
        f"{FOLDER}/prometheus": program("prometheus"),
        f"{FOLDER}/promtool": program("promtool"),
    }


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


@dataclass
class Mirror:
    """A server with one archive, and the ways in which it can go wrong.

    Attributes:
        content: the archive.
        status: what it answers.
        ranges: whether it understands Range.
        cut_after: how many bytes of each answer it sends before it hangs up.
        stall_after: how many bytes it sends before it goes quiet.
        drip_seconds: between single bytes.
        answers: whether it sends headers at all.
        requests: path and Range of each request.
    """

    content: bytes
    url: str = ""
    status: int = 200
    ranges: bool = True
    cut_after: int | None = None
    stall_after: int | None = None
    drip_seconds: float = 0.0
    answers: bool = True
    listed: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def release(self) -> Release:
        digest = hashlib.sha256(self.content).hexdigest()
        return Release(VERSION, {this_platform(): digest, "windows-amd64": digest})

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append((request.path, request.headers["Range"]))
        if not self.answers:
            self.closing.wait(30)
            return
        if request.path.endswith("sha256sums.txt"):
            text = "".join(f"{digest}  {name}\n" for name, digest in self.listed.items())
            self._answer(request, 200 if text else 404, text.encode(), {})
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "bytes=0-")[1])
        if self.status != 200 or not (start and self.ranges):
            self._answer(request, self.status, self.content, {})
        elif start >= len(self.content):
            self._answer(request, 416, b"", {})
        else:
            where = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            self._answer(request, 206, self.content[start:], {"Content-Range": where})

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if self.drip_seconds:
            for i in range(len(body)):
                if self.closing.wait(self.drip_seconds):
                    return
                request.wfile.write(body[i : i + 1])
        if self.stall_after is not None:
            request.wfile.write(body[: self.stall_after])
            self.closing.wait(30)
            return
        request.wfile.write(body[: self.cut_after])
        request.close_connection = True


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    state = Mirror(tar_of(members()))

    class Handler(BaseHTTPRequestHandler):
        protocol_version: ClassVar[str] = "HTTP/1.1"

        def do_GET(self) -> None:
            state.serve(self)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *args: object) -> None:
            pass  # a client that hangs up is what some tests are about

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/mirror"
        yield state
        state.closing.set()
        server.shutdown()
        thread.join(5)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def fetch(mirror: Mirror, tmp_path: Path) -> Callable[..., Path]:
    def fetched(**arguments: object) -> Path:
        given = {"release": mirror.release, "base_url": mirror.url, **arguments}
        return release.fetch(tmp_path / "cache", **given)

    return fetched


def left_in(folder: Path) -> set[str]:
    """What is there, the locks apart."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def part(tmp_path: Path) -> Path:
    return tmp_path / "cache" / f".{FOLDER}.tar.gz.part"


def test_the_right_file_is_fetched_checked_and_unpacked(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    told: list[tuple[str, int, int | None]] = []
    folder = fetch(progress=lambda *stage: told.append(stage))
    assert folder == tmp_path / "cache" / f"release-{VERSION}"
    assert {path.name for path in folder.iterdir()} == {
        "prometheus",
        "promtool",
        "LICENSE",
        "NOTICE",
    }
    assert subprocess.check_output([folder / "prometheus"]).startswith(b"prometheus, version")
    assert left_in(tmp_path / "cache") == {folder.name}
    assert mirror.requests == [(f"/mirror/v{VERSION}/{FOLDER}.tar.gz", None)]
    stages = [stage for stage, _, _ in told]
    assert stages[:2] == [f"Asking 127.0.0.1 for Prometheus {VERSION}", f"Prometheus {VERSION}"]
    assert stages[-1] == f"Unpacking Prometheus {VERSION}"
    assert told[1][2] == len(mirror.content)


def test_what_is_there_is_not_fetched_again(fetch: Callable[..., Path], mirror: Mirror):
    assert fetch() == fetch()
    assert len(mirror.requests) == 1


def test_what_is_there_but_broken_is_fetched_again(fetch: Callable[..., Path], mirror: Mirror):
    (fetch() / "prometheus").write_text("#!/bin/sh\nexit 1\n")
    assert b"version" in subprocess.check_output([fetch() / "prometheus"])
    assert len(mirror.requests) == 2


def test_the_mirror_may_be_named_in_the_environment(
    fetch: Callable[..., Path], mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LABKIT_RELEASES_URL", f"{mirror.url}/")
    assert fetch(base_url=None).exists()


def test_a_proxy_of_the_environment_is_asked(
    fetch: Callable[..., Path], mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", mirror.url.removesuffix("/mirror"))
    monkeypatch.setenv("no_proxy", "")
    fetch(base_url="http://releases.invalid/mirror")
    assert mirror.requests[0][0].startswith("http://releases.invalid/mirror/v3")


def test_a_wrong_hash_is_thrown_away(fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path):
    expected = mirror.release
    mirror.content += b"!"
    with pytest.raises(PrometheusMissing, match="wrong hash") as refused:
        fetch(release=expected)
    assert expected.sha256[this_platform()] in refused.value.evidence
    assert hashlib.sha256(mirror.content).hexdigest() in refused.value.evidence
    assert left_in(tmp_path / "cache") == set()


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (500, "500 Internal")])
def test_a_server_that_refuses_is_quoted(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path, status: int, words: str
):
    mirror.status = status
    with pytest.raises(PrometheusMissing, match=words) as refused:
        fetch()
    assert mirror.url in refused.value.evidence
    assert "LABKIT_RELEASES_URL" in refused.value.next_step
    assert left_in(tmp_path / "cache") == set()


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    fetch: Callable[..., Path], mirror: Mirror
):
    mirror.cut_after = len(mirror.content) // 3 + 1
    assert fetch().exists()
    starts = [asked for _, asked in mirror.requests]
    assert starts == [None, f"bytes={mirror.cut_after}-", f"bytes={2 * mirror.cut_after}-"]


def test_a_server_that_always_breaks_off_is_given_up_and_continued_next_time(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.cut_after = 50_000
    with pytest.raises(PrometheusMissing, match="connection ended before all"):
        fetch()
    assert part(tmp_path).stat().st_size == 50_000 * LIMITS.attempts
    mirror.cut_after = None
    assert fetch().exists()
    assert mirror.requests[-1][1] == f"bytes={50_000 * LIMITS.attempts}-"
    assert not part(tmp_path).exists()


def test_without_ranges_a_broken_download_starts_cleanly_again(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.ranges = False
    mirror.cut_after = 100_000
    with pytest.raises(PrometheusMissing):
        fetch()
    mirror.cut_after = None
    before = len(mirror.requests)
    assert fetch().exists()
    assert len(mirror.requests) == before + 1


@pytest.mark.parametrize("surplus", [False, True])
def test_a_rest_of_another_file_is_replaced(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path, surplus: bool
):
    (tmp_path / "cache").mkdir()
    part(tmp_path).write_bytes(b"x" * (len(mirror.content) + 1 if surplus else 1000))
    assert fetch().exists()
    assert mirror.requests[-1][1] is None


def test_an_archive_that_is_there_in_full_is_not_asked_for(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    (tmp_path / "cache").mkdir()
    part(tmp_path).write_bytes(mirror.content)
    assert fetch().exists()
    assert mirror.requests == []


def test_a_server_that_goes_quiet_is_given_up(fetch: Callable[..., Path], mirror: Mirror):
    mirror.stall_after = 0
    with pytest.raises(PrometheusMissing, match="nothing more arrived"):
        fetch(limits=QUICK)


def test_a_server_that_drips_is_given_up(fetch: Callable[..., Path], mirror: Mirror):
    """Each byte is in time; all of them would take hours."""
    mirror.drip_seconds = 0.05
    with pytest.raises(PrometheusMissing, match="bytes a second arrived"):
        fetch(limits=replace(QUICK, attempts=1))


def test_a_server_that_never_answers_takes_no_longer_than_the_limit(
    fetch: Callable[..., Path], mirror: Mirror
):
    mirror.answers = False
    started = time.monotonic()
    with pytest.raises(PrometheusMissing, match=r"no answer within 0\.5 s"):
        fetch(limits=replace(LIMITS, answer_seconds=0.5))
    assert time.monotonic() - started < LIMITS.stall_seconds
    mirror.closing.set()


def test_no_network_is_said_at_once(fetch: Callable[..., Path], mirror: Mirror):
    with nobody() as url, pytest.raises(PrometheusMissing, match="Connection refused"):
        fetch(base_url=url)


def test_an_address_that_is_not_http_is_refused(fetch: Callable[..., Path], tmp_path: Path):
    with pytest.raises(PrometheusMissing, match="neither http nor https"):
        fetch(base_url=f"file://{tmp_path}")


def test_the_limit_for_an_answer_is_the_one_promised():
    assert LIMITS.answer_seconds <= 10.0


@pytest.mark.skipif(not (ROOT and shutil.which("unshare")), reason="needs root for a resolver")
def test_a_name_that_is_never_resolved_takes_no_longer_than_the_limit(tmp_path: Path):
    """The system's own resolver asks a name server that never answers."""
    code = textwrap.dedent(f"""
        import socket, time
        from dataclasses import replace
        from pathlib import Path
        from labkit.errors import PrometheusMissing
        from labkit.prometheus import release
        from labkit.prometheus.download import LIMITS
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind(("127.0.0.53", 53))
        started = time.monotonic()
        try:
            release.fetch(Path({str(tmp_path)!r}), base_url="http://releases.example",
                          limits=replace(LIMITS, answer_seconds=1.0))
        except PrometheusMissing as error:
            print(time.monotonic() - started, error.message)
    """)
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.53\n")
    mount = f"mount --bind {resolver} /etc/resolv.conf && ip link set lo up"
    shell = ["unshare", "-m", "-n", "sh", "-c", f'{mount} && exec "$0" "$@"']
    done = subprocess.run(
        [*shell, sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr or "ip:" in done.stderr:
        pytest.skip(f"no resolver can be put in place here: {done.stderr.strip()}")
    seconds, _, message = done.stdout.partition(" ")
    assert "no answer within 1 s" in message, done.stdout + done.stderr
    assert float(seconds) < 8.0, "the system's own would take ten"


def test_a_file_without_end_is_cut_off(fetch: Callable[..., Path], tmp_path: Path):
    with pytest.raises(PrometheusMissing, match=r"larger than 100,000 bytes"):
        fetch(limits=replace(LIMITS, most_bytes=100_000))
    assert left_in(tmp_path / "cache") == set()


@pytest.mark.parametrize(
    "name",
    ["/etc/prometheus", "../prometheus", f"{FOLDER}/../../x", "C:/x", "a\\..\\x", f"{FOLDER}/.."],
)
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_member_that_points_outside_is_refused(
    tmp_path: Path, name: str, pack: Callable[[dict[str, bytes]], bytes]
):
    (tmp_path / "archive").write_bytes(pack({name: b"evil", **members()}))
    (tmp_path / "folder").mkdir()
    with pytest.raises(PrometheusMissing, match="points outside of it"):
        unpack(tmp_path / "archive", tmp_path / "folder")
    assert left_in(tmp_path) == {"archive", "folder"}


def test_a_link_in_the_place_of_the_program_is_not_followed(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/prometheus")
        member.type, member.linkname = tarfile.SYMTYPE, "/bin/sh"
        tar.addfile(member)
    mirror.content = buffer.getvalue()
    with pytest.raises(PrometheusMissing, match=r"does not run.*does not exist"):
        fetch()
    assert left_in(tmp_path / "cache") == set()


@pytest.mark.parametrize(
    "content", [b"<html>not an archive</html>", b"", tar_of(members())[:100_000]]
)
def test_what_is_no_archive_is_refused(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path, content: bytes
):
    mirror.content = content
    with pytest.raises(PrometheusMissing, match="cannot be unpacked"):
        fetch()
    assert left_in(tmp_path / "cache") == set()


def test_a_program_that_does_not_run_here_is_never_published(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.content = tar_of({f"{FOLDER}/prometheus": b"\x7fELF of another machine"})
    with pytest.raises(PrometheusMissing, match="does not run"):
        fetch()
    assert left_in(tmp_path / "cache") == set()


def windows_zip() -> bytes:
    return zip_of(
        {
            name.replace("/prometheus", "/prometheus.exe"): content
            for name, content in members().items()
            if name.count("/") == 1
        }
    )


def test_the_zip_for_windows_is_compared_with_the_list_too(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.content = windows_zip()
    archive = f"prometheus-{VERSION}.windows-amd64.zip"
    mirror.listed = {"other.tar.gz": "0" * 64, archive: "1" * 64}
    with pytest.raises(PrometheusMissing, match="another hash") as refused:
        fetch(target="windows-amd64")
    assert "1" * 64 in refused.value.evidence
    mirror.listed[archive] = mirror.release.sha256["windows-amd64"]
    assert (fetch(target="windows-amd64") / "prometheus.exe").exists()


def test_a_mirror_without_the_list_will_do(fetch: Callable[..., Path], mirror: Mirror):
    mirror.content = windows_zip()
    assert (fetch(target="windows-amd64") / "prometheus.exe").exists()


def test_a_machine_without_a_release_is_told_which_there_are(fetch: Callable[..., Path]):
    with pytest.raises(PrometheusMissing, match="for plan9-mips") as refused:
        fetch(target="plan9-mips", release=RELEASE)
    assert "linux-amd64" in refused.value.evidence


def test_every_platform_has_a_hash_and_a_file_name():
    assert len(RELEASE.sha256) == 5
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in RELEASE.sha256.values())
    assert RELEASE.archive("linux-arm64") == "prometheus-3.13.2.linux-arm64.tar.gz"
    assert RELEASE.archive("windows-amd64") == "prometheus-3.13.2.windows-amd64.zip"


def test_two_at_once_fetch_once(fetch: Callable[..., Path], mirror: Mirror):
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(fetch) for _ in range(2)]
        assert len({result.result(30) for result in results}) == 1
    assert len(mirror.requests) == 1


CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from labkit.prometheus import release
from labkit.prometheus.download import LIMITS
url, digest, folder = sys.argv[1:]
one = release.Release({version!r}, {{release.this_platform(): digest}})
{before}
release.fetch(Path(folder), release=one, base_url=url, limits=replace(LIMITS, stall_seconds=20))
"""


def child(mirror: Mirror, folder: Path, before: str = "") -> subprocess.Popen[bytes]:
    code = CHILD.format(version=VERSION, before=before)
    digest = mirror.release.sha256[this_platform()]
    command = [sys.executable, "-c", code, mirror.url, digest, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_killed_fetch_frees_its_lock_and_is_continued(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.stall_after = 100_000
    with child(mirror, tmp_path / "cache") as first:
        wait_for(lambda: part(tmp_path).exists() and part(tmp_path).stat().st_size >= 65536)
        first.kill()
        first.communicate(timeout=10)
    assert not alive(first.pid)
    arrived = part(tmp_path).stat().st_size
    mirror.stall_after = None
    assert fetch().exists()
    assert mirror.requests[-1][1] == f"bytes={arrived}-"
    assert left_in(tmp_path / "cache") == {f"release-{VERSION}"}


def test_an_interrupted_fetch_is_continued(
    fetch: Callable[..., Path], mirror: Mirror, tmp_path: Path
):
    mirror.stall_after = 100_000

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    assert part(tmp_path).stat().st_size > 0
    mirror.closing.set()
    mirror.stall_after = None
    assert fetch().exists()


@pytest.mark.skipif(sys.platform != "linux", reason="relies on Linux's limit on file sizes")
def test_no_room_is_said_and_leaves_nothing(mirror: Mirror, tmp_path: Path):
    """A limit on file sizes fails the write as a full disk does, with another number."""
    before = textwrap.dedent("""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    """)
    with child(mirror, tmp_path / "cache", before) as process:
        _, said = process.communicate(timeout=30)
    assert b"PrometheusMissing" in said, said
    assert b"could not be stored" in said
    assert b"File too large" in said
    assert b"MB are free in" in said
    assert left_in(tmp_path / "cache") == set()


@pytest.mark.skipif(not (ROOT and shutil.which("unshare")), reason="needs root to mount a disk")
@pytest.mark.parametrize("kilobytes", [100, 450])
def test_a_full_disk_is_said_and_leaves_nothing(mirror: Mirror, tmp_path: Path, kilobytes: int):
    """A disk too small for the archive, and one too small for what is in it."""
    files = {**members(), f"{FOLDER}/promtool": program("promtool") + b"#" * 500_000}
    mirror.content = tar_of(files)
    disk = tmp_path / "disk"
    disk.mkdir()
    code = CHILD.format(version=VERSION, before="")
    after = "import os\nprint(os.listdir(folder))"
    code = code.replace("release.fetch(", "try:\n    release.fetch(") + (
        "except Exception as error:\n    print(type(error).__name__, error)\n" + after
    )
    shell = f'mount -t tmpfs -o size={kilobytes}k lab {disk} && exec "$0" "$@"'
    digest = mirror.release.sha256[this_platform()]
    arguments = ["unshare", "-m", "sh", "-c", shell, sys.executable, "-c", code]
    done = subprocess.run(
        [*arguments, mirror.url, digest, str(disk)], capture_output=True, text=True, timeout=60
    )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    assert "PrometheusMissing" in done.stdout, done.stderr
    assert "No space left on device" in done.stdout
    assert done.stdout.splitlines()[-1] == f"['.release-{VERSION}.lock']"
