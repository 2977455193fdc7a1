"""Memory that a running lab adds to a kernel that has imported pandas and matplotlib.

    python -m benchmarks.memory [KERNELS]

A real ipykernel imports pandas and matplotlib and is measured; then it starts a lab, waits for
the first rate, asks for it, and is measured again with all its child processes: Prometheus, the
idle worker, and the guard of each. USS is the memory that would come free if a process ended;
PSS also has its share of what it shares with others (Linux); RSS counts shared pages in full.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
from jupyter_client.manager import start_new_kernel

from benchmarks import finish

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

KERNELS = 3
AIM_MB = 150
CELL_SECONDS = 120
MEGABYTE = 1e6
KINDS = ("uss", "pss", "rss")

BEFORE = "import pandas, matplotlib.figure, matplotlib.backends.backend_agg"
START = """
import labkit
lab = labkit.start()
lab.wait_for("rate(flask_errors_total[10s])")
"""

Sizes = dict[str, float]


def run(client: BlockingKernelClient, code: str) -> None:
    """Run a cell; end the benchmark with its error if it has one."""
    reply = client.execute_interactive(
        code, timeout=CELL_SECONDS, output_hook=lambda _: None, allow_stdin=False
    )
    if reply["content"]["status"] != "ok":
        sys.exit("\n".join(reply["content"]["traceback"]))


def size(process: psutil.Process) -> Sizes:
    """Return a process's memory in megabytes, by kind."""
    info = process.memory_full_info()
    return {kind: getattr(info, kind) / MEGABYTE for kind in KINDS if hasattr(info, kind)}


def role(process: psutil.Process) -> str:
    """Return what a child process of the kernel is."""
    command = process.cmdline()
    if any(part.endswith("guard.py") for part in command):
        return "guards"
    return "worker, idle" if "labkit.traffic.worker" in command else process.name()


def measure() -> dict[str, Sizes]:
    """Return what each part of a lab adds in one fresh kernel."""
    manager, client = start_new_kernel(
        kernel_name="python3", startup_timeout=CELL_SECONDS, stderr=subprocess.DEVNULL
    )
    try:
        run(client, BEFORE)
        kernel = psutil.Process(manager.provisioner.process.pid)
        before = size(kernel)
        run(client, START)
        parts = {"app, client (in the kernel)": {k: v - before[k] for k, v in size(kernel).items()}}
        for child in kernel.children(recursive=True):
            part = parts.setdefault(role(child), dict.fromkeys(before, 0.0))
            for kind, value in size(child).items():
                part[kind] += value
        run(client, "lab.stop()")
        return {"(kernel before)": before, **parts}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main(kernels: int = KERNELS) -> int:
    """Measure and print the table; return 1 when the aim was missed."""
    rounds = [measure() for _ in range(kernels)]
    kinds = list(rounds[0]["(kernel before)"])
    medians = {
        part: {kind: statistics.median(r[part][kind] for r in rounds) for kind in kinds}
        for part in rounds[0]
    }
    added = {
        kind: sum(sizes[kind] for part, sizes in medians.items() if part[0] != "(")
        for kind in kinds
    }
    print(f"{f'MB, median of {kernels} kernels':30}" + "".join(f"{kind:>8}" for kind in kinds))
    for part, sizes in {**medians, "added": added}.items():
        print(f"{part:30}" + "".join(f"{sizes[kind]:8.1f}" for kind in kinds))
    return finish(
        "memory",
        f"at most {AIM_MB} MB (USS) added",
        met=added["uss"] <= AIM_MB,
        added_mb={kind: round(value, 1) for kind, value in added.items()},
        parts_mb={
            part: {kind: round(value, 1) for kind, value in sizes.items()}
            for part, sizes in medians.items()
        },
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
