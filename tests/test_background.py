"""Background traffic: real detached processes against real servers."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from labkit.errors import LabError, TargetRefused
from labkit.server import AppServer
from labkit.traffic import background_main
from labkit.traffic import background_state as files
from labkit.traffic.background import Background, BackgroundRunning
from tests.background_processes import forge, processes
from tests.ports import steady_port
from tests.traffic_target import Target, assert_counts, target_server
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.background_processes import Processes

__all__ = ["processes"]

OK = {"/ok": 1}
FOREIGN = [sys.executable, "-S", "-E", "-c", "import sys; sys.stdin.read()"]
START = (
    "import sys; from labkit.traffic.background import Background;"
    "b = Background.start(sys.argv[1], intensity='high', mix={'/ok': 1});"
    "print('fresh' if b.fresh else 'there')"
)


@pytest.fixture
def target(processes: Processes) -> Iterator[Target]:
    """One for each test: what a stopped run had sent may arrive late, and is no other's."""
    with target_server() as target:
        yield target


def contents(path: Path) -> bytes:
    """Return what is in a file; nothing where it has been renamed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def quick(url: str, **settings: object) -> Background:
    return Background.start(url, intensity="high", mix=OK, **settings)  # type: ignore[arg-type]


def test_its_counts_are_those_of_the_target_and_nothing_is_left(
    target: Target, processes: Processes
):
    background = quick(target.url, seed=7)
    family = processes.family(background.status())
    wait_for(lambda: background.status().responses >= 3)
    now = background.status()
    assert (now.running, now.intensity, now.mix, now.seed) == (True, "high", "custom", 7)
    assert now.by_endpoint == {"/ok": now.responses}
    ended = background.stop()
    assert (ended.state, ended.running, ended.problem) == ("stopped", False, "")
    assert ended.by_status == {200: ended.responses}
    assert_counts(ended, len(target.paths))
    assert not any(map(alive, family))


def test_a_second_start_gives_the_one_that_runs(target: Target, processes: Processes):
    first = quick(target.url, seed=7)
    again = quick(target.url + "/")
    assert (first.fresh, again.fresh) == (True, False)
    assert again.status().pid == first.status().pid
    with pytest.raises(BackgroundRunning, match="with another intensity and mix"):
        Background.start(target.url, mix="errors")
    with pytest.raises(BackgroundRunning, match="with another seed"):
        quick(target.url, seed=8)
    assert processes.mains() == [first.status().pid]


def test_a_second_stop_tells_the_same_and_a_new_start_begins_from_zero(target: Target):
    background = quick(target.url)
    wait_for(lambda: background.status().sent)
    ended = background.stop()
    assert background.stop() == ended
    assert quick(target.url).fresh
    assert background.status().started_at > ended.updated_at


def test_two_starts_at_once_give_one(target: Target, processes: Processes):
    command = [sys.executable, "-c", START, target.url]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate(timeout=30)[0].strip() for start in starts]
    assert sorted(said) == ["fresh", "there"]
    assert len(processes.mains()) == 1


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("http://LocalHost:5000/", "http://127.0.0.1:5000"),
        ("http://127.0.0.1", "http://127.0.0.1:80"),
        ("https://Example.org./shop/", "https://example.org:443/shop"),
        ("http://[0:0::1]:9/", "http://[::1]:9"),
    ],
)
def test_a_target_has_one_name_however_it_is_written(url: str, form: str):
    assert files.normalise(url) == form
    assert files.normalise(form) == form


def test_a_killed_process_leaves_no_worker_and_is_told_as_a_crash(
    target: Target, processes: Processes
):
    background = quick(target.url)
    family = processes.family(background.status())
    os.kill(family[0], signal.SIGKILL)
    wait_for(lambda: not any(map(alive, family)))
    assert background.status().state == "crashed"
    assert "killed" in background.status().problem
    assert "started: high" in background.logs()
    assert background.stop().state == "crashed"
    assert quick(target.url).running


def test_sigterm_ends_it_with_its_worker_and_its_last_counts(target: Target, processes: Processes):
    background = quick(target.url)
    family = processes.family(background.status())
    wait_for(lambda: len(target.paths) >= 2)
    os.kill(family[0], signal.SIGTERM)
    wait_for(lambda: not any(map(alive, family)))
    ended = background.status()
    assert ended.state == "stopped"
    assert 0 < ended.responses == ended.sent - ended.cancelled
    assert_counts(ended, len(target.paths))
    assert f"stopped; {ended.sent} sent" in background.logs(1)


def test_a_stopped_one_that_hangs_is_killed(target: Target, processes: Processes):
    background = quick(target.url)
    family = processes.family(background.status())
    os.kill(family[0], signal.SIGSTOP)
    ended = background.stop(timeout=0.2)
    assert (ended.state, alive(family[0])) == ("stopped", False)
    assert "was killed" in ended.why


def test_a_stale_file_of_a_machine_that_was_restarted_is_no_obstacle(target: Target):
    gone = subprocess.Popen(FOREIGN, stdin=subprocess.DEVNULL)
    gone.wait(10)
    stale = forge(target.url, pid=gone.pid, created=1.7e9)
    assert (stale.status().state, stale.status().why) == ("crashed", "this machine was restarted")
    assert stale.stop().state == "crashed"
    assert quick(target.url).running


def test_a_process_that_got_the_number_later_is_never_signalled(target: Target):
    with subprocess.Popen(FOREIGN, stdin=subprocess.PIPE) as foreign:
        created = psutil.Process(foreign.pid).create_time()
        stale = forge(target.url, pid=foreign.pid, created=created - 3600)
        assert stale.status().state == "crashed"
        assert stale.stop().state == "crashed"
        mine = quick(target.url)
        assert mine.fresh
        assert mine.stop().state == "stopped"
        assert foreign.poll() is None
        foreign.communicate(timeout=10)
        assert foreign.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere this time does not move")
def test_a_clock_that_is_set_hides_none(
    target: Target, processes: Processes, monkeypatch: pytest.MonkeyPatch
):
    background = quick(target.url)
    main, *_ = processes.family(background.status())
    os.kill(main, signal.SIGSTOP)  # so that it does not write the new time down
    try:
        boot_time = psutil._pslinux.boot_time
        monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot_time() + 1)
        assert background.status().running
        assert not quick(target.url).fresh
    finally:
        os.kill(main, signal.SIGCONT)
    assert background.stop().state == "stopped"
    assert not alive(main)


def test_it_starts_where_python_starts_another_one(
    target: Target, processes: Processes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """As the Python of an environment does on Windows: its number is not that of the real one."""
    redirector = tmp_path / "python"
    redirector.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    redirector.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(redirector))
    background = quick(target.url)
    main, *_ = processes.family(background.status())
    assert "background_main" in " ".join(psutil.Process(main).cmdline())
    assert psutil.Process(main).parent().cmdline()[1] == str(redirector)
    wait_for(lambda: background.status().responses, 10)
    assert background.stop().state == "stopped"
    wait_for(lambda: not processes.mains())


def test_one_that_nobody_waits_for_leaves_no_password_behind(processes: Processes, tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from labkit.traffic import background_main as it;"
        "it.NAMED_SECONDS = 0.1; sys.exit(it.main(Path(sys.argv[1])))"
    )
    request = tmp_path / files.REQUEST
    request.write_text(json.dumps({"token": "t", "headers": {"Authorization": "secret"}}))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=20)
    assert done.returncode == 1
    assert not request.exists()


def test_a_damaged_state_file_is_repaired_by_the_one_that_runs(target: Target):
    background = quick(target.url)
    pid = background.status().pid
    (background.log.parent / files.STATE).write_text('{"url": ')
    assert background.status().pid == pid
    assert not quick(target.url).fresh


@pytest.mark.parametrize("text", ["", '{"url": 1}', "[]", '{"state": "running", "pid": "x"}'])
def test_a_damaged_state_file_of_nobody_is_told_and_set_aside(
    target: Target, monkeypatch: pytest.MonkeyPatch, text: str
):
    monkeypatch.setattr(files, "HEARTBEAT_SECONDS", 0.05)
    state = forge(target.url).log.with_name(files.STATE)
    state.write_text(text)
    background = Background.of(target.url)
    assert background is not None
    assert background.status().state == "unreadable"
    assert str(state) in str(background)
    assert background.stop().state == "unreadable"
    if not text:
        assert quick(target.url).running
        assert state.with_name("state.damaged").read_text() == text


def test_one_whose_state_file_is_gone_ends_by_itself(target: Target, processes: Processes):
    background = quick(target.url)
    family = processes.family(background.status())
    (background.log.parent / files.STATE).unlink()
    wait_for(lambda: not any(map(alive, family)))
    assert Background.of(target.url) is None
    assert "its state file is gone" in background.logs(1)


def test_it_goes_on_when_its_target_comes_back(target: Target):
    server = AppServer(target, port=steady_port())
    background = quick(server.url)
    try:
        wait_for(lambda: background.status().responses)
        server.close()
        wait_for(lambda: background.status().silent_since)
        assert "nothing has answered since" in str(background)
        before = background.status()
        server = AppServer(target, port=server.port)
        wait_for(lambda: background.status().responses > before.responses)
        assert background.status().silent_since is None
    finally:
        server.close()
    assert before.last_error in ("connection refused", "disconnected")
    assert "no answer: " in background.logs()
    wait_for(lambda: "answers again after" in background.logs())


def test_it_gives_up_in_words_when_nothing_answers_for_long(target: Target, processes: Processes):
    server = AppServer(target, port=steady_port())
    background = quick(server.url, give_up_seconds=0.5)
    family = processes.family(background.status())
    server.close()
    wait_for(lambda: not any(map(alive, family)))
    assert background.status().state == "gave up"
    # The kept connection breaks first. Whether it has tried again in half a second, chance says.
    why = background.status().last_error
    assert why in ("connection refused", "disconnected")
    assert f"{server.url} has not answered for 0.5 s ({why})" in background.logs(1)


def test_it_ends_when_its_time_is_over(target: Target, processes: Processes):
    background = quick(target.url, seconds=0.5)
    wait_for(lambda: not processes.mains())
    ended = background.status()
    assert (ended.state, ended.why) == ("finished", "its time of 0.5 s was over")
    assert ended.responses == len(target.paths)


def test_a_worker_that_dies_is_told(target: Target, processes: Processes):
    background = quick(target.url)
    family = processes.family(background.status())
    os.kill(family[-1], signal.SIGKILL)
    wait_for(lambda: not any(map(alive, family)))
    assert background.status().state == "failed"
    assert "was ended by SIGKILL" in background.status().problem


def test_what_cannot_be_right_is_refused_before_anything_starts(
    target: Target, processes: Processes
):
    with pytest.raises(TargetRefused, match=r"Nothing answers at http://127\.0\.0\.1:9"):
        Background.start("http://127.0.0.1:9")
    with pytest.raises(TargetRefused, match="allow_remote"):
        Background.start("http://192.0.2.1")
    with pytest.raises(ValueError, match="intensity must be one of 'low', 'normal', 'high'"):
        Background.start(target.url, intensity="wild")
    with pytest.raises(ValueError, match="at most 86,400"):
        Background.start(target.url, seconds=86_401)
    assert processes.mains() == []
    assert Background.all() == []


def test_a_process_that_fails_to_start_is_told_with_its_words(
    target: Target, processes: Processes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'no luck'); os._exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(LabError, match="ended as soon as it was started") as told:
        quick(target.url)
    assert "no luck" in told.value.evidence


def test_a_folder_that_takes_no_files_is_told(target: Target, processes: Processes):
    (files.folder_of(target.url) / files.OUTPUT).mkdir(parents=True)
    with pytest.raises(LabError, match="files cannot be written"):
        quick(target.url)
    assert processes.mains() == []


def test_headers_reach_the_target_and_stay_in_no_file(target: Target):
    background = quick(target.url, headers={"X-Secret": "kept-from-disk"})
    wait_for(lambda: target.headers.get("HTTP_X_SECRET") == "kept-from-disk")
    files_there = list(background.log.parent.iterdir())
    assert files_there
    # A new state that is being written gets the other's name before one can look into it.
    assert not [path for path in files_there if b"kept-from-disk" in contents(path)]
    assert (background.log.parent / files.STATE).stat().st_mode & 0o077 == 0


def test_traces_of_many_old_targets_do_not_pile_up(target: Target):
    for number in range(8):
        forge(f"http://127.0.0.1:{6000 + number}", state="stopped")
    background = quick(target.url)
    kept = [each.url for each in Background.all()]
    assert kept[0] == background.url
    assert len(kept) == 6


def test_its_log_has_a_largest_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: Processes
):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    background = forge("http://127.0.0.1:5000", state="stopped")
    background_main._log_to(background.log)
    log = background_main._log
    try:
        for number in range(5000):
            log.info("%06d %s", number, "x" * 400)
    finally:
        log.handlers.pop().close()
    logs = [path for path in background.log.parent.iterdir() if "log" in path.name]
    assert len(logs) == 2
    assert sum(path.stat().st_size for path in logs) <= 2_000_000
    lines = background.logs(2500).splitlines()  # more than the newer file holds
    assert [int(line.split()[3]) for line in lines] == list(range(2500, 5000))


def test_it_survives_its_terminal(target: Target, processes: Processes):
    pexpect = pytest.importorskip("pexpect")
    terminal = pexpect.spawn("/bin/sh", encoding="utf-8", timeout=20)
    terminal.sendline(f'{sys.executable} -c "{START}" {target.url}')
    terminal.expect("\nfresh")
    background = Background.of(target.url)
    assert background is not None
    family = processes.family(background.status())
    os.killpg(terminal.pid, signal.SIGHUP)
    terminal.close(force=True)
    assert not alive(terminal.pid)
    sent = background.status().sent
    wait_for(lambda: background.status().sent > sent)
    assert all(psutil.Process(pid).terminal() is None for pid in family)
    assert os.getsid(family[0]) == family[0]
    assert psutil.Process(family[0]).status() != psutil.STATUS_ZOMBIE


def test_it_survives_its_killed_kernel(target: Target, processes: Processes):
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(startup_timeout=60)
    try:
        code = f"import sys; sys.argv = ['', {target.url!r}]\n{START}"
        reply = client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok"
        background = Background.of(target.url)
        assert background is not None
        processes.family(background.status())
        manager.signal_kernel(signal.SIGKILL)  # to its whole process group
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    sent = background.status().sent
    wait_for(lambda: background.status().sent > sent)
    assert background.stop().state == "stopped"


def test_what_it_says_is_plain_data_and_safe_html(target: Target):
    status = forge(
        "http://127.0.0.1:5000",
        state="stopped",
        sent=3,
        responses=2,
        failed=1,
        by_status={503: 2},
        last_error="<b>bad</b>",
        last_error_at=time.time(),
    ).status()
    data = json.loads(json.dumps(status.to_dict()))
    assert (data["running"], data["pid"], data["by_status"]) == (False, None, {"503": 2})
    assert "3 sent, 1 failed, 2 responses (0.00/s): 503 × 2" in str(status)
    assert "&lt;b&gt;bad&lt;/b&gt;" in status._repr_html_()
