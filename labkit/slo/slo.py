"""SLO: an objective with all that follows from it: rules, their tests, reports and charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.slo.objective import Objective
from labkit.slo.policy import LEAST_FAILED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.promql.steps import Instant
    from labkit.slo.asked import Asked
    from labkit.slo.report import Report


@dataclass(frozen=True)
class SLO(Objective):
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

    def rules(
        self,
        speed: float = 1.0,
        scrape_interval: float = 1.0,
        *,
        least_failed: int = LEAST_FAILED,
    ) -> str:
        """Return recording and alerting rules as the text of a rules file.

        The alerts are those of the SRE workbook, chapter 5: a page where a long window and a short
        one burn at 14.4 (1h and 5m) or at 6 (6h and 30m), a ticket at 3 (1d and 2h) or at 1 (3d
        and 6h). These are for 30 days, where the long windows spend 2, 5, 10 and 10 % of the
        budget. For another window they spend as much of it, so that the burn rates are in
        proportion: 3.36, 1.4 and 1 for 7 days. None is below 1, at which the budget lasts as long
        as its window; there 1d spends 14 % of a week's budget and 3d 43 %.

        With ``speed=60`` an hour passes in a minute, for a lab that runs: choose
        ``lab.faults.preset("healthy")`` there, since the classic faults always page. A window has
        at least four scrapes, so that a high speed or a long scrape interval leaves the short
        ones longer.

        Where there is little traffic, one failure is a high ratio: with 10 requests an hour and
        99.9 %, it burns at 100 over that hour, and would page. So the long window needs a handful
        of failures as well, which changes nothing where many requests come. Where few do, a page
        comes later, and a window that never sees as many never alerts: the workbook's section on
        low-traffic services names what else helps there, such as artificial traffic, or a lower
        objective. It takes as many at any speed, in windows that are shorter.

        Args:
            speed: how much shorter the windows are, and the time that a condition has to hold.
            scrape_interval: seconds between two scrapes where the rules run.
            least_failed: how many requests have to fail in the long window, 0 to 10,000; 0 leaves
                the condition out.

        Raises:
            ValueError: a number is out of range.
        """
        from labkit.slo.rules import render

        return render(self, speed, scrape_interval, least_failed)

    def rule_tests(
        self,
        rules_file: str,
        speed: float = 1.0,
        scrape_interval: float = 1.0,
        *,
        least_failed: int = LEAST_FAILED,
    ) -> str:
        """Return unit tests of :meth:`rules` for ``promtool test rules``, as YAML.

        Args:
            rules_file: where the rules are, as seen from the tests' file.
            speed: as for the rules.
            scrape_interval: as for the rules.
            least_failed: as for the rules.

        Raises:
            ValueError: a number is out of range, or no series could be made up for the selectors.
        """
        from labkit.slo.rules import checked
        from labkit.slo.ruletests import render

        return render(self, rules_file, checked(self, speed, scrape_interval, least_failed))

    def report(self, lab: Asked, time: Instant | None = None) -> Report:
        """Return how the objective stands: error ratio, budget left, burn rates.

        Args:
            lab: a lab, or a client of a Prometheus.
            time: at which moment, as text such as "2026-01-10T00:00Z", a datetime with a time
                zone, or unix seconds; now by default, which for a history is its end.

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
            start: when the period begins, as text such as "2026-01-10T00:00Z", a datetime with a
                time zone, or unix seconds; one window before its end by default.
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
        least_failed: int = LEAST_FAILED,
    ) -> pd.DataFrame:
        """Return when the alerts of :meth:`rules` would have fired, had the rules run.

        By range queries of their expressions, with ``for`` applied: Prometheus evaluates no rules
        over data that were filled in later.

        Args:
            lab: a lab, or a client of a Prometheus.
            start: when the period begins, as text such as "2026-01-10T00:00Z", a datetime with a
                time zone, or unix seconds; one window before its end by default.
            end: when it ends; now by default.
            step: seconds between two evaluations; a minute by default (five for the ticket).
            incidents: a frame with ``name``, ``start`` and ``end``, such as ``truth.incidents``,
                for what each alert is laid to.
            least_failed: how many requests have to fail in the long window, as for the rules.

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

        times = period(self, lab, start, end)
        return fired(self, lab, times, step, incidents, least_failed=least_failed)

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
            start: when the period begins, as text such as "2026-01-10T00:00Z", a datetime with a
                time zone, or unix seconds; one window before its end by default.
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
