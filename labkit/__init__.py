"""An observability lab in Jupyter: an app, a real Prometheus, traffic, buttons and charts.

    import labkit
    lab = labkit.start()

Importing it is quick: pandas, matplotlib, Flask and ipywidgets load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
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
    from labkit.lab import Lab
    from labkit.opening import connect, current, open_history, start
    from labkit.recording import open_recording, record

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
    "connect",
    "current",
    "open_history",
    "open_recording",
    "record",
    "start",
]

_HOMES = {
    "Lab": "labkit.lab",
    "connect": "labkit.opening",
    "current": "labkit.opening",
    "open_history": "labkit.opening",
    "open_recording": "labkit.recording",
    "record": "labkit.recording",
    "start": "labkit.opening",
}


def __getattr__(name: str) -> Any:
    """Load the lab when one of its names is first used."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """Add the magics to IPython: ``%load_ext labkit``."""
    from labkit import check_magic, magic, tables

    magic.register(shell, completed=("promql", "check"))
    check_magic.register(shell)
    tables.whole_texts(True)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics out of IPython again: ``%unload_ext labkit``."""
    from labkit import check_magic, magic, tables

    magic.unregister(shell)
    check_magic.unregister(shell)
    tables.whole_texts(False)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
