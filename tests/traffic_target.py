"""Things to send traffic to: a WSGI app that keeps count, and servers that break connections."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from labkit.server import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.traffic import Stats
    from labkit.traffic.background_state import BackgroundStatus

HANG_SECONDS = 30.0
BRIEF_SECONDS = 0.05


class Target:
    """Counts what reaches it; ``/brief`` takes a moment, ``/hang`` waits for ``release``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.release = threading.Event()
        self.url = ""
        self.paths: list[str] = []
        self.arrivals: list[float] = []
        self.headers: dict[str, str] = {}
        self.in_flight = self.most_in_flight = 0

    @property
    def counts(self) -> Counter[str]:
        """Requests by path."""
        return Counter(self.paths)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        with self._lock:
            self.paths.append(path)
            self.arrivals.append(time.monotonic())
            self.headers = {k: v for k, v in environ.items() if k.startswith("HTTP_")}
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return self._answer(path, start_response)
        finally:
            with self._lock:
                self.in_flight -= 1

    def _answer(self, path: str, start_response: Any) -> list[bytes]:
        headers = [("Content-Type", "application/json")]
        if path == "/hang":
            self.release.wait(HANG_SECONDS)
        if path == "/brief":
            time.sleep(BRIEF_SECONDS)
        if path == "/fail":
            start_response("500 Internal Server Error", headers)
            return [json.dumps({"error_type": "database_error"}).encode()]
        if path == "/away":
            start_response("302 Found", [*headers, ("Location", "/ok")])
            return [b""]
        start_response("200 OK", headers)
        return [b"{}" * 100]


@contextlib.contextmanager
def target_server(threads: int = 40) -> Iterator[Target]:
    """Serve a ``Target``."""
    target = Target()
    server = AppServer(target, threads=threads)
    target.url = server.url
    try:
        yield target
    finally:
        target.release.set()
        server.close()


def assert_counts(ended: BackgroundStatus | Stats, arrived: float) -> None:
    """What was on its way when the end came may have reached the target or not."""
    assert ended.responses <= arrived <= ended.responses + ended.cancelled


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Give the URL of a port at which nothing listens, and which no other program can take."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


class _Rude(socketserver.StreamRequestHandler):
    """Answers the first request of a connection as told, and hangs up: at once, or on the next."""

    server: _RudeServer

    def handle(self) -> None:
        self._read_request()
        self.wfile.write(self.server.answer)
        if self.server.keeps:
            self._read_request()

    def _read_request(self) -> None:
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            self.server.requests += line.startswith(b"GET ")


class _RudeServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    answer = b""
    keeps = False
    requests = 0

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def rude_server(answer: bytes, *, keeps: bool = False) -> Iterator[_RudeServer]:
    """Serve one answer a connection; ``keeps`` reads another request before hanging up."""
    with _RudeServer(("127.0.0.1", 0), _Rude) as server:
        server.answer, server.keeps = answer, keeps
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
