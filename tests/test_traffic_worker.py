"""The sending process: how it starts, what it ignores, and every way in which it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import psutil
import pytest

from labkit.errors import LabError, WorkerDied
from labkit.processes import ChildProcess
from labkit.traffic import Constant, Controlled, Spike, Worker
from labkit.traffic.protocol import decode, encode
from tests.traffic_target import target_server
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.traffic_target import Target

WORKER = [sys.executable, "-P", "-m", "labkit.traffic.worker"]


@pytest.fixture
def target() -> Iterator[Target]:
    with target_server() as target:
        yield target


def test_close_ends_the_runs_the_process_and_the_thread(tmp_path: Path, target: Target):
    worker = Worker(log=tmp_path / "log")
    run = worker.start(target.url, Spike(3, 60), mix={"/hang": 1})
    wait_for(lambda: target.in_flight == 3)
    pid = worker.pid
    assert worker.alive
    assert alive(pid)
    worker.close()
    assert not worker.alive
    assert not alive(pid)
    assert run.wait(1).state == "stopped"
    assert run.stats.cancelled == 3
    worker.close()
    with pytest.raises(LabError, match="was closed"):
        worker.start(target.url, Spike())
    assert repr(worker) == "<Worker closed, 0 runs>"


def test_a_killed_worker_is_reported_by_the_next_calls(tmp_path: Path, target: Target):
    with Worker(log=tmp_path / "log") as worker:
        run = worker.start(target.url, Constant(50, 60), mix={"/ok": 1})
        wait_for(lambda: run.stats.responses > 5)
        os.kill(worker.pid, signal.SIGKILL)
        for call in (
            lambda: run.wait(5),
            run.stop,
            worker.check,
            lambda: worker.start(target.url, Spike()),
        ):
            with pytest.raises(WorkerDied, match="was ended by SIGKILL") as caught:
                wait_for(call)  # which calls it again where it came before the death was noticed
            assert "constant" in caught.value.evidence  # the tail of its log
            assert str(tmp_path / "log") in caught.value.next_step
        assert run.stats.state == "died"
        assert run.stats.responses > 5
        assert "last report" in repr(run)
        assert run.error is not None
        assert "SIGKILL" in run._repr_html_()
        assert not worker.alive
        assert worker.pid is None


def test_a_worker_that_cannot_start_is_reported_with_its_log(tmp_path: Path, target, monkeypatch):
    (tmp_path / "aiohttp.py").write_text("raise ImportError('this aiohttp is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        Worker(log=tmp_path / "log") as worker,
        pytest.raises(WorkerDied, match="exit code 1") as caught,
    ):
        worker.start(target.url, Spike())
    assert "this aiohttp is broken" in caught.value.evidence


def test_files_beside_the_notebook_do_not_break_the_worker(tmp_path: Path, target, monkeypatch):
    (tmp_path / "random.py").write_text("raise ImportError('the wrong random')")
    monkeypatch.chdir(tmp_path)
    with Worker(log=tmp_path / "log") as worker:
        assert worker.start(target.url, Controlled(2, 0.1)).wait(20).responses == 2


def test_spike_stops_when_its_kernel_is_killed(tmp_path: Path, target: Target):
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from labkit.traffic import Spike, Worker
        worker = Worker(log=Path({str(tmp_path / "log")!r}))
        run = worker.start({target.url!r}, Spike(4, 60), mix={{"/brief": 1}})
        print(worker.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as kernel:
        pid = int(kernel.stdout.readline())
        wait_for(lambda: len(target.paths) > 10)
        assert alive(pid)
        kernel.kill()
        wait_for(lambda: not alive(pid))


def test_end_of_file_ends_the_worker_at_once_by_itself():
    with subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert decode(process.stdout.readline())["event"] == "ready"
        process.stdin.close()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_lines_that_make_no_sense_are_logged_and_ignored(tmp_path: Path):
    with ChildProcess(WORKER, log=tmp_path / "log", piped=True) as process:
        assert decode(process.stdout.readline())["event"] == "ready"
        for line in [b"\xff\xfe\n", b"[]\n", b"{}\n", encode(do="dance"), encode(do="stop")]:
            process.stdin.write(line)
        process.stdin.write(encode(do="start", run=7, shape={"kind": "burst"}))
        ended = decode(process.stdout.readline())
        assert (ended["event"], ended["run"], ended["state"]) == ("ended", 7, "failed")
        wait_for(lambda: process.tail().count("not understood") == 6)
        process.stdin.write(encode(do="shutdown"))
        assert process.wait(20) == 0


def test_a_parent_that_does_not_read_delays_no_request(tmp_path: Path, target: Target):
    order = {
        "run": 1, "url": target.url, "addresses": ["127.0.0.1"], "seed": 1, "mix": [("/ok", 1)],
        "shape": {"kind": "constant", "rate": 1000.0, "seconds": 3.0}, "timeout_seconds": 30.0,
        "max_seconds": 60.0, "max_rate": 2000.0, "max_in_flight": 3000,  # none is dropped
    }  # fmt: skip
    with ChildProcess(WORKER, log=tmp_path / "log", piped=True) as process:
        process.stdin.write(encode(do="start", **order))
        wait_for(lambda: "finished" in process.tail())  # 80 kB were not read
        process.stdin.write(encode(do="shutdown"))
        messages = [decode(line) for line in process.stdout]
    assert messages[-1]["event"] == "ended"
    assert messages[-1]["totals"]["sent"] == 3000
    rows = sum(len(message["totals"]["rows"]) for message in messages if "totals" in message)
    assert rows == 3000


def test_the_idle_worker_is_small_and_imports_nothing_heavy(tmp_path: Path):
    script = "import sys; import labkit.traffic.worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    heavy = {"numpy", "pandas", "matplotlib", "flask", "prometheus_client", "requests", "hdrh"}
    assert not heavy & set(done.stdout.split())
    with Worker(log=tmp_path / "log") as worker:
        wait_for(lambda: worker.pid is not None)
        wait_for(lambda: len(psutil.Process(worker.pid).threads()) == 3)  # loop, input, output
        assert psutil.Process(worker.pid).memory_info().rss < 60e6
