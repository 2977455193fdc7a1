"""How late requests are sent: the worker's whole lateness distribution against the real app.

    python benchmarks/pacing.py                    # 100, 500 and 1,000 a second, 20 s each
    python benchmarks/pacing.py --rates 500 --seconds 5

The app runs in a thread of this process, as in the lab, on 128 threads; the everyday mix goes to
it from the worker's own process. The aim: at 500 a second on two cores, 99 % of sends within 2 ms
of their intended time, and the app's own counter equal to the responses.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import psutil

from app import create_app
from labkit.server import AppServer
from labkit.traffic import Controlled, Worker

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from labkit.traffic import Stats

THREADS = 128
AIM_RATE, AIM_SHARE, AIM_SECONDS = 500, 0.99, 0.002
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
LIMITS_MS = (1, 2, 5, 10)


def counted(registry: CollectorRegistry) -> int:
    """Return how many requests the app has counted."""
    families = [family for family in registry.collect() if family.name == "flask_requests"]
    return sum(
        int(s.value) for family in families for s in family.samples if s.name.endswith("_total")
    )


def measure(worker: Worker, rate: int, seconds: float) -> tuple[Stats, int]:
    """Send at one rate to a fresh app; return what happened and what the app counted."""
    app = create_app()
    with AppServer(app, threads=THREADS) as server:
        shape = Controlled(round(rate * seconds), seconds)
        stats = worker.start(server.url, shape, seed=1).wait(seconds + 60)
        return stats, counted(app.extensions["metrics"].registry)


def show(rate: int, stats: Stats, counter: int) -> bool:
    """Print the distribution; return whether the aim for this rate was met."""
    lateness = stats.lateness()
    quantiles = zip(QUANTILES, np.quantile(lateness, QUANTILES), strict=True)
    shares = [f"{(lateness <= ms / 1000).mean():8.3%} within {ms} ms" for ms in LIMITS_MS]
    print(f"\n{rate} requests per second, offered: {stats!r}")
    print("  lateness  " + "  ".join(f"p{100 * q:g} {s * 1000:.2f} ms" for q, s in quantiles))
    print("            " + "  ".join(shares))
    print(f"  the app counted {counter}, the worker received {stats.responses} responses")
    if rate != AIM_RATE:
        return True
    met = (lateness <= AIM_SECONDS).mean() >= AIM_SHARE and counter == stats.responses
    print(f"  aim ({AIM_SHARE:.0%} within 2 ms, exact count): {'met' if met else 'MISSED'}")
    return bool(met)


def main() -> int:
    """Measure each rate; return 1 when the aim was missed."""
    parser = argparse.ArgumentParser(description="Print how late the traffic worker sends.")
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    versions = f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}"
    load = psutil.getloadavg()[0]
    print(f"{platform.platform()}, {os.cpu_count()} cores, {versions}, load before {load:.2f}")
    with tempfile.TemporaryDirectory() as folder, Worker(log=Path(folder) / "log") as worker:
        results = [show(r, *measure(worker, r, options.seconds)) for r in options.rates]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
