"""An observability lab in Jupyter: an app, a real Prometheus, traffic, buttons and charts.

    import labkit
    lab = labkit.start()

Importing it is quick: pandas, matplotlib, Flask and ipywidgets load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.errors import (
    LabError,
    PortInUse,
    PrometheusExited,
    PrometheusMissing,
    QueryError,
    StartupTimeout,
    TargetRefused,
    WorkerDied,
)

if TYPE_CHECKING:
    from labkit.lab import Lab, current, start

__version__ = "0.1.0"

__all__ = [
    "Lab",
    "LabError",
    "PortInUse",
    "PrometheusExited",
    "PrometheusMissing",
    "QueryError",
    "StartupTimeout",
    "TargetRefused",
    "WorkerDied",
    "current",
    "start",
]

_IN_LAB = {"Lab", "current", "start"}


def __getattr__(name: str) -> Any:
    """Load `labkit.lab` when one of its names is first used."""
    if name in _IN_LAB:
        import labkit.lab

        return getattr(labkit.lab, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_IN_LAB])
