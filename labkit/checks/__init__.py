"""What is wrong and what to do about it: an old troubleshooting list, executable."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit import grafana
from labkit.checks import leftovers, logs, machine, widgets
from labkit.checks.looking import SECONDS, Look, look_at_all
from labkit.checks.report import SKIPPED, Finding, Report
from labkit.runfolder import state_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Finding", "Report", "check"]

_START = (
    "start a lab: lab = labkit.start() in a notebook, `labkit up` in a terminal. Elsewhere: "
    "labkit.connect({}=…).check() in a notebook, `labkit check {} …` in a terminal."
)


def check(
    *,
    app_url: str | None = None,
    prometheus_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    verify: bool | str = True,
    log_tails: Mapping[str, Callable[[], str]] | None = None,
    seconds: float = SECONDS,
) -> Report:
    """Look at everything the lab needs, all at once; say what is wrong and what to do about it.

    Nothing is changed, fetched or ended, and the app's request counters stay as they are.

    Args:
        app_url: the app's address; the rows about it are skipped without one.
        prometheus_url: Prometheus's address; the rows about it are skipped without one.
        headers: sent with each request to Prometheus.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
        log_tails: for each log (app, prometheus, traffic) what gives its last lines.
        seconds: how long all of it may take; what has not answered by then has failed.
    """
    # Before the clock runs: with HTTP and what it needs, seconds on a busy machine.
    from labkit.checks import app_side, grafana_side, prometheus_side
    from labkit.promql import connection  # noqa: F401 - the import is the point

    looks = list(_machine(app_url, prometheus_url))
    looks.append(
        Look(app_side.NAMES, partial(app_side.app, app_url, verify=verify))
        if app_url
        else _skipped(app_side.NAMES, "no app is running", _START.format("app_url", "--url"))
    )
    ask = partial(prometheus_side.prometheus, app_url=app_url, headers=headers, verify=verify)
    remedy = _START.format("prometheus_url", "--prometheus-url")
    looks.append(
        Look(prometheus_side.NAMES, partial(ask, prometheus_url))
        if prometheus_url
        else _skipped(prometheus_side.NAMES, "no Prometheus is running", remedy)
    )
    if url := _grafana_url(prometheus_url):
        looks.append(Look(grafana_side.NAMES, partial(grafana_side.grafana, url)))
    looks.append(
        Look(("Logs",), partial(logs.logs, log_tails))
        if log_tails
        else _skipped(("Logs",), "none are known: no lab of this machine is looked at")
    )
    return Report(look_at_all(looks, seconds))


def _machine(app_url: str | None, prometheus_url: str | None) -> Iterator[Look]:
    own = {port: what for what, port in _own_ports(app=app_url, Prometheus=prometheus_url)}
    yield Look(("Python",), machine.python)
    yield Look(("Packages",), machine.packages)
    yield Look(("Modules",), machine.modules)
    yield Look(("Widgets",), widgets.widgets)
    binary = partial(machine.prometheus_binary, needed=prometheus_url is None)
    yield Look(("Prometheus binary",), binary)
    for number, purpose in machine.PORTS.items():
        yield Look((f"Port {number}",), partial(machine.port, number, purpose, own))
    yield Look(("Disk",), lambda: machine.disk(_folders()))
    yield Look(("Leftovers",), lambda: leftovers.leftovers(state_path() / "runs"))


def _grafana_url(prometheus_url: str | None) -> str | None:
    """Return where a Grafana shows this Prometheus; None where none does."""
    entry = grafana.running(prometheus_url) if prometheus_url else None
    return entry.url if entry else None


def _own_ports(**urls: str | None) -> Iterator[tuple[str, int]]:
    for what, url in urls.items():
        parts = urlsplit(url or "")
        if parts.hostname in ("127.0.0.1", "localhost") and parts.port:
            yield what, parts.port


def _folders() -> dict[str, Path]:
    from labkit.prometheus import cache

    return {"runs and logs": state_path(), "a fetched Prometheus": cache.path()}


def _skipped(names: tuple[str, ...], why: str, remedy: str = "") -> Look:
    # The remedy once: the rows below the first are skipped for the same reason.
    rows = [Finding(name, SKIPPED, why, remedy if name == names[0] else "") for name in names]
    return Look(names, lambda: rows)
