"""Where traffic may go: to this machine, or elsewhere only where that was asked for."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from labkit.errors import TargetRefused
from labkit.loopback import is_loopback


@dataclass(frozen=True)
class Target:
    """A base URL that was looked at, and what its host stands for.

    Args:
        url: the base URL, without a slash at its end.
        addresses: the loopback addresses that its host resolved to, which are the ones to
            connect to whatever the name says later; None where any address is allowed.
    """

    url: str
    addresses: tuple[str, ...] | None


def find_target(url: str, *, allow_remote: bool = False) -> Target:
    """Return the target that a base URL names.

    Raises:
        TargetRefused: when it is not an HTTP URL, its name is not known, or it leads away from
            this machine and ``allow_remote`` is false.
    """
    parts = _split(url)
    base = url.rstrip("/")
    if allow_remote:
        return Target(base, None)
    addresses = _resolve(parts)
    remote = [address for address in addresses if not is_loopback(address)]
    if remote:
        raise TargetRefused(
            f"{parts.hostname} is not this machine (it is {remote[0]}), and the lab sends "
            "traffic to other machines only when told to.",
            next_step="if that machine is yours to load, give allow_remote=True "
            "(--allow-remote in a terminal).",
        )
    return Target(base, addresses)


def knock(target: Target, *, seconds: float, next_step: str) -> None:
    """Try once whether something listens at a target; no request is sent.

    Args:
        target: from `find_target`.
        seconds: how long each of its addresses has.
        next_step: what to do where nothing listens.

    Raises:
        TargetRefused: nothing listens there.
    """
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    failure: OSError | None = None
    for host in target.addresses or (parts.hostname or "",):
        try:
            socket.create_connection((host, port), seconds).close()
        except OSError as error:
            failure = error
        else:
            return
    raise TargetRefused(
        f"Nothing answers at {target.url}.", evidence=str(failure), next_step=next_step
    ) from failure


def _split(url: str) -> SplitResult:
    example = "give an address like http://127.0.0.1:5000."
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError as error:
        raise TargetRefused(f"{url!r} is not a URL: {error}.", next_step=example) from error
    if parts.username is not None:
        raise TargetRefused(
            f"The URL for {parts.hostname} holds a name or password, which logs would show.",
            next_step='give headers={"Authorization": …} instead.',
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
        raise TargetRefused(f"{url!r} is not an http:// or https:// URL.", next_step=example)
    if parts.query or parts.fragment:
        raise TargetRefused(f"{url!r} has more than a path.", next_step=example)
    return parts


def _resolve(parts: SplitResult) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetRefused(
            f"The name {parts.hostname} leads nowhere.",
            evidence=str(error),
            next_step="check the spelling; the lab's own app is at 127.0.0.1.",
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
