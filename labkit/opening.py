"""Start a lab, or attach to one, and know which was opened last."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.attached import AttachedLab

_lock = threading.RLock()


def start(**settings: Any) -> Lab:
    """Start a lab and return it when Prometheus has scraped its app for the first time.

    A cell that runs twice gets the lab that is already running.

    Args:
        settings: the arguments of `Lab`.

    Raises:
        LabError: a part did not start, or a lab with other settings is running.
    """
    with _lock:
        running = Lab.latest_own
        if running is None or not running.running:
            return Lab(**settings).start()
        missing = object()
        differing = [n for n, value in settings.items() if getattr(running, n, missing) != value]
        if differing:
            raise LabError(
                f"A lab is already running, with another {', '.join(differing)}.",
                next_step="stop it first: labkit.start().stop()",
            )
        Lab.latest = running
        return running


def connect(
    app_url: str | None = None,
    prometheus_url: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | str | None = None,
    verify: bool | str = True,
    token: str | None = None,
    allow_remote: bool = False,
    name: str | None = None,
) -> AttachedLab:
    """Open a lab on an app and a Prometheus that run elsewhere; see `AttachedLab`."""
    from labkit.attached import AttachedLab

    with _lock:
        return AttachedLab(
            app_url,
            prometheus_url,
            headers=headers,
            auth=auth,
            verify=verify,
            token=token,
            allow_remote=allow_remote,
            name=name,
        ).start()


def current() -> Lab:
    """Return the lab that was opened last.

    Raises:
        LabError: none is running.
    """
    if Lab.latest is None or not Lab.latest.running:
        raise LabError("No lab is running.", next_step="start one: lab = labkit.start()")
    return Lab.latest
