"""python -m app: the app alone, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pytest

from tests.waiting import wait_for

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


@contextmanager
def _serving(*arguments, **env):
    command = [sys.executable, "-W", "error", "-m", "app", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    try:
        process.url = re.search(r"http://\S+", process.stdout.readline())[0]
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def _read(url):
    with urlopen(url, timeout=10) as answer:
        return answer.read()


@posix
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_ends_cleanly(ending):
    with _serving() as process:
        assert process.url.startswith("http://127.0.0.1:")
        assert b"flask_requests_total" in _read(process.url + "/metrics")
        process.send_signal(ending)
        out, err = process.communicate(timeout=15)
        assert (process.returncode, out, err) == (0, "Stopped.\n", "")


@posix
def test_a_request_in_flight_is_answered_before_it_ends():
    with _serving("--preset", "healthy", LABKIT_TOKEN="secret") as process:
        host, port = process.url.removeprefix("http://").split(":")
        faults = {"slow_min_seconds": 1, "slow_max_seconds": 1, "slow_timeout_probability": 0}
        request = Request(
            process.url + "/faults",
            method="PUT",
            data=json.dumps(faults).encode(),
            headers={"X-Lab-Token": "secret"},
        )
        urlopen(request, timeout=10).close()
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            wait_for(lambda: b"in_progress 1.0" in _read(process.url + "/metrics"))
            process.send_signal(signal.SIGINT)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        assert process.wait(15) == 0


def test_preset_token_and_log_are_taken():
    with _serving("--preset", "healthy", "--log", "-", LABKIT_TOKEN="secret") as process:
        request = Request(
            process.url + "/faults",
            method="PUT",
            data=b'{"slow_max_seconds": 0.1}',
            headers={"X-Lab-Token": "secret"},
        )
        with urlopen(request, timeout=10) as answer:
            fields = json.load(answer)
        assert (fields["error_failure_probability"], fields["slow_max_seconds"]) == (0.001, 0.1)
        assert json.loads(process.stdout.readline())["route"] == "/faults"


def test_a_taken_port_is_said_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "app", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert port in done.stderr
    assert "--port" in done.stderr


def test_a_host_that_is_none_of_this_machine_is_not_said_to_be_taken():
    command = [sys.executable, "-m", "app", "--port", "0", "--host"]
    for host in ("999.1.1.1", "192.0.2.1"):
        done = subprocess.run([*command, host], capture_output=True, text=True, timeout=20)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert "--host" in done.stderr
        assert "stop the program" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "65536"], "from 0 to 65535"),
        (["--port", "http"], "from 0 to 65535"),
        (["--threads", "0"], "from 1 to 1000"),
        (["--preset", "sunny"], "healthy"),
    ],
)
def test_bad_numbers_are_refused_with_the_range(arguments, words):
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert words in done.stderr
