"""What is on this machine, and sessions that reach it whatever proxy the network has."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests


def is_loopback(host: str) -> bool:
    """Whether a host, by its address or as ``localhost``, is this machine itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:127.0.0.1
    return bool((mapped or address).is_loopback)


def open_session(url: str) -> requests.Session:
    """Return a session for requests to a URL, to be closed in the end.

    The environment's proxies are used where the URL leads to another machine: no proxy can reach
    this machine's loopback.
    """
    import requests

    session = requests.Session()
    session.trust_env = not is_loopback(urlsplit(url).hostname or "")
    return session
