"""From start to the first `rate()`: the lab beside a bare Prometheus with the same target.

    python -m benchmarks.start [STARTS]

The lab: `labkit.start()` in a fresh Python that has imported labkit; it starts app, worker and
Prometheus. The peer: the same Prometheus, started by hand on the same configuration, for an app
that is being served already. Both are timed until `rate(flask_errors_total[10s])` has an answer,
asked every 20 ms. Prometheus itself takes most of it: it scrapes a new target five seconds after
it was told of it, and a rate needs two scrapes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import requests

from app import create_app
from benchmarks import finish
from labkit.prometheus.binary import find_prometheus
from labkit.prometheus.config import Config
from labkit.server import AppServer

if TYPE_CHECKING:
    from labkit.prometheus.binary import Binary

STARTS = 10
AIM_RATIO = 1.1
QUERY = "rate(flask_errors_total[10s])"
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02

LAB = """
import sys, time
import labkit
begun = time.monotonic()
with labkit.Lab() as lab:
    started = time.monotonic() - begun
    from benchmarks.start import wait_for_rate
    wait_for_rate(lab.prometheus_url)
    print(started, time.monotonic() - begun)
"""


def wait_for_rate(url: str) -> None:
    """Return once the query has an answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with requests.Session() as session:
        session.trust_env = False  # a proxy has no business here, and looking for one takes time
        while not answered(session, f"{url}/api/v1/query?{urlencode({'query': QUERY})}"):
            if time.monotonic() > deadline:
                sys.exit(f"no rate within {PATIENCE_SECONDS:g} s")
            time.sleep(POLL_SECONDS)


def answered(session: requests.Session, address: str) -> bool:
    """Whether the query has a result now."""
    try:
        answer = session.get(address, timeout=5)
        return bool(answer.ok and answer.json()["data"]["result"])
    except requests.RequestException:  # it does not listen yet
        return False


def lab() -> tuple[float, float]:
    """Return the seconds of `labkit.start()` and those to the first rate."""
    done = subprocess.run(
        [sys.executable, "-c", LAB], capture_output=True, text=True, check=True, timeout=120
    )
    started, rated = map(float, done.stdout.split())
    return started, rated


def bare(binary: Binary, target: str) -> float:
    """Return the seconds from starting Prometheus by hand to the first rate."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text(Config({"app-1": target}).render(), encoding="utf-8")
        port = free_port()
        command = [
            str(binary.path),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        begun = time.monotonic()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as prometheus:
            try:
                wait_for_rate(f"http://127.0.0.1:{port}")
                return time.monotonic() - begun
            finally:
                prometheus.terminate()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(starts: int = STARTS) -> int:
    """Measure and print the table; return 1 when the aim was missed."""
    binary = find_prometheus()
    labs: list[tuple[float, float]] = []
    bares: list[float] = []
    with AppServer(create_app()) as server:
        for number in range(starts):
            for turn in ("lab", "bare") if number % 2 else ("bare", "lab"):
                if turn == "lab":
                    labs.append(lab())
                else:
                    bares.append(bare(binary, f"127.0.0.1:{server.port}"))
    started, rated = (statistics.median(column) for column in zip(*labs, strict=True))
    peer = statistics.median(bares)
    print(f"Prometheus {binary.version}; medians of {starts} alternating starts, in seconds")
    print(f"{'':26}{'first rate':>12}{'least':>8}{'most':>8}")
    for name, values in {"lab": [rate for _, rate in labs], "bare Prometheus": bares}.items():
        median = statistics.median(values)
        print(f"{name:26}{median:12.2f}{min(values):8.2f}{max(values):8.2f}")
    print(f"labkit.start() returns after {started:.2f} s; ratio {rated / peer:.2f}")
    return finish(
        "start",
        f"first rate within {AIM_RATIO} times a bare Prometheus",
        met=rated <= AIM_RATIO * peer,
        prometheus=binary.version,
        ratio=round(rated / peer, 3),
        lab_seconds=[round(rate, 3) for _, rate in labs],
        bare_seconds=[round(value, 3) for value in bares],
        start_returns_seconds=round(started, 3),
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
