"""Children that die with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from labkit import processes
from labkit.processes import ChildProcess, tail
from tests.waiting import alive, wait_for

if TYPE_CHECKING:
    from pathlib import Path

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
ECHO = [
    sys.executable,
    "-c",
    "import sys; print('up', flush=True); [print(line, flush=True) for line in sys.stdin]",
]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(60)",
]


def child_of(process: ChildProcess) -> int:
    wait_for(lambda: "up" in process.tail())
    pid = process.pid
    assert pid is not None
    return pid


def test_the_number_is_the_childs_where_python_starts_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As the Python of an environment does on Windows, for the guard and for a child in Python."""
    redirector = tmp_path / "python"
    redirector.write_text(f'#!/bin/sh\n"{sys.executable}" "$@"\nexit $?\n')
    redirector.chmod(0o755)
    again = (
        "import os, subprocess, sys, time\n"
        "if 'REAL' not in os.environ:\n"
        "    sys.exit(subprocess.call(sys.orig_argv, env=os.environ | {'REAL': '1'}))\n"
        "print('up', os.getpid(), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", again]
    monkeypatch.setattr(sys, "executable", str(redirector))
    with ChildProcess(command, log=tmp_path / "log") as process:
        wait_for(lambda: "up" in process.tail())
        monkeypatch.setattr(processes, "_WINDOWS", True)
        pid = process.pid
        assert pid == int(process.tail().split()[1])
        os.kill(pid, signal.SIGTERM)  # which on Windows the job does that the two are in


def test_a_guard_that_hangs_is_killed_with_its_child(tmp_path: Path):
    process = ChildProcess(SLEEPER, log=tmp_path / "log", grace_seconds=0.1)
    pid = child_of(process)
    os.kill(process.guard_pid, signal.SIGSTOP)
    assert process.stop() == -signal.SIGKILL
    wait_for(lambda: not alive(pid))
    assert process._kill() == -signal.SIGKILL, "it is gone already, and that is all right"


def test_stop_ends_the_child_and_its_guard(tmp_path: Path):
    process = ChildProcess(SLEEPER, log=tmp_path / "log")
    pid = child_of(process)
    assert process.poll() is None
    process.stop()
    assert not alive(pid)
    assert not alive(process.guard_pid)
    assert process.stop() == 128 + signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path):
    process = ChildProcess(STUBBORN, log=tmp_path / "log", grace_seconds=0.2)
    child_of(process)
    assert process.stop() == 128 + signal.SIGKILL


def test_exit_code_and_output_of_a_child_that_ends_by_itself(tmp_path: Path):
    code = "import sys; print('said'); print('why', file=sys.stderr); sys.exit(3)"
    process = ChildProcess([sys.executable, "-c", code], log=tmp_path / "deep" / "log")
    assert process.wait(30) == 3
    assert set(process.tail().split()) == {"said", "why"}
    assert process.pid is None
    process.stop()


def test_a_command_that_does_not_exist_says_so_in_the_log(tmp_path: Path):
    process = ChildProcess(["/nowhere/prometheus"], log=tmp_path / "log")
    assert process.wait(30) == 127
    assert "/nowhere/prometheus: No such file" in process.tail()
    process.stop()


def test_lines_reach_a_piped_child_and_come_back(tmp_path: Path):
    echo = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    with ChildProcess([sys.executable, "-c", echo], log=tmp_path / "log", piped=True) as process:
        process.stdin.write(b"hello\n")
        assert process.stdout.readline() == b"HELLO\n"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_parent(tmp_path: Path, end: signal.Signals):
    parent_code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from labkit.processes import ChildProcess
        process = ChildProcess({STUBBORN!r}, log=Path({str(tmp_path / "log")!r}), grace_seconds=1)
        while "up" not in process.tail():
            time.sleep(0.01)
        print(process.guard_pid, process.pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(end)
        wait_for(lambda: not any(map(alive, pids)))
    assert len(pids) == 2, "the guard and its child"


def test_interrupting_the_process_group_leaves_the_child_alone(tmp_path: Path):
    parent_code = textwrap.dedent(f"""
        import os, signal, time
        from pathlib import Path
        from labkit.processes import ChildProcess
        process = ChildProcess({ECHO!r}, log=Path({str(tmp_path / "log")!r}))
        while "up" not in process.tail():
            time.sleep(0.01)
        try:
            os.killpg(os.getpgrp(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            # A child that the interrupt has reached, too, ends instead of answering this.
            process.stdin.write(b"still there?\\n")
            while "still there?" not in process.tail() and process.poll() is None:
                time.sleep(0.01)
            print("alive" if process.poll() is None and process.pid else "dead")
            process.stop()
    """)
    done = subprocess.run(
        [sys.executable, "-c", parent_code],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert done.stdout.strip() == "alive", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_guard_takes_the_child_with_it(tmp_path: Path):
    process = ChildProcess(SLEEPER, log=tmp_path / "log")
    pid = child_of(process)
    os.kill(process.guard_pid, signal.SIGKILL)
    wait_for(lambda: process.poll() is not None and not alive(pid))
    assert process.stop() == -signal.SIGKILL


def test_tail_is_bounded_and_survives_a_missing_file(tmp_path: Path):
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_text("".join(f"line {i}\n" for i in range(1000)))
    assert tail(log, 2) == "line 998\nline 999"
    assert tail(log, 0) == ""
