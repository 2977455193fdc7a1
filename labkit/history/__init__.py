"""History: weeks of the app's metrics, simulated in seconds and exact to the sample."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.history.incident import Incident
    from labkit.history.incidents import (
        BadEndpoint,
        BadInstance,
        BudgetDrip,
        ErrorBurst,
        Leak,
        Outage,
        RisingErrorType,
        SlowDependency,
        Timeouts,
        TrafficSpike,
    )
    from labkit.history.model import Chunk, History
    from labkit.history.samples import Series
    from labkit.history.totals import Totals
    from labkit.history.truth import Truth

__all__ = [
    "BadEndpoint",
    "BadInstance",
    "BudgetDrip",
    "Chunk",
    "ErrorBurst",
    "History",
    "Incident",
    "Leak",
    "Outage",
    "RisingErrorType",
    "Series",
    "SlowDependency",
    "Timeouts",
    "Totals",
    "TrafficSpike",
    "Truth",
]

_MODULES = {
    "Chunk": "model",
    "History": "model",
    "Incident": "incident",
    "Series": "samples",
    "Totals": "totals",
    "Truth": "truth",
}


def __getattr__(name: str) -> Any:
    # Numpy and the app take a while to import: they are loaded when a history is first made.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'incidents')}"), name)
