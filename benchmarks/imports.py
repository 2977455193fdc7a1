"""How long `import labkit` takes, beside an empty Python and libraries that people know.

    python -m benchmarks.imports [ROUNDS]

Each import runs in a fresh Python; the imports take turns in every round. What counts is the
time over `python -c pass`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks import finish

ROUNDS = 15
AIM_SECONDS = 0.3
PROGRAMS = {
    "python -c pass": "pass",
    "import labkit": "import labkit",
    "import requests": "import requests",
    "import prometheus_client": "import prometheus_client",
    "import flask": "import flask",
    "import pandas": "import pandas",
}


def seconds(program: str) -> float:
    """Return how long a fresh Python takes for a program, from start to end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    return time.perf_counter() - begun


def main(rounds: int = ROUNDS) -> int:
    """Measure and print the table; return 1 when the aim was missed."""
    for program in PROGRAMS.values():
        seconds(program)  # bytecode and disk cache
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(rounds):
        for name in PROGRAMS if number % 2 else reversed(PROGRAMS):
            times[name].append(seconds(PROGRAMS[name]))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    print(f"{f'median of {rounds}':30}{'whole ms':>10}{'import ms':>11}")
    for name, median in medians.items():
        print(f"{name:30}{median * 1000:10.0f}{(median - base) * 1000:11.0f}")
    ours = medians["import labkit"] - base
    return finish(
        "imports",
        f"import labkit in at most {AIM_SECONDS} s",
        met=ours <= AIM_SECONDS,
        import_seconds=round(ours, 4),
        medians_seconds={name: round(median, 4) for name, median in medians.items()},
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
