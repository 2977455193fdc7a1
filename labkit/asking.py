"""What one can ask of anything with a Prometheus: queries, waits, names, charts, alerts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from typing import Any

    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.alerts import Alert, AlertWatch
    from labkit.comparing import Comparison, Truth
    from labkit.promql.client import Client
    from labkit.promql.explain import Explanation
    from labkit.promql.steps import Instant
    from labkit.traffic.handle import TrafficRun


class Asking(ABC):
    """The part of a lab that asks; whoever has a Prometheus gives the client."""

    _closing: ExitStack
    _background_errors: list[BaseException]

    @abstractmethod
    def _client_now(self) -> Client:
        """Return the client, or raise what keeps it from answering."""

    @abstractmethod
    def _check(self) -> None:
        """Raise what went wrong in the background since the last call."""

    @property
    def client(self) -> Client:
        """What asks the lab's Prometheus; its frames come without notes."""
        return self._client_now()

    def query(self, promql: str, time: Instant | None = None) -> pd.DataFrame:
        """Ask at one time; return one row a series: its labels, then ``value``.

        Args:
            promql: the expression.
            time: an aware datetime or ISO 8601 text, or unix seconds; now by default.

        Returns:
            The frame. Where it is empty or a value is NaN, a note says why; ``attrs["why_empty"]``
            and ``attrs["why_nan"]`` keep it.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        client = self._client_now()
        frame = client.query(promql, time=time)
        if frame.empty:
            from labkit.promql.emptiness import why_empty

            _tell(frame, why_empty(client, promql, frame.attrs["time"]))
        elif frame["value"].hasnans:
            from labkit.promql.emptiness.nan import why_nan

            if why := why_nan(client, frame):
                _tell(frame, why, "why_nan")
        return frame

    def query_range(
        self,
        promql: str,
        minutes: float = 5,
        step: float | str | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> pd.DataFrame:
        """Ask over a time range; return a tz-aware index and one column a series.

        Args:
            promql: the expression.
            minutes: how far back from ``end``, where no ``start`` is given.
            step: seconds between two points, or "1m30s"; like Grafana's by default.
            start: an aware datetime or ISO 8601 text, or unix seconds.
            end: the same; now by default.

        Returns:
            The frame. Where it is empty, a note says why; ``attrs["why_empty"]`` keeps it.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        client = self._client_now()
        frame = client.query_range(promql, minutes, step, start, end)
        if frame.columns.empty:
            _tell(frame, _why_no_line(client, promql, frame))
        return frame

    def wait_for(self, promql: str, timeout: float = 30) -> pd.DataFrame:
        """Ask until there is an answer (and, for a comparison, it is true); return it."""
        return self._client_now().wait_for(promql, timeout=timeout, alive=self._check)

    def metrics(self) -> pd.DataFrame:
        """Return what there is: name, type, help, labels, series."""
        return self._client_now().metrics()

    def plot(self, promql: str, minutes: float = 5, ax: Axes | None = None) -> Axes:
        """Draw an expression over the last minutes; return the Axes.

        A query of the catalog (`labkit.promql.catalog`) is drawn with its own title, unit and
        threshold.
        """
        from labkit import plots
        from labkit.promql.catalog import describe

        client, query = self._client_now(), describe(promql)
        draw = getattr(plots, query.kind)
        frame = client.query_range(promql, minutes)
        hint = _why_no_line(client, promql, frame) if frame.columns.empty else None
        chart: Axes = draw(
            frame, ax=ax, title=query.title, unit=query.unit, threshold=query.threshold, hint=hint
        )
        return chart

    def explain(self, promql: str, time: Instant | None = None) -> Explanation:
        """Return what an expression means: a tree with a sentence and the size of each step.

        It warns of the usual mistakes, and says why the result is empty where it is.

        Args:
            promql: the expression.
            time: an aware datetime or ISO 8601 text, or unix seconds; now by default.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        from labkit.promql.explain import explain
        from labkit.promql.steps import unix_ms

        when = None if time is None else unix_ms(time, "time") / 1000
        return explain(self._client_now(), promql, when)

    def compare(self, truth: TrafficRun | Truth) -> Comparison:
        """Return what is known exactly beside PromQL's answers for the same time.

        The rows are requests, rate, error ratio and latency quantiles, each with the difference
        and its cause.

        Args:
            truth: a run of this lab, which is waited for, and so is the first scrape after its
                end; or a stretch of a history, as ``history.truth.between("3h", "2h")``.

        Raises:
            LabError: nothing was answered, the run broke off, or it has no end.
        """
        from labkit.comparing import RunTruth, compare
        from labkit.errors import LabError
        from labkit.traffic.handle import TrafficRun
        from labkit.traffic.scenario_run import ScenarioRun

        if isinstance(truth, ScenarioRun):
            raise LabError(
                "A scenario is several runs, and each has figures of its own.",
                next_step="compare one of them: lab.compare(lab.runs[-1]).",
            )
        known = RunTruth(truth) if isinstance(truth, TrafficRun) else truth
        return compare(self._client_now(), known, alive=self._check)

    def alerts(self) -> pd.DataFrame:
        """Return how every alert stands: name, state, since, value, severity, summary, labels.

        One row an alert that is pending or firing, and one for each rule without any; the most
        urgent first. ``since`` (UTC) is since when its condition has held.
        """
        from labkit import alerts

        return alerts.frame(alerts.read(self._client_now()))

    def wait_for_alert(
        self, name: str, state: str = "firing", timeout: float = 60
    ) -> pd.Series[Any]:
        """Wait until an alert is firing, pending or inactive; return its row of `alerts`.

        Args:
            name: the alert.
            state: the state to wait for.
            timeout: how many seconds to wait.

        Raises:
            LabError: there is no such alert, or the time is up, with its state and value now.
            ValueError: there is no such state.
        """
        from labkit import alerts

        return alerts.wait_for(self._client_now(), name, state, timeout, alive=self._check)

    def on_alert(self, function: Callable[[Alert], object]) -> AlertWatch:
        """Call a function once for each alert that fires or resolves; return what ends that.

        It is called in a thread of its own, until ``close()`` or the lab's end. What it raises is
        raised again by the lab's next call, and does not end the watch.

        Args:
            function: takes an `labkit.alerts.Alert`: name, state ("firing" or "resolved"),
                labels, value, at, and the rule's words.
        """
        from labkit.alerts import AlertWatch

        watch = AlertWatch(self._client_now(), function, self._background_errors.append)
        self._closing.callback(watch.close)
        return watch


def _why_no_line(client: Client, promql: str, frame: pd.DataFrame) -> str:
    from labkit.promql.emptiness import why_empty_range

    return why_empty_range(client, promql, frame.attrs["start"], frame.attrs["end"])


def _tell(frame: pd.DataFrame, why: str, name: str = "why_empty") -> None:
    from labkit.notes import tell

    frame.attrs[name] = why
    tell(why)
