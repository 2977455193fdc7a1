"""What the lab and its traffic worker say to each other: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

REPORT_SECONDS = 0.25


class Outcome(IntEnum):
    """How a request ended that got no whole response; below any HTTP status."""

    TIMED_OUT = 1
    FAILED = 2
    CANCELLED = 3

    @property
    def words(self) -> str:
        """The outcome as the statistics call it."""
        return self.name.lower()


FIRST_STATUS = 100


@dataclass(frozen=True)
class Order:
    """All that the worker needs to carry out one run.

    Args:
        run: the run's number.
        url: the base URL.
        addresses: the addresses to connect to; None for whatever the URL's host resolves to.
        shape: the shape as plain data.
        mix: pairs of path and weight.
        seed: what the draws of paths and waits begin from.
        timeout_seconds: how long one request may take.
        max_seconds: when a run without an end of its own ends.
        max_rate: what closed loops are held to, in requests per second.
        max_in_flight: how many unanswered requests an open loop may have.
        headers: sent with each request.
        verify: whether TLS certificates are checked, or the file of the authority to trust.
    """

    run: int
    url: str
    addresses: list[str] | None
    shape: dict[str, Any]
    mix: list[tuple[str, float]]
    seed: int
    timeout_seconds: float
    max_seconds: float
    max_rate: float
    max_in_flight: int
    headers: dict[str, str] = field(default_factory=dict)
    verify: bool | str = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)


def encode(**message: Any) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the message of a line.

    Raises:
        ValueError: when it is not one.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(  # noqa: TRY004 - one kind of error for every bad line
            f"not a message: {line[:200]!r}"
        )
    return message
