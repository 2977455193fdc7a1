"""Looking at many things at once, each on its own, within one limit on the time of all."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.checks.report import FAILED, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SECONDS = 4.5


@dataclass(frozen=True)
class Look:
    """One look, which gives one row or more.

    Attributes:
        names: the rows it gives, so that one that breaks or hangs leaves no gap.
        find: looks, and gives the rows as it comes to know them.
    """

    names: tuple[str, ...]
    find: Callable[[], Iterable[Finding]]


def look_at_all(looks: Sequence[Look], seconds: float = SECONDS) -> tuple[Finding, ...]:
    """Look at everything at once; return the rows in the order of the looks.

    What raises an exception is a failed row with its words. What takes too long is a failed row
    as well; it is left to itself, in a thread that does not keep Python from ending.

    Args:
        looks: what to do.
        seconds: how long all of it may take.
    """
    deadline = time.monotonic() + seconds
    threads = [_Looking(look) for look in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(finding for thread in threads for finding in thread.findings(seconds))


class _Looking(threading.Thread):
    def __init__(self, look: Look) -> None:
        super().__init__(name=f"labkit-check-{look.names[0]}", daemon=True)
        self._look = look
        self._found: list[Finding] = []
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            for finding in self._look.find():
                self._found.append(finding)
        except Exception as error:  # noqa: BLE001 - whatever breaks is what the check has found
            self._error = error

    def findings(self, seconds: float) -> Iterator[Finding]:
        found, error, hangs = list(self._found), self._error, self.is_alive()
        yield from found
        missing = [name for name in self._look.names if name not in {f.name for f in found}]
        if error is not None:
            yield from (_broken(name, error) for name in missing or self._look.names[-1:])
        elif hangs:
            yield from (_hanging(name, seconds) for name in missing or self._look.names[-1:])


def _broken(name: str, error: Exception) -> Finding:
    finding = Finding.of(name, error)
    if finding.remedy:
        return finding
    remedy = "this look itself broke, the other rows stand; please report it with these words."
    return Finding(name, FAILED, finding.detail, remedy)


def _hanging(name: str, seconds: float) -> Finding:
    return Finding(
        name,
        FAILED,
        f"gave no answer within {seconds:g} s",
        "what it asks hangs or is very busy: try again; if it stays so, start that part anew.",
    )
