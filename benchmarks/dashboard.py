"""A frame of the dashboard beside its six tiles drawn afresh with pyplot, in one run.

    python -m benchmarks.dashboard
    python -m benchmarks.dashboard --frames 5000    # the memory after that many frames

Both get the same frames of data, which move on by a second each time, and make pictures of as
many pixels. The rounds alternate, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil

from benchmarks import finish
from labkit.marks import Mark
from labkit.plots.tiles.face import View
from labkit.plots.tiles.live import HEIGHT, WIDTH, LiveTile
from labkit.promql.tiles import TILES

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.promql.tiles import Tile

ROUNDS = 25
MOST_SHARE = 0.4  # of what pyplot takes
MOST_GROWTH_MB = 10.0
POINTS = 300
BEGUN = 1_700_000_000
ENDPOINTS = ("/", "/error", "/health", "/slow")
ERRORS = (
    "database_error",
    "health_check_failed",
    "permission_error",
    "timeout",
    "timeout_error",
    "validation_error",
)

Frames = list[tuple["Tile", pd.DataFrame]]


def frames(number: int) -> tuple[Frames, View]:
    """Return each tile with its data, and the window, so many seconds after the begin."""
    end = BEGUN + number
    generator = np.random.default_rng(number)
    view = View(end - POINTS, end, _marks(end))
    times = np.arange(end - POINTS + 1, end + 1)
    return [(tile, _data(tile, times, generator)) for tile in TILES], view


def _marks(end: float) -> list[Mark]:
    return [
        Mark(end - 200, end - 120, "run", "spike", "Spike(5, 80)"),
        Mark(end - 150, end - 150, "faults", "faults", "health 0.2 → 0.8"),
        Mark(end - 60, None, "run", "continuous", "Continuous('high')"),
    ]


def _data(tile: Tile, times: Any, generator: np.random.Generator) -> pd.DataFrame:
    """Return data as Prometheus gives it for a tile of the dashboard."""
    if tile.kind == "gauge":
        return pd.DataFrame({"value": generator.uniform(10, 30, 1)})
    if tile.kind == "bars":
        return pd.DataFrame({"error_type": ERRORS, "value": generator.integers(0, 99, 6) * 1.0})
    if tile.kind == "table":
        rows = pd.Index(ENDPOINTS, name="endpoint")
        return pd.DataFrame(generator.random((4, 3)), rows, ["rate", "5xx", "p95"])
    columns, label = ["value"], None
    if "endpoint" in tile.queries[""]:
        columns, label = list(ENDPOINTS), "endpoint"
    elif tile.kind == "quantiles":
        columns, label = ["p50", "p95", "p99"], "quantile"
    waves = [
        2 + i + np.sin(times / 40 + i) + generator.random(len(times)) / 5
        for i, _ in enumerate(columns)
    ]
    index = pd.DatetimeIndex(times.astype("datetime64[s]"), tz="UTC")
    return pd.DataFrame(np.array(waves).T, index, pd.Index(columns, name=label))


class Reused:
    """The lab's way: the tiles' canvases stay, and only what moves is drawn."""

    def __init__(self) -> None:
        self._live = [LiveTile(tile) for tile in TILES]

    def draw(self, data: Frames, view: View) -> int:
        """Draw a frame; return how many bytes the pictures have."""
        pairs = zip(self._live, data, strict=True)
        return sum(len(live.png(frame, view)) for live, (_, frame) in pairs)


def afresh(data: Frames, view: View) -> int:
    """Draw the same with pyplot, as a cell that is run again does; return its bytes."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(3 * WIDTH / 100, 2 * HEIGHT / 100))
    for ax, (tile, frame) in zip(axes.flat, data, strict=True):
        ax.set_title(tile.title, loc="left")
        if tile.over_time:
            _lines(ax, tile, frame, view)
        elif tile.kind == "bars":
            ax.barh(frame["error_type"], frame["value"])
            ax.set_xlabel(tile.unit_of())
        elif tile.kind == "gauge":
            _gauge(ax, frame["value"].iloc[0])
        else:
            ax.axis("off")
            words = [[f"{value:.3g}" for value in row] for row in frame.to_numpy()]
            ax.table(words, rowLabels=list(frame.index), colLabels=list(frame), loc="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=200)
    plt.close(figure)
    return buffer.tell()


def _lines(ax: Any, tile: Tile, frame: pd.DataFrame, view: View) -> None:
    for name in frame:
        ax.plot(frame.index, frame[name], label=str(name))
    for mark in view.marks:
        when = pd.Timestamp(mark.time, unit="s", tz="UTC")
        ax.axvline(when, linewidth=1)
        ax.text(when, ax.get_ylim()[1], mark.label, fontsize=8)
        if mark.is_span:
            until = view.end if mark.until is None else mark.until
            ax.axvspan(when, pd.Timestamp(until, unit="s", tz="UTC"), alpha=0.1)
    for limit in tile.thresholds_of():
        ax.axhline(limit, linestyle="--")
    ax.set_ylabel(tile.unit_of())
    ax.grid(axis="y")
    ax.legend(ncols=4, fontsize=8)


def _gauge(ax: Any, value: float) -> None:
    from matplotlib.patches import Wedge

    for low, high, colour in ((0, 20, "green"), (20, 100, "red"), (0, value, "black")):
        turn = (180 - 1.8 * high, 180 - 1.8 * low)
        ax.add_patch(Wedge((0, 0), 1, *turn, width=0.2, color=colour, alpha=0.5))
    ax.text(0, 0.1, f"{value:.1f} %", ha="center", fontsize=26)
    ax.set(xlim=(-1.2, 1.2), ylim=(-0.2, 1.2), aspect="equal")
    ax.axis("off")


def seconds(work: Callable[[Frames, View], object], number: int) -> float:
    """Return how much processor time a frame takes."""
    data, view = frames(number)
    begun = time.process_time()
    work(data, view)
    return time.process_time() - begun


def compare() -> tuple[float, float]:
    """Return the median seconds of the lab's frame and of pyplot's, first frames apart."""
    reused = Reused()
    seconds(reused.draw, 0)
    seconds(afresh, 0)
    ours, theirs = [], []
    for number in range(1, ROUNDS + 1):
        ours.append(seconds(reused.draw, number))
        theirs.append(seconds(afresh, number))
    return statistics.median(ours), statistics.median(theirs)


def growth_mb(count: int) -> float:
    """Return by how many megabytes the process has grown after so many frames."""
    reused, process = Reused(), psutil.Process()
    for number in range(count // 10):
        reused.draw(*frames(number))
    gc.collect()
    before = process.memory_info().rss
    for number in range(count // 10, count):
        reused.draw(*frames(number))
    gc.collect()
    return (process.memory_info().rss - before) / (1 << 20)


def main() -> int:
    """Print both times and their ratio, or how the memory grew; return 1 if the aim was missed."""
    parser = argparse.ArgumentParser(description="Measure a frame of the dashboard.")
    parser.add_argument("--frames", type=int, help="draw so many, and measure the memory instead")
    options = parser.parse_args()
    if options.frames:
        grown = growth_mb(options.frames)
        print(f"{options.frames:,} frames: {grown:+.1f} MB after the first tenth of them")
        aim = f"at most {MOST_GROWTH_MB:g} MB more over {options.frames:,} frames"
        met = grown <= MOST_GROWTH_MB
        return finish("dashboard-memory", aim, met=met, grown_mb=round(grown, 1))
    ours, theirs = compare()
    share = ours / theirs
    print(f"processor time a frame of six tiles, median of {ROUNDS} alternating rounds")
    print(f"afresh with pyplot {theirs:6.3f} s")
    print(f"the dashboard's    {ours:6.3f} s, {share:.2f} of it")
    return finish(
        "dashboard",
        f"at most {MOST_SHARE:g} of drawing afresh with pyplot",
        met=share <= MOST_SHARE,
        pyplot_seconds=round(theirs, 4),
        dashboard_seconds=round(ours, 4),
        share=round(share, 3),
    )


if __name__ == "__main__":
    sys.exit(main())
