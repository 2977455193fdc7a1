"""Objective: which share of the requests has to be good over a window, in PromQL and in numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from labkit.promql.steps import duration, step_in_ms
from labkit.slo import arguments, policy


@dataclass(frozen=True)
class Objective:
    """What has to be good, of what, over which time: the definition, without a lab to ask.

    Attributes:
        name: a word or two: letters, digits, spaces, ``-`` and ``_``.
        objective: the share of good requests in percent, such as 99.5.
        window: what the budget is for, 7d to 90d, as PromQL writes a duration.
        good: the counter of the good requests, as a selector.
        total: the counter of all of them, as a selector.
    """

    name: str
    objective: float = field(kw_only=True)
    window: str = field(default="30d", kw_only=True)
    good: str = field(kw_only=True)
    total: str = field(kw_only=True)

    def __post_init__(self) -> None:
        arguments.check_name(self.name)
        arguments.check_objective(self.objective)
        arguments.check_window(self.window)
        arguments.check_selector("good", self.good)
        arguments.check_selector("total", self.total)

    @classmethod
    def availability(
        cls, objective: float = 99.5, window: str = "30d", name: str = "availability"
    ) -> Self:
        """Return the objective that requests to the app are not answered by a server error, 5xx.

        Args:
            objective: the share of good requests in percent.
            window: what the budget is for.
            name: what to call it.

        Raises:
            ValueError: an argument makes no sense.
        """
        total = "flask_requests_total"
        good = total + '{status!~"5.."}'
        return cls(name, objective=objective, window=window, good=good, total=total)

    @classmethod
    def latency(
        cls,
        objective: float = 99.0,
        seconds: float = 0.3,
        window: str = "30d",
        name: str = "latency",
    ) -> Self:
        """Return the objective that requests to the app are answered in time.

        Args:
            objective: the share of good requests in percent.
            seconds: in which time; a boundary of the histogram's buckets.
            window: what the budget is for.
            name: what to call it.

        Raises:
            ValueError: an argument makes no sense.
        """
        histogram = "flask_request_duration_seconds"
        return cls(
            name,
            objective=objective,
            window=window,
            good=f"{histogram}_bucket{{{arguments.boundary(seconds)}}}",
            total=f"{histogram}_count",
        )

    # --- PromQL -----------------------------------------------------------------------------

    def error_ratio(self, window: str | None = None) -> str:
        """Return the PromQL of the share of requests that were not good, 0 to 1.

        Args:
            window: over which time; that of the objective by default.
        """
        return self.ratio(window or self.window, "increase")

    def burn_rate(self, window: str = "1h") -> str:
        """Return the PromQL of the burn rate: the error ratio over the one that is allowed.

        At 1 the budget lasts as long as its window, at 2 half as long.

        Args:
            window: over which time.
        """
        return f"({self.error_ratio(window)}) / {self.allowed:.10g}"

    def failed(self, window: str | None = None) -> str:
        """Return the PromQL of how many requests were not good.

        Args:
            window: over which time; that of the objective by default.
        """
        total, good = (
            f"sum(increase({each}[{window or self.window}]))" for each in (self.total, self.good)
        )
        return f"{total} - {good}"

    def budget_left(self) -> str:
        """Return the PromQL of the share of the error budget that is left: 1, down to 0 and less.

        It is the budget of the requests that there were: where the data do not reach back over the
        whole window, of those in the data, and then an alert costs more of it than in a whole one.
        """
        return f"1 - {self.burn_rate(self.window)}"

    def ratio(self, window: str, function: str) -> str:
        """Return the PromQL of the error ratio by either function, rate or increase.

        Args:
            window: over which time.
            function: ``rate`` or ``increase``; the ratio is the same.
        """
        good, total = (f"sum({function}({each}[{window}]))" for each in (self.good, self.total))
        return f"1 - {good} / {total}"

    # --- Numbers ----------------------------------------------------------------------------

    @property
    def allowed(self) -> float:
        """The share of requests that may fail: 0.005 for 99.5 %."""
        return round((100 - self.objective) / 100, 12)

    @cached_property
    def window_seconds(self) -> float:
        """The length of the window in seconds."""
        return step_in_ms(self.window) / 1000

    @property
    def highest_burn_rate(self) -> float:
        """The burn rate of a full outage, 1 / allowed: no window can show a higher one."""
        return 1 / self.allowed

    def alerting(
        self,
        speed: float = 1.0,
        scrape_interval: float = 0.0,
        least_failed: int = policy.LEAST_FAILED,
    ) -> tuple[policy.Alert, ...]:
        """Return the two alerts, page and ticket, as :meth:`rules` writes them.

        Args:
            speed: how much shorter their windows are.
            scrape_interval: seconds between two scrapes; a window has four of them at least.
            least_failed: how many requests have to fail in the long window, too.

        Raises:
            ValueError: the number of requests is out of range.
        """
        arguments.check_least_failed(least_failed)
        prefix = "".join(
            word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", self.name)
        )
        least = policy.LEAST_SCRAPES * scrape_interval
        return policy.alerts(prefix, self.window_seconds, speed, least, int(least_failed))

    @property
    def warnings(self) -> list[str]:
        """What keeps an alert of this objective from ever firing, one sentence each."""
        return [
            f"The pair {_pair(pair)} of {alert.name} can't fire: it needs a burn rate above "
            f"{pair.factor:g}, and with {self.objective:g} % even a full outage burns at "
            f"{self.highest_burn_rate:.3g} only."
            for alert in self.alerting()
            for pair in alert.pairs
            if pair.factor >= self.highest_burn_rate
        ]


def _pair(pair: policy.Pair) -> str:
    lengths = (pair.long_seconds, pair.short_seconds)
    return "/".join(duration(round(seconds * 1000)) for seconds in lengths)
