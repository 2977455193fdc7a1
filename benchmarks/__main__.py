"""Run the benchmarks, each in a process of its own, one after the other.

    python -m benchmarks                        # all of them, some seven minutes
    python -m benchmarks start memory           # some
    python -m benchmarks --json results.json    # and keep the machine, versions and figures

It ends with exit code 1 when one of them missed its aim or failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine, versions

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
)


def run(name: str) -> dict[str, object]:
    """Run one, its output passed on; return its figures where it prints them as JSON."""
    print(f"\n--- {name} ---", flush=True)
    begun = time.monotonic()
    result: dict[str, object] = {"benchmark": name}
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        for line in process.stdout:
            if line.startswith("{"):
                result |= json.loads(line)
            else:
                print(line, end="", flush=True)
    return result | {"exit_code": process.returncode, "took": round(time.monotonic() - begun, 1)}


def main() -> int:
    """Run those that were named, or all; return 1 when one missed its aim or failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the lab beside its peers."
    )
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)}; all by default")
    parser.add_argument("--json", type=Path, help="a file for the machine, versions and figures")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(NAMES)}")

    facts = {"machine": machine(), "versions": versions()}
    for group in facts.values():
        print(", ".join(f"{name} {value}" for name, value in group.items()))
    results = [run(name) for name in options.names or NAMES]
    if options.json:
        text = json.dumps(facts | {"results": results}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    bad = [str(result["benchmark"]) for result in results if result["exit_code"] != 0]
    print(f"\n{len(results)} run; missed or failed: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
