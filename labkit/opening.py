"""Start a lab, or attach to one, and know which was opened last."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Mapping

    from labkit.attached import AttachedLab
    from labkit.historical import HistoryLab
    from labkit.history.past import Past

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
        own = [lab for lab in Lab.opened if lab.kind == "lab"]
        if not own:
            return Lab(**settings).start()
        running = own[-1]
        wanted = Lab(**settings)  # which knows its arguments, and starts nothing
        differing = [n for n in settings if getattr(running, n) != getattr(wanted, n)]
        if differing:
            raise LabError(
                f"A lab is already running, with another {', '.join(differing)}.",
                next_step="stop it first: labkit.start().stop()",
            )
        running.come_forward()
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


def open_history(history: Past, name: str | None = None) -> HistoryLab:
    """Open a lab whose Prometheus serves a simulated past; building that happens once.

    Now, for its queries, is the end of that past.

    Args:
        history: the past, such as a `labkit.history.History`.
        name: what tells this lab from another one in the same notebook.

    Raises:
        LabError: Prometheus or promtool is missing, or the disk is full.
    """
    from labkit.historical import HistoryLab

    with _lock:
        return HistoryLab(history, name=name).start()


def current() -> Lab:
    """Return the lab that was opened last, of those that run.

    Raises:
        LabError: none is running.
    """
    if not Lab.opened:
        raise LabError("No lab is running.", next_step="start one: lab = labkit.start()")
    return Lab.opened[-1]


def opened() -> list[Lab]:
    """Return the labs of this process that run, the one opened last at the end."""
    return [*Lab.opened]


def named(name: str) -> Lab:
    """Return the running lab of a name; the one opened last, where several have it.

    Raises:
        LabError: there is none, with the names there are.
    """
    for lab in reversed(Lab.opened):
        if lab.name == name:
            return lab
    names = ", ".join(repr(lab.name) for lab in Lab.opened)
    raise LabError(
        f"No lab is called {name!r}; {f'there are {names}' if names else 'none is running'}.",
        next_step="name a lab when it is opened, as in labkit.start(name='live').",
    )
