"""When to alert: the pairs of windows of the SRE workbook, and how they are scaled down."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
LEAST_SCRAPES = 4  # in a window: with fewer, a rate is often of two samples or none
LEAST_FAILED = 5  # requests in the long window: fewer say little about a ratio


@dataclass(frozen=True)
class Pair:
    """Two windows that burn at once: the long shows that it matters, the short that it goes on.

    Attributes:
        long_seconds: the long window.
        short_seconds: the short one, a twelfth of it.
        factor: the burn rate that both have to exceed.
        share: of the budget that is spent in the long window at that burn rate, at the usual speed.
        severity: page or ticket.
        least_failed: how many requests have to fail in the long window, too.
    """

    long_seconds: float
    short_seconds: float
    factor: float
    share: float
    severity: str
    least_failed: int = 0


@dataclass(frozen=True)
class Alert:
    """An alert of an objective, which fires where any of its pairs does.

    Attributes:
        name: in the words of an alert rule.
        severity: page or ticket.
        pairs: the pairs of windows, the fastest first.
        for_seconds: how long its condition has to hold.
    """

    name: str
    severity: str
    pairs: tuple[Pair, ...]
    for_seconds: float


# Long and short window, and the share of a budget that the long one spends: section 6 of chapter 5
# of the SRE workbook (https://sre.google/workbook/alerting-on-slos/), its table 5-8 and the rules
# below it. The workbook has no `for`; two minutes (a quarter of an hour for a ticket) let a lone
# evaluation pass.
_TABLE = (
    ("page", HOUR, 5 * MINUTE, 0.02),
    ("page", 6 * HOUR, 30 * MINUTE, 0.05),
    ("ticket", DAY, 2 * HOUR, 0.10),
    ("ticket", 3 * DAY, 6 * HOUR, 0.10),
)
_FOR_SECONDS = {"page": 2 * MINUTE, "ticket": 15 * MINUTE}
_NAMES = {"page": "FastBurn", "ticket": "SlowBurn"}


def alerts(
    prefix: str,
    window_seconds: float,
    speed: float = 1.0,
    least_seconds: float = 0.0,
    least_failed: int = LEAST_FAILED,
) -> tuple[Alert, ...]:
    """Return the alerts of an objective, the page first.

    A factor is share · window / long window: 14.4, 6, 3 and 1 for 30 days, and in proportion to
    the window for others, as the shares stay. It is never less than 1, at which the budget lasts
    exactly as long as its window; a share is larger then.

    Args:
        prefix: of their names.
        window_seconds: of the budget.
        speed: divides the windows and the time that a condition has to hold.
        least_seconds: that a window is long, whatever the speed.
        least_failed: how many requests have to fail in a long window, whatever the speed.
    """

    def pair(severity: str, long: float, short: float, share: float) -> Pair:
        return Pair(
            max(long / speed, least_seconds),
            max(short / speed, least_seconds),
            max(1.0, share * window_seconds / long),
            max(share, long / window_seconds),
            severity,
            least_failed,
        )

    return tuple(
        Alert(
            f"{prefix}{_NAMES[severity]}",
            severity,
            tuple(pair(*row) for row in _TABLE if row[0] == severity),
            seconds / speed,
        )
        for severity, seconds in _FOR_SECONDS.items()
    )
