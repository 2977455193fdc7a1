"""Asking a Prometheus from a terminal: its client, and moments."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from labkit.cli.options import usage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.promql.client import Client


@contextmanager
def asking(prometheus_url: str | None) -> Iterator[Client]:
    """Give a client for the Prometheus of a URL, or of the lab that runs."""
    from labkit.attached import headers_from_environment
    from labkit.cli.finding import find_prometheus_url
    from labkit.promql.client import Client

    url = find_prometheus_url(prometheus_url)
    with usage_errors(), Client(url, headers=headers_from_environment()) as client:
        yield client


def moment(text: str | None) -> float | datetime | None:
    """Return the time that an option names: Unix seconds, or a datetime with a zone.

    Raises:
        ValueError: it names none.
    """
    if text is None:
        return None
    try:
        seconds = _seconds(text)
        return datetime.fromisoformat(text).astimezone() if seconds is None else seconds
    except (ValueError, OverflowError, OSError) as error:  # none, or none that this machine has
        raise ValueError(
            f"--time must be Unix seconds or a time such as 2026-01-31T12:00, not {text!r}"
        ) from error


def _seconds(text: str) -> float | None:
    """Return a number as Unix seconds, if it is one and there is such a time."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    datetime.fromtimestamp(seconds).astimezone()
    return seconds
