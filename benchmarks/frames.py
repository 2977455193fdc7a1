"""Range answers to frames: the lab's beside prometheus_api_client's, in one run.

    python benchmarks/frames.py

Both get the same parsed answer; the rounds alternate, so that both meet the same machine, and
processor time is what counts, so that other programs do not.
"""

from __future__ import annotations

import math
import os
import platform
import random
import statistics
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prometheus_api_client import MetricRangeDataFrame

from labkit.promql.connection import Answer
from labkit.promql.frames import range_frame
from labkit.promql.steps import Window

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 9
START = 1_700_000_000
SIZES = ((1, 300), (4, 300), (20, 600), (64, 3600), (300, 600))  # series, points
PACKAGES = ("numpy", "pandas", "prometheus-api-client")


def answer(series: int, points: int) -> list[dict[str, Any]]:
    """Return what Prometheus says of some series, as it comes out of JSON."""
    generator = random.Random(series * points)
    return [
        {
            "metric": {
                "__name__": "flask_requests_total",
                "endpoint": f"/{number}",
                "instance": "app-1",
                "job": "flask",
                "method": "GET",
                "status": "200",
            },
            "values": [[START + i, repr(generator.expovariate(0.1))] for i in range(points)],
        }
        for number in range(series)
    ]


def median_ms(rounds: list[float]) -> float:
    """Return the median of some seconds, in milliseconds."""
    return statistics.median(rounds) * 1000


def timed(build: Callable[[], object]) -> float:
    """Return how many seconds of processor time a call takes."""
    begun = time.process_time()
    build()
    return time.process_time() - begun


def compare(series: int, points: int) -> tuple[float, float]:
    """Return the median milliseconds of the lab's frame and of the library's."""
    result = answer(series, points)
    grid = Window(START * 1000, (START + points - 1) * 1000, 1000)
    wrapped = Answer({"resultType": "matrix", "result": result})
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(timed(lambda: range_frame(wrapped, grid)))
        theirs.append(timed(lambda: MetricRangeDataFrame(result)))
    return median_ms(ours), median_ms(theirs)


def main() -> None:
    """Print a line for each size, and the machine."""
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print(f"processor time, median of {ROUNDS} alternating rounds\n")
    print(f"{'series':>7} {'points':>7} {'labkit':>10} {'library':>10} {'faster':>8}")
    least = math.inf
    for series, points in SIZES:
        ours, theirs = compare(series, points)
        least = min(least, theirs / ours)
        print(f"{series:7} {points:7} {ours:7.2f} ms {theirs:7.2f} ms {theirs / ours:6.1f} x")
    print(f"\nat least {least:.1f} times as fast (aim: 3)")


if __name__ == "__main__":
    main()
