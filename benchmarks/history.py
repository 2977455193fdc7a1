"""From nothing to the first chart of a simulated past: the lab beside promtool alone.

    python -m benchmarks.history [TIMES]

The lab, in a fresh Python that has imported it with pandas and matplotlib, as a kernel with a
chart has: simulate, write, build the storage, start Prometheus, ask, draw, and make a PNG. The
peer: promtool on the same samples in one file, written before its clock starts, with the widest
blocks. The aim is for a month of one instance; a shorter past shows what the rest costs. Then
the same from the cache, and how much memory the lab's own process took at its peak.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import finish
from labkit.history import History
from labkit.history.blocks import blocks_in, require_promtool, samples_in
from labkit.history.openmetrics import spans, write
from labkit.prometheus.binary import find_prometheus

TIMES = 3
AIM_RATIO = 1.6
AIM_CACHE_SECONDS = 1.0
AIM_MEGABYTES = 300
CASES = ((1, 1), (7, 1), (30, 1), (30, 3))  # days, instances
AIMED = (30, 1)
ALL_MS = 10**15  # one span for all
PATIENCE_SECONDS = 600

LAB = """
import io, json, sys, threading, time
import matplotlib.figure, matplotlib.backends.backend_agg, pandas, psutil
import labkit
from labkit.history import History

def chart(lab, days):
    query = "sum by (endpoint) (rate(flask_requests_total[$__rate_interval]))"
    lab.plot(query, minutes=days * 1440).figure.savefig(io.BytesIO(), format="png")

def watch():
    while not done.wait(0.02):
        most[0] = max(most[0], process.memory_info().rss)

days, instances = int(sys.argv[1]), int(sys.argv[2])
process, done = psutil.Process(), threading.Event()
before = process.memory_info().rss
most = [before]
if len(sys.argv) > 3:
    threading.Thread(target=watch, daemon=True).start()
seconds = []
for _ in range(2):
    begun = time.monotonic()
    with labkit.open_history(History(days=days, instances=instances)) as lab:
        chart(lab, days)
        seconds.append(time.monotonic() - begun)
        assert lab.from_cache is (len(seconds) == 2)
done.set()
print(json.dumps([*seconds, before / 1e6, most[0] / 1e6]))
"""


class Run(NamedTuple):
    """What one run of the lab took: seconds from nothing and from the cache, and megabytes."""

    nothing: float
    cache: float
    megabytes_before: float
    megabytes_most: float


def lab(days: int, instances: int, *, watch: bool = False) -> Run:
    """Open a history with an empty cache, and again."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", LAB, str(days), str(instances), *(["watch"] if watch else [])],
            env=os.environ | _places(folder),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=PATIENCE_SECONDS,
        )
    return Run(*json.loads(done.stdout))


def _places(folder: str) -> dict[str, str]:
    """An empty cache for histories, and the Prometheus of this user."""
    return {
        "XDG_CACHE_HOME": f"{folder}/cache",
        "XDG_STATE_HOME": f"{folder}/state",
        "LABKIT_PROMETHEUS": str(find_prometheus().path),
    }


class Peer:
    """promtool on one file with all samples of a history."""

    def __init__(self, folder: Path, days: int, instances: int) -> None:
        self._folder = folder
        self._text = folder / "history.om"
        self.promtool = require_promtool(find_prometheus())
        history = History(days=days, instances=instances)
        begun = time.monotonic()
        with self._text.open("w", encoding="utf-8") as file:
            for pieces in spans(history.chunks(), ALL_MS):
                self.samples = write(file, pieces, history.families)
        self.text_seconds = time.monotonic() - begun

    def seconds(self) -> float:
        """Return how long it takes."""
        with tempfile.TemporaryDirectory(dir=self._folder) as data:
            command = [self.promtool, "tsdb", "create-blocks-from", "--max-block-duration=768h"]
            begun = time.monotonic()
            subprocess.run(
                [*command, "openmetrics", self._text, data],
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=PATIENCE_SECONDS,
            )
            took = time.monotonic() - begun
            stored = sum(map(samples_in, blocks_in(Path(data))))
        assert stored == self.samples, f"{stored} of {self.samples} samples"
        return took


def measure(days: int, instances: int, times: int) -> dict[str, float]:
    """Return the medians for one size of history."""
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(Path(folder), days, instances)
        runs, alone = [], []
        for number in range(times):
            for turn in ("lab", "peer") if number % 2 else ("peer", "lab"):
                if turn == "lab":
                    runs.append(lab(days, instances))
                else:
                    alone.append(peer.seconds())
    nothing, cache = (statistics.median(c) for c in list(zip(*runs, strict=True))[:2])
    promtool = statistics.median(alone)
    watched = lab(days, instances, watch=True)
    return {
        "days": days,
        "instances": instances,
        "samples": peer.samples,
        "promtool_seconds": round(promtool, 2),
        "nothing_seconds": round(nothing, 2),
        "ratio": round(nothing / promtool, 2),
        "cache_seconds": round(cache, 2),
        "megabytes_before": round(watched.megabytes_before),
        "megabytes_most": round(watched.megabytes_most),
    }


def main(times: int = TIMES) -> int:
    """Measure and print the table; return 1 when an aim was missed."""
    binary = find_prometheus()
    print(f"Prometheus {binary.version}; medians of {times} alternating runs, in seconds")
    print(f"{'':24}{'samples':>12}{'promtool':>10}{'lab':>8}{'ratio':>8}{'cache':>8}{'MB':>10}")
    found = []
    for days, instances in CASES:
        got = measure(days, instances, times if instances == 1 else 1)
        found.append(got)
        print(
            f"{days:2} days, {instances} instance(s)  {got['samples']:12,}"
            f"{got['promtool_seconds']:10.2f}{got['nothing_seconds']:8.2f}{got['ratio']:8.2f}"
            f"{got['cache_seconds']:8.2f}{got['megabytes_before']:5}-{got['megabytes_most']}",
            flush=True,
        )
    aimed = next(got for got in found if (got["days"], got["instances"]) == AIMED)
    most = max(got["megabytes_most"] for got in found)
    slowest = max(got["cache_seconds"] for got in found)
    return finish(
        "history",
        f"a month's first chart within {AIM_RATIO} times promtool's own time; from the cache "
        f"under {AIM_CACHE_SECONDS:g} s; under {AIM_MEGABYTES} MB",
        met=aimed["ratio"] < AIM_RATIO and slowest < AIM_CACHE_SECONDS and most < AIM_MEGABYTES,
        prometheus=binary.version,
        cases=found,
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
