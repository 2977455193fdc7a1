"""SLO: which share of the requests has to be good over a window, and what follows from that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

from labkit.promql.steps import duration, step_in_ms
from labkit.slo import arguments, policy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.promql.steps import Instant
    from labkit.slo.asked import Asked
    from labkit.slo.report import Report


@dataclass(frozen=True)
class SLO:
    """A service level objective: which share of the requests has to be good over a window.

    What is counted burns the budget, and nothing else does: while a target is down, nobody counts
    the requests that it does not answer. Watch ``up`` beside an objective.

    Example:
        >>> slo = SLO("availability", objective=99.5, window="30d",
        ...     good='flask_requests_total{status!~"5.."}', total="flask_requests_total")
        >>> slo.budget_left()
        '1 - (1 - sum(increase(flask_requests_total{status!~"5.."}[30d])) / ...

    Args:
        name: a word or two: letters, digits, spaces, ``-`` and ``_``.
        objective: the share of good requests in percent, such as 99.5.
        window: what the budget is for, 7d to 90d, as PromQL writes a duration.
        good: the counter of the good requests, as a selector.
        total: the counter of all of them, as a selector.

    Raises:
        ValueError: an argument makes no sense; the message says what would.
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
        self, speed: float = 1.0, scrape_interval: float = 0.0
    ) -> tuple[policy.Alert, ...]:
        """Return the two alerts, page and ticket, as :meth:`rules` writes them.

        Args:
            speed: how much shorter their windows are.
            scrape_interval: seconds between two scrapes; a window has four of them at least.
        """
        prefix = "".join(
            word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", self.name)
        )
        least = policy.LEAST_SCRAPES * scrape_interval
        return policy.alerts(prefix, self.window_seconds, speed, least)

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

    # --- Rules and answers ------------------------------------------------------------------

    def rules(self, speed: float = 1.0, scrape_interval: float = 1.0) -> str:
        """Return recording and alerting rules as the text of a rules file.

        The alerts are those of the SRE workbook, chapter 5: a page where a long window and a short
        one burn at 14.4 (1h and 5m) or at 6 (6h and 30m), a ticket at 3 (1d and 2h) or at 1 (3d
        and 6h). With ``speed=60`` an hour passes in a minute, for a lab that runs: choose
        ``lab.faults.preset("healthy")`` there, since the classic faults always page. A window has
        at least four scrapes, so that a high speed or a long scrape interval leaves the short
        ones longer.

        Args:
            speed: how much shorter the windows are, and the time that a condition has to hold.
            scrape_interval: seconds between two scrapes where the rules run.

        Raises:
            ValueError: a number is out of range.
        """
        from labkit.slo.rules import render

        return render(self, speed, scrape_interval)

    def rule_tests(self, rules_file: str, speed: float = 1.0, scrape_interval: float = 1.0) -> str:
        """Return unit tests of :meth:`rules` for ``promtool test rules``, as YAML.

        Args:
            rules_file: where the rules are, as seen from the tests' file.
            speed: as for the rules.
            scrape_interval: as for the rules.

        Raises:
            ValueError: a number is out of range, or no series could be made up for the selectors.
        """
        from labkit.slo.ruletests import render

        return render(self, rules_file, speed, scrape_interval)

    def report(self, lab: Asked, time: Instant | None = None) -> Report:
        """Return how the objective stands: error ratio, budget left, burn rates.

        Args:
            lab: a lab, or a client of a Prometheus.
            time: at which moment; now by default, which for a history is its end.

        Raises:
            LabError: nothing matches a selector, or there was no request.
            QueryError: Prometheus did not answer.
        """
        from labkit.slo.report import ask

        return ask(self, lab, time)

    def spending(
        self,
        lab: Asked,
        start: Instant | None = None,
        end: Instant | None = None,
        step: float | str | None = None,
    ) -> pd.DataFrame:
        """Return how the budget was spent over a period, as :meth:`plot` draws it.

        Args:
            lab: a lab, or a client of a Prometheus.
            start: when the period begins; one window before its end by default.
            end: when it ends; now by default.
            step: seconds between two rows, or a duration; by default such that there are at most
                1,800.

        Returns:
            An index of times in UTC; ``good`` and ``total``, the requests since the row before;
            ``left``, the percentage of the budget of the whole period that is left.

        Raises:
            LabError: nothing matches a selector, or there was no request.
            QueryError: Prometheus did not answer.
            ValueError: the period makes no sense.
        """
        from labkit.slo.budget import period, spending

        return spending(self, lab, period(self, lab, start, end), step)

    def alerts(
        self,
        lab: Asked,
        start: Instant | None = None,
        end: Instant | None = None,
        step: float | str | None = None,
        *,
        incidents: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Return when the alerts of :meth:`rules` would have fired, had the rules run.

        By range queries of their expressions, with ``for`` applied: Prometheus evaluates no rules
        over data that were filled in later.

        Args:
            lab: a lab, or a client of a Prometheus.
            start: when the period begins; one window before its end by default.
            end: when it ends; now by default.
            step: seconds between two evaluations; a minute by default (five for the ticket).
            incidents: a frame with ``name``, ``start`` and ``end``, such as ``truth.incidents``,
                for what each alert is laid to.

        Returns:
            One row each time one fired: ``alert``, ``severity``, ``window`` (the long window of
            the pair that fired it), ``start`` and ``end`` (UTC; the end of the period where it
            still fires), ``peak_burn`` (of the long window while it fired), ``incident`` (its
            name, empty where none is known), ``cost_percent`` (of the budget, from the incident's
            begin to the alert's, or in the long window before it), ``left_percent`` (at the
            start). The budget is that of the period.

        Raises:
            LabError: nothing matches a selector, or there was no request.
            QueryError: Prometheus did not answer.
            ValueError: the period makes no sense.
        """
        from labkit.slo.budget import fired, period

        return fired(self, lab, period(self, lab, start, end), step, incidents)

    def plot(
        self,
        lab: Asked,
        start: Instant | None = None,
        end: Instant | None = None,
        *,
        incidents: pd.DataFrame | None = None,
        alerts: pd.DataFrame | None = None,
        ax: Axes | None = None,
        theme: str = "light",
    ) -> Axes:
        """Draw the budget that is left over a period, with incidents and alerts marked.

        Args:
            lab: a lab, or a client of a Prometheus.
            start: when the period begins; one window before its end by default.
            end: when it ends; now by default.
            incidents: a frame with ``name``, ``start`` and ``end``; none by default.
            alerts: what :meth:`alerts` returned; asked for by default.
            ax: where to draw; a figure of its own by default.
            theme: ``light`` or ``dark``.

        Raises:
            LabError: nothing matches a selector, or there was no request.
            QueryError: Prometheus did not answer.
            ValueError: the period makes no sense.
        """
        from labkit.plots.budget import budget

        frame = self.spending(lab, start, end)
        if alerts is None:
            alerts = self.alerts(lab, start, end, incidents=incidents)
        whole = (frame.index[-1] - frame.index[0]).total_seconds() > 0.98 * self.window_seconds
        over = f"over {self.window}" if whole else "of the requests of the time shown"
        title = f"Error budget of {self.name}: {self.objective:g} % {over}"
        return budget(
            frame[["left"]], incidents=incidents, alerts=alerts, ax=ax, title=title, theme=theme
        )


def _pair(pair: policy.Pair) -> str:
    lengths = (pair.long_seconds, pair.short_seconds)
    return "/".join(duration(round(seconds * 1000)) for seconds in lengths)
