"""Side-by-side measurements: `python -m benchmarks` runs them, `make bench` calls that."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = [
    "labkit",
    "aiohttp",
    "flask",
    "ipykernel",
    "jupyterlab",
    "matplotlib",
    "numpy",
    "pandas",
    "prometheus-api-client",
    "prometheus-client",
    "prometheus-flask-exporter",
    "requests",
    "waitress",
    "werkzeug",
]


def machine() -> dict[str, object]:
    """Return what the figures depend on: the machine, the system, Python, how busy it is."""
    import psutil

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_before": round(psutil.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    return {name: found for name in PACKAGES if (found := _version(name))}


def finish(benchmark: str, aim: str, *, met: bool, **figures: object) -> int:
    """Print whether the aim was met, then all figures as one line of JSON; return the exit code."""
    print(f"aim: {aim}: {'met' if met else 'MISSED'}")
    print(json.dumps({"benchmark": benchmark, "aim": aim, "met": met, **figures}), flush=True)
    return 0 if met else 1


def _version(name: str) -> str | None:
    try:
        return version("observability-lab" if name == "labkit" else name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
