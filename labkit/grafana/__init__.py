"""The lab's dashboard in Grafana: the files that provision it, and a Grafana that runs on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labkit import processes
from labkit.errors import LabError

if TYPE_CHECKING:
    from labkit.registry import Entry

KIND = "grafana"  # of its entry in the registry of what runs
LOG = "grafana.log"
DATASOURCE_UID = "labkit-prometheus"
DASHBOARD_UID = "labkit"


def running(prometheus_url: str | None) -> Entry | None:
    """Return the Grafana that `labkit grafana --start` runs on a Prometheus; None if there is none.

    Args:
        prometheus_url: the address of the Prometheus.
    """
    from labkit import registry

    entries = registry.running(KIND)
    return next((entry for entry in entries if entry.prometheus_url == prometheus_url), None)


def tail(prometheus_url: str, lines: int) -> str:
    """Return the last lines of the log of the Grafana that runs on a Prometheus.

    Raises:
        LabError: there is none.
    """
    entry = running(prometheus_url)
    if entry is None or entry.folder is None:
        raise LabError(
            "No Grafana runs on this lab's Prometheus.",
            next_step=f"`labkit grafana DIR --prometheus-url {prometheus_url} --start` runs one.",
        )
    return processes.tail(Path(entry.folder) / LOG, lines)
