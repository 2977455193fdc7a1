"""The lab as people use it: every part real, on each Prometheus line."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

import labkit
from labkit.lab import Lab
from tests.prometheus_lines import binaries
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.binary import Binary


@pytest.fixture(scope="module")
def chosen(prometheus_binary: Binary) -> Iterator[Binary]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_PROMETHEUS", str(prometheus_binary.path))
        yield prometheus_binary


@pytest.fixture
def newest(monkeypatch) -> Binary:
    """The last of the binaries, for what does not depend on their differences."""
    binary = binaries()[-1]
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binary.path))
    return binary


@pytest.fixture(scope="module")
def lab(chosen: Binary) -> Iterator[Lab]:
    with Lab(seed=7) as lab:
        yield lab


def counted(lab: Lab, promql: str, at: float) -> float:
    return lab.query(promql, time=at)["value"].item()


def scraped_after(lab: Lab, moment: float) -> float:
    """Wait for a scrape younger than the moment; return the scrape's own time."""
    frame = lab.wait_for(f'timestamp(up{{job="flask"}}) > {moment!r}')
    return frame["value"].item()


def test_start_returns_when_the_target_has_been_scraped(lab: Lab, chosen: Binary):
    assert lab.query('up{job="flask"}')["value"].item() == 1
    assert lab.query('up{job="flask"}')["instance"].item() == "app-1"
    assert chosen.version in lab.status()["Prometheus"].detail


def test_the_counters_differ_by_exactly_the_responses_received(lab: Lab):
    import time

    start = scraped_after(lab, time.time())
    stats = lab.traffic(requests=150, seconds=3, mix={"/": 3, "/health": 1, "/error": 1}).wait(20)
    end = scraped_after(lab, time.time())
    total = "sum(flask_requests_total)"
    assert counted(lab, total, end) - counted(lab, total, start) == stats.responses == 150


def test_faults_changed_from_python_show_in_the_metrics(lab: Lab):
    with_faults = lab.faults.to_dict()
    lab.faults.health_failure_probability = 1.0
    try:
        assert requests.get(lab.url + "/health", timeout=5).status_code == 503
    finally:
        lab.faults.update(**with_faults)


def test_start_again_returns_the_running_lab_and_refuses_other_settings(lab: Lab):
    assert labkit.start() is lab
    assert labkit.current() is lab
    assert labkit.start(seed=7) is lab
    assert labkit.start(name=None) is lab, "which is the same as to give no name"
    with pytest.raises(TypeError, match="typo"):
        labkit.start(typo=1)
    with pytest.raises(labkit.LabError, match=r"another scrape_interval"):
        labkit.start(scrape_interval=2.0)


def test_logs_and_status_show_what_runs(lab: Lab):
    run = lab.spike(threads=2, seconds=20)
    try:
        assert lab.status()["Traffic"].state == "running"
        assert lab.url in lab._repr_html_()
        assert "Server is ready" in lab.logs("prometheus", lines=200)
        requests.get(lab.url + "/error", timeout=5)
        wait_for(lambda: '"route": "/error"' in lab.logs("app", lines=200))
        with pytest.raises(ValueError, match="app, prometheus, traffic"):
            lab.logs("nginx")
    finally:
        run.stop()
    assert lab.status()["Traffic"].state == "idle"


def test_an_exception_in_the_app_goes_to_its_log_not_to_a_cell(lab: Lab, capfd, monkeypatch):
    monkeypatch.setattr(lab.faults, "health_fails", lambda: 1 / 0)
    assert requests.get(lab.url + "/health", timeout=5).status_code == 500
    wait_for(lambda: "ZeroDivisionError" in lab.logs("app"))
    assert "ZeroDivisionError" not in "".join(capfd.readouterr())


def test_plot_draws_the_last_minutes(lab: Lab):
    axes = lab.plot("sum(flask_requests_total)", minutes=1)
    assert axes.get_lines()


def test_a_prometheus_that_was_killed_is_reported_with_its_log(chosen: Binary):
    with Lab() as lab:
        os.kill(lab._prometheus.pid, signal.SIGKILL)
        wait_for(lambda: lab._prometheus.poll() is not None)
        with pytest.raises(labkit.PrometheusExited, match="ended with exit code 137") as told:
            lab.query("up")
        assert told.value.evidence
        assert lab.status()["Prometheus"].state == "down"
    assert not lab.running


def test_a_port_that_is_taken_is_named_and_nothing_stays(chosen: Binary, lab: Lab):
    port = int(lab.url.rsplit(":", 1)[1])
    with pytest.raises(labkit.PortInUse, match=str(port)):
        Lab(app_port=port).start()
    port = int(lab.prometheus_url.rsplit(":", 1)[1])
    with pytest.raises(labkit.PortInUse, match=str(port)):
        Lab(prometheus_port=port).start()


def test_a_stopped_lab_says_how_to_start_one():
    lab = Lab()
    lab.stop()
    for call in (lambda: lab.url, lambda: lab.query("up"), lab.panel, lab.spike):
        with pytest.raises(labkit.LabError, match=r"labkit\.start\(\)"):
            call()
    assert "stopped" in repr(lab)


def test_a_file_app_py_beside_the_notebook_is_named(tmp_path: Path):
    (tmp_path / "app.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import labkit; labkit.start()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert str(tmp_path / "app.py") in done.stderr
    assert "rename" in done.stderr


def resources() -> tuple[int, int, int]:
    gc.collect()
    me = psutil.Process()
    return me.num_threads(), len(me.children(recursive=True)), me.num_fds()


@pytest.mark.slow
def test_fifty_starts_and_stops_leave_nothing_behind(newest: Binary):
    """Several labs at a time, to be quick: after the ninth and after the fifty-fourth the same."""

    def cycle(labs: int) -> None:
        together = [Lab() for _ in range(labs)]
        with ThreadPoolExecutor(labs) as pool:
            list(pool.map(Lab.start, together))
            list(pool.map(Lab.stop, together))

    cycle(9)  # as many as later, whose memory the allocator keeps
    before, objects = resources(), len(gc.get_objects())
    memory = psutil.Process().memory_info().rss
    for _ in range(5):
        cycle(9)

    def as_before() -> bool:
        threads, children, descriptors = resources()
        return threads <= before[0] and children <= before[1] and descriptors <= before[2] + 3

    wait_for(as_before)  # a thread that was joined has yet to leave the system
    assert len(gc.get_objects()) - objects < 1000, "caches of urllib's may fill, no more"
    # A lab that stayed would keep 0.8 MB.
    grown = psutil.Process().memory_info().rss - memory
    assert grown < 25 << 20, f"{grown / (1 << 20):.1f} MB more after 45 more cycles"


KERNEL_CODE = """
import psutil, labkit
lab = labkit.start()
run = lab.spike(threads=5, seconds=60)
lab.wait_for("sum(flask_requests_total) > 5")
print(*[process.pid for process in psutil.Process().children(recursive=True)])
"""


def test_a_kernel_killed_during_a_spike_leaves_no_process_after_two_seconds(chosen: Binary):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    printed = []
    try:
        client.execute_interactive(
            KERNEL_CODE,
            timeout=60,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        pids = [int(pid) for pid in "".join(printed).split()]
        assert len(pids) == 4, "two guards, Prometheus and the worker"
        manager.signal_kernel(signal.SIGKILL)
        wait_for(lambda: not any(map(alive, pids)), seconds=2.0)  # what README promises
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_interrupting_the_kernel_leaves_the_lab_running(newest: Binary):
    code = textwrap.dedent("""
        import os, signal, labkit
        lab = labkit.start()
        try:
            os.killpg(0, signal.SIGINT)
            lab.wait_for("vector(0) == 1", timeout=5)
        except KeyboardInterrupt:
            stats = lab.traffic(requests=10, seconds=1).wait(10)
            lab.wait_for("sum(flask_requests_total) >= 10")
            print("alive", stats.responses)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code],
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "alive 10", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this time does not move")
def test_a_clock_that_is_set_removes_no_folder_of_a_lab_that_runs(tmp_path, monkeypatch):
    from labkit.runfolder import RunFolder, remove_orphans

    mine = RunFolder(tmp_path)
    boot_time = psutil._pslinux.boot_time
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time() + 1)
    assert remove_orphans(tmp_path) == []
    other = RunFolder(tmp_path)
    assert mine.path.exists()
    mine.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_got_keeps_no_folder(tmp_path):
    """The one that made it is gone; its number is, as it were, this process's by now."""
    from labkit.runfolder import remove_orphans

    code = (
        "import os, sys; from pathlib import Path; from labkit.runfolder import RunFolder;"
        "print(RunFolder(Path(sys.argv[1])).path, flush=True); os._exit(0)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    owner = Path(done.stdout.strip()) / "owner.json"
    owner.write_text(json.dumps(json.loads(owner.read_text()) | {"pid": os.getpid()}))
    assert remove_orphans(tmp_path) == [owner.parent]


def test_a_folder_that_is_being_signed_is_left_alone(tmp_path):
    from labkit.runfolder import remove_orphans

    young = tmp_path / "run-young"
    young.mkdir()
    (young / "owner.json").write_text("")  # what another process finds in the midst of the write
    assert remove_orphans(tmp_path) == []
    os.utime(young, (0, 0))
    assert remove_orphans(tmp_path) == [young]


def test_leftovers_of_a_killed_lab_are_removed_by_the_next(tmp_path, monkeypatch):
    from labkit.runfolder import RunFolder

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = (
        "import os; from labkit.runfolder import RunFolder; print(RunFolder().path, flush=True);"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    left = Path(done.stdout.strip())
    assert left.exists()
    mine = RunFolder()
    assert not left.exists()
    assert mine.path.exists()
    mine.close()
    assert not mine.path.exists()
