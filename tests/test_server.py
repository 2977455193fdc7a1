"""AppServer: answers what is in flight, then leaves no thread, no socket and no log line behind."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

import labkit.logs
from app import create_app
from labkit.errors import LabError, PortInUse
from labkit.server import AppServer, _Dispatcher
from tests.ports import steady_port
from tests.waiting import wait_for


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


class Gate:
    """An application whose requests wait until the gate is opened."""

    def __init__(self, body: bytes = b"through") -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()
        self.body = body

    def __call__(self, environ, start_response):
        self.entered.release()
        assert self.opened.wait(20)
        start_response("200 OK", [("Content-Length", str(len(self.body)))])
        return [self.body]


class Call(threading.Thread):
    """A request in a thread: what came back, or what went wrong."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.body: bytes | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with urlopen(self.url, timeout=20) as answer:
                self.body = answer.read()
        except OSError as error:
            self.error = error

    def result(self) -> bytes | Exception | None:
        self.join(20)
        return self.body if self.body is not None else self.error


def _closing(server, timeout=5.0):
    thread = threading.Thread(target=server.close, args=(timeout,), daemon=True)
    thread.start()
    return thread


def _get(url):
    with urlopen(url, timeout=10) as answer:
        return answer.read()


def _established(server):
    """How many clients of this process are connected to the server."""
    return sum(
        c.status == psutil.CONN_ESTABLISHED and c.raddr.port == server.port
        for c in psutil.Process().net_connections(kind="tcp")
        if c.raddr
    )


def _refuses(server):
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it met the socket while that was being closed
        return False
    return False


@contextmanager
def _connection(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- Serving -----------------------------------------------------------------------------------


def test_it_answers_once_it_exists():
    with AppServer(hello) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert _get(server.url) == b"hello"
        assert server.running
        assert "running" in repr(server)
    assert not server.running
    assert "closed" in repr(server)


def test_it_listens_on_this_machine_only():
    with AppServer(hello):
        listening = {
            c.laddr.ip
            for c in psutil.Process().net_connections(kind="inet")
            if c.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}


def test_it_works_on_as_many_requests_at_once_as_it_has_threads():
    gate = Gate()
    with AppServer(gate, threads=8) as server:
        calls = [Call(server.url) for _ in range(9)]
        assert all(gate.entered.acquire(timeout=10) for _ in range(8))
        wait_for(lambda: len(server._dispatcher.queue) == 1)
        assert not gate.entered.acquire(blocking=False)
        gate.opened.set()
        assert [call.result() for call in calls] == [b"through"] * 9


def test_a_connection_is_kept_between_requests():
    with AppServer(hello) as server, _connection(server) as connection:
        for _ in range(3):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
            assert connection.sock is not None


def test_the_lab_app_runs_on_it():
    with AppServer(create_app()) as server:
        _get(server.url + "/")
        text = _get(server.url + "/metrics").decode()
    assert 'flask_requests_total{endpoint="/",method="GET",status="200"} 1.0' in text
    assert "flask_requests_in_progress 0.0" in text


def test_a_client_that_leaves_early_leaks_no_request_in_progress():
    app = create_app()
    app.extensions["faults"].update(
        slow_timeout_probability=0, slow_min_seconds=0.2, slow_max_seconds=0.2
    )
    value = app.extensions["metrics"].registry.get_sample_value
    with AppServer(app) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_for(lambda: value("flask_requests_in_progress") == 1)
        wait_for(lambda: value("flask_requests_in_progress") == 0)
    assert value("flask_requests_in_progress") == 0


# --- Closing -----------------------------------------------------------------------------------


def test_a_request_in_flight_is_answered_before_close_returns():
    gate = Gate()
    server = AppServer(gate)
    call = Call(server.url)
    assert gate.entered.acquire(timeout=10)
    closing = _closing(server)
    wait_for(lambda: _refuses(server))  # the port goes first
    assert closing.is_alive()
    gate.opened.set()
    closing.join(10)
    assert call.result() == b"through"
    assert not server.running


def test_requests_that_wait_for_a_thread_are_answered_too():
    gate = Gate()
    server = AppServer(gate, threads=2)
    calls = [Call(server.url) for _ in range(6)]
    assert all(gate.entered.acquire(timeout=10) for _ in range(2))
    wait_for(lambda: len(server._dispatcher.queue) == 4)
    closing = _closing(server)
    wait_for(lambda: _refuses(server))
    gate.opened.set()
    closing.join(10)
    assert [call.result() for call in calls] == [b"through"] * 6


def test_requests_of_clients_that_the_kernel_let_in_are_answered_too():
    server = AppServer(hello)
    let_in = threading.Event()

    def stop_when_clients_wait() -> None:
        let_in.wait(10)
        server._stop_accepting()

    server._server.trigger.pull_trigger(stop_when_clients_wait)  # holds the loop until then
    calls = [Call(server.url) for _ in range(5)]
    wait_for(lambda: _established(server) == 5)
    let_in.set()
    assert [call.result() for call in calls] == [b"hello"] * 5
    server.close()


def test_a_large_answer_is_sent_to_its_end():
    gate = Gate(body=b"x" * 30_000_000)  # more than waitress keeps in memory for a client
    server = AppServer(gate)
    with _connection(server) as connection:
        connection.request("GET", "/")
        assert gate.entered.acquire(timeout=10)
        closing = _closing(server, timeout=20.0)
        gate.opened.set()
        assert len(connection.getresponse().read()) == 30_000_000
        closing.join(20)


def test_a_request_that_outlasts_the_deadline_is_cut_off(tmp_path):
    gate, log = Gate(), tmp_path / "server.log"
    server = AppServer(gate, log=log)
    call = Call(server.url)
    assert gate.entered.acquire(timeout=10)
    server.close(timeout=0.1)
    assert not server.running
    assert _refuses(server)
    assert isinstance(call.result(), ConnectionError | http.client.HTTPException | OSError)
    assert "closed with 1 requests unanswered" in {line["message"] for line in _lines(log)}
    gate.opened.set()  # its thread ends now; the leak detector waits for that


def test_connections_that_are_kept_open_do_not_hold_it_up():
    server = AppServer(hello)
    with ExitStack() as stack:
        connections = [stack.enter_context(_connection(server)) for _ in range(20)]
        for connection in connections:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        closing = _closing(server, timeout=60.0)
        closing.join(20)
        assert not closing.is_alive()
        assert {connection.sock.recv(1) for connection in connections} == {b""}


def test_clients_that_never_stop_asking_do_not_hold_it_up(monkeypatch):
    pause, answered = threading.Event(), []

    def slowly(environ, start_response):
        pause.wait(0.01)
        return hello(environ, start_response)

    def ask(number: int) -> None:
        with _connection(server) as connection:
            while True:
                try:
                    connection.request("GET", "/")
                    connection.getresponse().read()
                    answered.append(number)
                except (OSError, http.client.HTTPException):
                    return

    server = AppServer(slowly)
    clients = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(8)]
    for client in clients:
        client.start()
    wait_for(lambda: len(answered) > 20)
    close_idle, by_then = server._close_idle, []

    def reading_no_more() -> int:
        busy = close_idle()
        by_then.append(Counter(answered))
        return busy

    monkeypatch.setattr(server, "_close_idle", reading_no_more)
    server.close(timeout=20.0)
    for client in clients:
        client.join(30)
    # One that was in flight, and one that its client had yet to count; none gets to ask for ever.
    assert all(more <= 2 for more in (Counter(answered) - by_then[0]).values())


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_a_client_that_says_nothing_or_half_a_request_does_not_hold_it_up(said):
    server = AppServer(hello)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(said)
        wait_for(lambda: server._server.active_channels)
        closing = _closing(server, timeout=60.0)
        closing.join(20)
        assert not closing.is_alive()


def test_the_port_is_free_at_once():
    server = AppServer(hello, port=steady_port())
    with _connection(server) as connection:  # leaves the port in TIME_WAIT
        connection.request("GET", "/")
        connection.getresponse().read()
        server.close()
    with AppServer(hello, port=server.port) as again:
        assert again.port == server.port
        assert _get(again.url) == b"hello"


def test_closing_is_idempotent_and_safe_from_two_threads():
    server = AppServer(hello)
    closings = [_closing(server) for _ in range(4)]
    for closing in closings:
        closing.join(10)
        assert not closing.is_alive()
    server.close()


def test_fifty_cycles_leave_threads_and_files_where_they_were(tmp_path):
    process = psutil.Process()
    files = process.num_handles if sys.platform == "win32" else process.num_fds
    before = (0, 0)
    for number in range(50):
        with AppServer(hello, threads=4, log=tmp_path / "server.log") as server:
            _get(server.url)
        if number == 4:
            before = (threading.active_count(), files())
    # At once on an idle machine; on a busy one a thread that was told to end takes a moment.
    wait_for(lambda: threading.active_count() <= before[0] and files() <= before[1])
    assert logging.getLogger("waitress").handlers == []


# --- Not starting ------------------------------------------------------------------------------


def test_a_taken_port_names_the_program_that_has_it():
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
    code += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        port = int(other.stdout.readline())
        threads = threading.active_count()
        with pytest.raises(PortInUse) as caught:
            AppServer(hello, port=port)
        assert threading.active_count() == threads
        other.stdin.close()
    assert f"Port {port}" in caught.value.message
    assert str(other.pid) in caught.value.evidence
    assert "another port" in caught.value.next_step


def test_a_port_taken_by_this_process_says_so():
    with AppServer(hello) as server, pytest.raises(PortInUse, match="this process itself"):
        AppServer(hello, port=server.port)


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("nowhere.invalid", 0), ("127.0.0.1", 70_000)]
)
def test_an_address_that_is_not_ours_is_refused(host, port):
    with pytest.raises(LabError, match="cannot listen") as caught:
        AppServer(hello, host=host, port=port)
    assert not isinstance(caught.value, PortInUse)


def test_a_server_that_cannot_start_its_threads_leaves_nothing(monkeypatch):
    started = []
    start = threading.Thread.start

    def start_a_few(thread):
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_a_few)
    with pytest.raises(RuntimeError, match="can't start"):
        AppServer(hello, threads=8)
    assert not any(thread.is_alive() for thread in started)


# --- The log -----------------------------------------------------------------------------------


def test_warnings_go_to_the_log_and_to_nothing_else(tmp_path, capfd, caplog, monkeypatch):
    class Clock:
        """Stands still: the requests come within one second, however slow the machine is."""

        @staticmethod
        def monotonic() -> float:
            return 100.0

    monkeypatch.setattr(labkit.logs, "time", Clock)
    gate, log = Gate(), tmp_path / "logs" / "server.log"
    with AppServer(gate, threads=1, log=log) as server:
        calls = [Call(server.url) for _ in range(5)]
        wait_for(lambda: len(server._dispatcher.queue) == 4)
        gate.opened.set()
        assert [call.result() for call in calls] == [b"through"] * 5
    lines = _lines(log)
    assert [line["level"] for line in lines] == ["warning"]  # once a second, however many
    assert lines[0]["message"] == "Task queue depth is 1"
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_warnings_reach_no_terminal_without_a_log_either(capfd, caplog):
    gate = Gate()
    with AppServer(gate, threads=1) as server:
        calls = [Call(server.url) for _ in range(3)]
        wait_for(lambda: len(server._dispatcher.queue) == 2)
        gate.opened.set()
        for call in calls:
            call.result()
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_an_application_that_raises_is_a_500_with_its_traceback_in_the_log(tmp_path, capfd):
    def broken(environ, start_response):
        raise ZeroDivisionError("a slip")

    log = tmp_path / "server.log"
    with AppServer(broken, log=log) as server, _connection(server) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 500
    (line,) = _lines(log)
    assert line["level"] == "error"
    assert "ZeroDivisionError: a slip" in line["traceback"]
    assert capfd.readouterr() == ("", "")


def test_a_server_whose_threads_begin_slowly_does_not_take_its_first_request_for_a_queue(
    tmp_path, monkeypatch
):
    begin = _Dispatcher.handler_thread

    def begin_slowly(dispatcher, number):
        threading.Event().wait(0.2)
        begin(dispatcher, number)

    monkeypatch.setattr(_Dispatcher, "handler_thread", begin_slowly)
    with AppServer(hello, threads=2, log=tmp_path / "server.log") as server:
        _get(server.url)
    assert not (tmp_path / "server.log").exists()  # it is made with its first line


def test_what_an_application_writes_to_its_errors_is_in_the_log(tmp_path, capfd):
    def talkative(environ, start_response):
        print("first %s", file=environ["wsgi.errors"])
        environ["wsgi.errors"].writelines(["second\n", "\n"])
        return hello(environ, start_response)

    log = tmp_path / "server.log"
    with AppServer(talkative, log=log) as server:
        _get(server.url)
    assert [line["message"] for line in _lines(log)] == ["first %s", "second"]
    assert capfd.readouterr() == ("", "")


def test_two_servers_log_apart(tmp_path):
    def complain(environ, start_response):
        environ["wsgi.errors"].write(environ["PATH_INFO"])
        return hello(environ, start_response)

    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    with AppServer(complain, log=logs[0]) as one, AppServer(complain, log=logs[1]) as two:
        _get(one.url + "/one")
        _get(two.url + "/two")
    assert [[line["message"] for line in _lines(log)] for log in logs] == [["/one"], ["/two"]]


def test_the_log_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(labkit.logs, "LARGEST_LOG_BYTES", 3000)

    def complain(environ, start_response):
        environ["wsgi.errors"].write(environ["PATH_INFO"] + "x" * 300)
        return hello(environ, start_response)

    with AppServer(complain, log=tmp_path / "server.log") as server:
        for number in range(50):
            _get(f"{server.url}/{number}")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["server.log", "server.log.1"]
    assert all(file.stat().st_size <= 3000 for file in files)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, capfd):
    log = tmp_path / "server.log"

    def complain(environ, start_response):
        environ["wsgi.errors"].write("lost")
        return hello(environ, start_response)

    with AppServer(complain, log=log) as server:
        log.mkdir()  # in the file's place
        assert _get(server.url) == b"hello"
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk here is always full")
def test_a_full_disk_stops_nothing(capfd):
    def complain(environ, start_response):
        environ["wsgi.errors"].write("lost")
        return hello(environ, start_response)

    with AppServer(complain, log=Path("/dev/full")) as server:
        assert _get(server.url) == b"hello"
    assert capfd.readouterr() == ("", "")
