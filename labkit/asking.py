"""What one can ask of anything with a Prometheus: queries, waits, what there is, charts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    from matplotlib.axes import Axes

    from labkit.promql.client import Client

    Time = float | datetime


class Asking(ABC):
    """The part of a lab that asks; whoever has a Prometheus gives the client."""

    @abstractmethod
    def _client_now(self) -> Client:
        """Return the client, or raise what keeps it from answering."""

    @abstractmethod
    def _check(self) -> None:
        """Raise what went wrong in the background since the last call."""

    def query(self, promql: str, time: Time | None = None) -> pd.DataFrame:
        """Ask at one time; return one row a series: its labels, then ``value``.

        Args:
            promql: the expression.
            time: unix seconds or an aware datetime; now by default.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        return self._client_now().query(promql, time=time)

    def query_range(
        self,
        promql: str,
        minutes: float = 5,
        step: float | str | None = None,
        start: Time | None = None,
        end: Time | None = None,
    ) -> pd.DataFrame:
        """Ask over a time range; return a tz-aware index and one column a series.

        Args:
            promql: the expression.
            minutes: how far back from ``end``, where no ``start`` is given.
            step: seconds between two points, or "1m30s"; like Grafana's by default.
            start: unix seconds or an aware datetime.
            end: the same; now by default.

        Raises:
            QueryError: Prometheus refused it; its words, with a caret under the place.
        """
        return self._client_now().query_range(promql, minutes, step, start, end)

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

        query = describe(promql)
        draw = getattr(plots, query.kind)
        frame = self.query_range(promql, minutes)
        chart: Axes = draw(
            frame, ax=ax, title=query.title, unit=query.unit, threshold=query.threshold
        )
        return chart
