"""Ports for what is stopped and started again at the same one."""

from __future__ import annotations

import random
import socket

# Below those that a system gives to programs that ask for any port: one of these stays free while
# nobody listens there, even with other tests running beside.
_PORTS = range(10_000, 30_000)


def steady_port() -> int:
    """Return a free port that no program is given by chance."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
