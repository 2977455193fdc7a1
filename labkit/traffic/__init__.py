"""Load for the app: shapes, mixes, and a process of its own that sends it."""

from labkit.traffic.caps import Caps
from labkit.traffic.mixes import MIXES, Mix
from labkit.traffic.run import StillRunning, TrafficRun, Worker
from labkit.traffic.shapes import (
    Chain,
    Constant,
    Continuous,
    Controlled,
    Ramp,
    Shape,
    Spike,
    Wave,
)
from labkit.traffic.stats import Stats

__all__ = [
    "MIXES",
    "Caps",
    "Chain",
    "Constant",
    "Continuous",
    "Controlled",
    "Mix",
    "Ramp",
    "Shape",
    "Spike",
    "Stats",
    "StillRunning",
    "TrafficRun",
    "Wave",
    "Worker",
]
