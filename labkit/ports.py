"""Who listens on a port of this machine."""

from __future__ import annotations

import os
from contextlib import suppress


def holder_of(port: int) -> str:
    """Say which program listens on a port, as far as this user may know."""
    import psutil

    with suppress(psutil.Error):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if not listens or getattr(connection.laddr, "port", None) != port:
                continue
            if connection.pid == os.getpid():
                return f"port {port} is held by this process itself ({connection.pid})"
            if connection.pid:
                command = " ".join(psutil.Process(connection.pid).cmdline())
                return f"port {port} is held by process {connection.pid}: {command}"
    return f"port {port} is held by a program of another user, or one that is just ending"
