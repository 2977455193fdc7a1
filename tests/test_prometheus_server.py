"""Running Prometheus: from its first scrape to its end, on each line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from labkit.errors import LabError, PortInUse, PrometheusExited, StartupTimeout
from labkit.processes import ChildProcess
from labkit.prometheus import server as running
from labkit.prometheus.candidate import Binary
from labkit.prometheus.diagnosis import errors_in
from labkit.prometheus.logs import LogLimit, cut, text_after
from labkit.prometheus.server import PrometheusServer
from tests.ports import steady_port
from tests.waiting import DEADLINE_SECONDS, alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP on Windows")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

RULES = """\
groups:
  - name: lab
    rules:
      - record: lab:answer
        expr: vector(42)
"""
BAD_EXPRESSION = RULES.replace("vector(42)", "vector(42")
BAD_YAML = "groups: ["


class Target(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"# TYPE things_total counter\nthings_total 7\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    """The address of a target that can be scraped."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Target) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


@pytest.fixture
def start(prometheus_binary: Binary, tmp_path: Path) -> Iterator[Callable[..., PrometheusServer]]:
    """Start servers in a folder; they are closed at the end."""
    servers = []

    def started(**arguments: Any) -> PrometheusServer:
        targets = arguments.pop("targets", {"app-1": "127.0.0.1:1"})
        arguments.setdefault("directory", tmp_path / "prometheus")
        servers.append(PrometheusServer(prometheus_binary, targets, **arguments))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def fake(folder: Path, script: str) -> Binary:
    """A program in Prometheus's place."""
    path = folder / "prometheus"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Binary(path, "3.0.0", "test")


def said(server: PrometheusServer, path: str) -> str:
    """What a Prometheus answers; the lab's own probe gives a busy one two seconds only."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.url}{path}", timeout=DEADLINE_SECONDS) as response:
        return str(response.read().decode())


def answer(server: PrometheusServer, path: str) -> dict[str, Any]:
    return dict(json.loads(said(server, f"/api/v1/{path}"))["data"])


def query(server: PrometheusServer, promql: str) -> list[dict[str, Any]]:
    return list(answer(server, f"query?query={quote(promql)}")["result"])


def recorded(server: PrometheusServer) -> list[str]:
    """The rules that are in force."""
    groups = answer(server, "rules")["groups"]
    return [rule["query"] for group in groups for rule in group["rules"]]


def test_it_scrapes_its_targets_under_the_job_and_their_instance_labels(
    start: Callable[..., PrometheusServer], target: str
):
    server = start(targets={"app-1": target, "app-2": "127.0.0.1:1"}, rules=RULES)
    wait_for(lambda: query(server, "things_total and on () count(up) == 2"))
    wait_for(lambda: query(server, "lab:answer"))
    up = {sample["metric"]["instance"]: sample for sample in query(server, "up")}
    assert {name: sample["value"][1] for name, sample in up.items()} == {"app-1": "1", "app-2": "0"}
    assert {sample["metric"]["job"] for sample in up.values()} == {"flask"}


def test_it_is_ready_at_once_and_listens_on_loopback_alone(start: Callable[..., PrometheusServer]):
    server = start()
    assert "Ready" in said(server, "/-/ready")
    assert server.pid is not None
    connections = psutil.Process(server.pid).net_connections(kind="inet")
    listening = {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/-/reload", "/-/quit", "/api/v1/admin/tsdb/snapshot"])
def test_it_cannot_be_managed_over_http(start: Callable[..., PrometheusServer], path: str):
    request = urllib.request.Request(f"{start().url}{path}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    refused.value.close()
    assert refused.value.code in {403, 405, 500, 503}


def test_a_proxy_in_the_environment_is_not_asked(
    start: Callable[..., PrometheusServer], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert start(start_seconds=10).poll() is None


def test_close_ends_it_frees_its_port_and_removes_its_data(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    server = start(directory=tmp_path, port=steady_port())
    pid = server.pid
    assert pid is not None
    assert list(tmp_path.glob("data-*"))
    server.close()
    assert not alive(pid)
    assert not list(tmp_path.glob("data-*"))
    assert server.log.exists()
    with socket.create_server(("127.0.0.1", server.port)):
        server.close()


def test_a_second_one_in_the_same_folder_does_not_read_the_first_ones_log(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    first = start(directory=tmp_path)
    first.close()
    port = steady_port()  # not the first one's, which another program may have by now
    second = start(directory=tmp_path, port=port)
    assert second.port == port
    assert "Ready" in said(second, "/-/ready")


def test_it_takes_the_port_that_was_asked_for(start: Callable[..., PrometheusServer]):
    port = steady_port()
    for _ in range(2):  # also one that another had a moment ago
        server = start(port=port)
        assert server.url == f"http://127.0.0.1:{port}"
        server.close()


def test_a_port_that_another_prometheus_has_is_refused_with_its_name(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    first = start()
    with pytest.raises(PortInUse) as refused:
        start(port=first.port, directory=tmp_path / "second")
    assert str(first.port) in refused.value.message
    assert f"process {first.pid}: {first.binary.path}" in refused.value.evidence
    assert not list((tmp_path / "second").glob("data-*"))
    assert first.poll() is None


def test_an_impossible_port_is_refused_before_anything_is_started(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    with pytest.raises(ValueError, match="65535"):
        start(port=70_000, directory=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_start_that_fails_says_prometheus_own_reason_and_cleans_up(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    with pytest.raises(PrometheusExited) as ended:
        start(rules=BAD_EXPRESSION, directory=tmp_path)
    assert "parse error" in ended.value.evidence
    assert "correct the rules" in ended.value.next_step
    assert not list(tmp_path.glob("data-*"))


def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch):
    class Talking(ChildProcess):
        """Its time begins when it has said something: a busy machine starts a shell slowly."""

        def __init__(self, *arguments: Any, **settings: Any) -> None:
            super().__init__(*arguments, **settings)
            wait_for(lambda: "reading" in self.tail())

    monkeypatch.setattr(running, "ChildProcess", Talking)
    binary = fake(tmp_path, "echo 'reading the past'; exec sleep 60")
    with pytest.raises(StartupTimeout) as late:
        PrometheusServer(binary, {}, directory=tmp_path, start_seconds=0.5)
    assert "reading the past" in late.value.evidence
    assert not list(tmp_path.glob("data-*"))


def test_a_program_that_is_gone_by_now_is_an_error_of_the_lab(tmp_path: Path):
    binary = fake(tmp_path, "")
    binary.path.unlink()
    with pytest.raises(PrometheusExited, match="127"):
        PrometheusServer(binary, {}, directory=tmp_path / "run")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_lab(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="cannot be written"):
        PrometheusServer(fake(tmp_path, ""), {}, directory=tmp_path / "file" / "run")


@POSIX
def test_an_interrupt_during_the_start_leaves_nothing(tmp_path: Path):
    fake(tmp_path, "echo $$; exec sleep 60")
    code = textwrap.dedent(f"""
        from pathlib import Path
        from labkit.prometheus.candidate import Binary
        from labkit.prometheus.server import PrometheusServer
        folder = Path({str(tmp_path)!r})
        binary = Binary(folder / "prometheus", "3.0.0", "test")
        try:
            PrometheusServer(binary, {{}}, directory=folder)
        except KeyboardInterrupt:
            print(list(folder.glob("data-*")))
            raise SystemExit(5)
    """)
    log = tmp_path / "prometheus.log"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        wait_for(lambda: log.exists() and log.read_text().strip())
        parent.send_signal(signal.SIGINT)
        said, _ = parent.communicate(timeout=10)
    assert parent.returncode == 5
    assert said.decode().strip() == "[]"
    assert not alive(int(log.read_text()))


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_it_dies_within_two_seconds_of_its_parent(
    prometheus_binary: Binary, tmp_path: Path, end: str
):
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from labkit.prometheus.candidate import examine
        from labkit.prometheus.server import PrometheusServer
        binary = examine(Path({str(prometheus_binary.path)!r}), "test")
        server = PrometheusServer(binary, {{}}, directory=Path({str(tmp_path)!r}))
        print(server.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.Process(pid).name() == "prometheus"
        parent.send_signal(getattr(signal, end))
        wait_for(lambda: not alive(pid), seconds=2.0)  # what README promises


def test_one_that_was_killed_is_noticed_with_its_log(start: Callable[..., PrometheusServer]):
    server = start()
    server.check()
    # It says so after it is ready.
    wait_for(lambda: "ready to receive web requests" in server.log.read_text())
    psutil.Process(server.pid).kill()
    wait_for(lambda: server.poll() is not None)
    assert server.poll() == 128 + signal.SIGKILL
    with pytest.raises(PrometheusExited, match="137") as ended:
        server.check()
    assert "ready to receive web requests" in ended.value.evidence
    assert server.pid is None
    assert "ended with 137" in repr(server)


@POSIX
def test_reload_puts_new_rules_and_targets_in_force(start: Callable[..., PrometheusServer]):
    server = start()
    assert recorded(server) == []
    server.reload(replace(server.config, rules=RULES, targets={"app-9": "127.0.0.1:9"}))
    assert recorded(server) == ["vector(42)"]
    assert "app-9" in answer(server, "status/config")["yaml"]
    server.reload(replace(server.config, rules=None))
    assert recorded(server) == []


@POSIX
def test_a_refused_reload_keeps_the_old_rules_each_time(start: Callable[..., PrometheusServer]):
    server = start(rules=RULES)
    old = server.config
    for bad in (BAD_EXPRESSION, BAD_YAML, BAD_YAML):
        with pytest.raises(LabError) as refused:
            server.reload(replace(old, rules=bad, scrape_interval=7))
        assert "rules.yml" in refused.value.evidence
    assert recorded(server) == ["vector(42)"]
    assert server.config is old
    assert "scrape_interval: 1s" in answer(server, "status/config")["yaml"]
    server.reload()


@POSIX
def test_reload_of_one_that_has_ended_says_so(start: Callable[..., PrometheusServer]):
    server = start()
    server.close()
    with pytest.raises(PrometheusExited):
        server.reload(replace(server.config, rules=RULES), timeout=20)


def test_a_data_folder_of_ones_own_is_kept_and_arguments_win(
    start: Callable[..., PrometheusServer], tmp_path: Path
):
    server = start(data=tmp_path / "past", arguments=["--storage.tsdb.retention.time=100y"])
    command = psutil.Process(server.pid).cmdline()
    assert [a for a in command if "retention.time" in a] == ["--storage.tsdb.retention.time=100y"]
    assert "--storage.tsdb.retention.size=512MB" in command
    server.close()
    assert (tmp_path / "past" / "wal").is_dir()


@pytest.mark.skipif(not (ROOT and shutil.which("unshare")), reason="needs root to mount a disk")
def test_a_full_disk_is_named_with_the_remedy(prometheus_binary: Binary, tmp_path: Path):
    code = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from labkit.errors import PrometheusExited
        from labkit.prometheus.candidate import examine
        from labkit.prometheus.server import PrometheusServer
        binary = examine(Path({str(prometheus_binary.path)!r}), "test")
        disk, folder = Path({str(tmp_path / "disk")!r}), Path({str(tmp_path)!r})
        try:
            (disk / "filler").write_bytes(bytes(100_000))
        except OSError:
            pass
        try:
            PrometheusServer(binary, {{}}, directory=folder, data=disk / "data")
        except PrometheusExited as error:
            print(error.next_step)
            print(error.evidence, file=sys.stderr)
    """)
    (tmp_path / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=64k lab {tmp_path / 'disk'}"
    command = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" "$@"', sys.executable, "-c"]
    done = subprocess.run([*command, code], capture_output=True, text=True, timeout=60)
    if "mount:" in done.stderr:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    assert (
        done.stdout.strip() == f"make room on the disk of {tmp_path / 'disk'}, and start again."
    ), done.stderr
    assert "fatal error: fault" in done.stderr or "no space left" in done.stderr


def test_errors_come_in_plain_words_from_both_lines():
    two = r'ts=1 caller=x level=error component="a b" msg="loading groups failed" err="say \"no\""'
    three = 'time=1 level=ERROR source=x msg="Scrape commit failed" err="no space left"'
    text = f"{two}\n{three}\n{three}\nts=1 level=info msg=fine\nts=2 level=error err=bare\npanic: x"
    assert errors_in(text) == [
        'loading groups failed: say "no"',
        "Scrape commit failed: no space left",
        "bare",
        "panic: x",
    ]


def test_a_log_is_cut_while_its_writer_goes_on(tmp_path: Path):
    log = tmp_path / "log"
    code = "import itertools\nfor i in itertools.count(): print('line', i, flush=True)"
    with log.open("ab") as file:
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=file)
    limit = LogLimit(log, most_bytes=50_000, kept_bytes=1_000, look_seconds=0.01)
    try:
        wait_for(lambda: log.exists() and b"older lines were cut off" in log.read_bytes()[:100])
    finally:
        limit.close()
        writer.kill()
        writer.wait(5)
    assert b"\0" not in log.read_bytes()
    assert "line" in text_after(log, 10**9)


def test_a_log_that_cannot_be_cut_ends_nothing(tmp_path: Path):
    """A directory in its place, which fails as a full disk does: with an OSError."""
    cut(tmp_path, 10, 5)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows stops no process")
def test_a_page_that_did_not_answer_once_is_looked_for_again(
    start: Callable[..., PrometheusServer],
):
    server = start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not server.has_web_page
        assert server._web_page is None, "no answer is no proof that there is none"
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: (server.has_web_page, server._web_page)[1] is not None)
    try:
        there = bool(said(server, "/"))
    except urllib.error.HTTPError as none:
        none.close()
        there = False
    assert server.has_web_page == there == server._web_page


def test_cutting_keeps_whole_lines_from_the_end(tmp_path: Path):
    log = tmp_path / "log"
    cut(log, 10, 5)
    log.write_text("".join(f"line {i:03}\n" for i in range(100)))
    cut(log, 10_000, 100)
    assert len(log.read_text()) == 900
    cut(log, 800, 100)
    assert log.read_text().splitlines()[1:] == [f"line {i:03}" for i in range(89, 100)]
