"""The app on AppServer, in a thread, beside bare waitress and werkzeug's threaded server.

    python benchmarks/app_server.py [ROUNDS] [SECONDS]

Each server runs in a process of its own, in a thread beside an idle main thread, with 32
worker threads where that is a setting; each serves `GET /` of the same app, all metrics on. A
second process keeps 8 connections busy, each sending its next request when the last answer is
there (closed loop). The servers take turns in every round.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from app import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTIONS = 8
THREADS = 32
ROUNDS = 3
SECONDS = 3.0


def app_server() -> str:
    """Serve on AppServer; return the URL."""
    from labkit.server import AppServer

    return AppServer(create_app(), threads=THREADS).url


def bare_waitress() -> str:
    """Serve on waitress with its defaults; return the URL."""
    from waitress.server import create_server

    server = create_server(create_app(), host="127.0.0.1", port=0, threads=THREADS)
    threading.Thread(target=server.run, daemon=True).start()
    return f"http://127.0.0.1:{server.effective_port}"


def werkzeug() -> str:
    """Serve on werkzeug, a thread for each connection; return the URL."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    # Its own protocol, HTTP/1.0, with a connection for each request: with HTTP/1.1 it is slower
    # still, because it sends headers and body apart and waits for the client in between.
    class Quiet(WSGIRequestHandler):
        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Print nothing, as the others do."""

    server = make_server("127.0.0.1", 0, create_app(), threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


SERVERS = {"AppServer": app_server, "bare waitress": bare_waitress, "werkzeug": werkzeug}


async def load(url: str, seconds: float) -> list[float]:
    """Keep the connections busy; return the time of each answer, in seconds."""
    import aiohttp

    times: list[float] = []

    async def user(session: aiohttp.ClientSession, end: float) -> None:
        while (start := time.perf_counter()) < end:
            async with session.get(url) as answer:
                await answer.read()
                assert answer.status == 200
            times.append(time.perf_counter() - start)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=10),
    ) as session:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(user(session, end) for _ in range(CONNECTIONS)))
    return times


def measure(name: str, seconds: float) -> tuple[float, float]:
    """Return requests per second and the 99th percentile in milliseconds for one server."""
    command = [sys.executable, __file__, "--serve", name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        url = server.stdout.readline().strip()
        asyncio.run(load(url, 0.5))  # warm up
        times = asyncio.run(load(url, seconds))
        server.stdin.close()  # ends it
    return len(times) / seconds, statistics.quantiles(times, n=100)[98] * 1000


def serve(name: str) -> None:
    """Serve until standard input ends."""
    print(SERVERS[name](), flush=True)
    sys.stdin.read()


def main(rounds: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Measure and print the table."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    for name in _turns(rounds):
        results[name].append(measure(name, seconds))
    base = statistics.median(rate for rate, _ in results["bare waitress"])
    print(f"{'':16}{'requests/s':>12}{'p99 ms':>10}{'to bare waitress':>20}")
    for name, runs in results.items():
        rate = statistics.median(rate for rate, _ in runs)
        p99 = statistics.median(p99 for _, p99 in runs)
        print(f"{name:16}{rate:12.0f}{p99:10.1f}{rate / base:20.2f}")
    packages = "waitress", "werkzeug", "flask", "aiohttp"
    print(
        f"medians of {rounds} rounds of {seconds:g} s, {CONNECTIONS} connections; "
        f"{platform.platform()}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in packages)
    )


def _turns(rounds: int) -> Iterator[str]:
    for number in range(rounds):
        yield from SERVERS if number % 2 else reversed(SERVERS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main(*(kind(text) for kind, text in zip((int, float), sys.argv[1:], strict=False)))
