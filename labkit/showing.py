"""What one can look at: the control panel and the dashboard of a lab."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    import pandas as pd

    from labkit.marks import Marks
    from labkit.panels.control import ControlPanel
    from labkit.panels.dashboard import Dashboard
    from labkit.panels.model import ControlledLab
    from labkit.promql.client import Client
    from labkit.promql.tiles import Tile


_MINUTES, _MINUTES_OF_A_PAST = 5.0, 1440.0
_MOST_DASHBOARDS = 3  # each asks and draws every few seconds


class Showing(ABC):
    """The part of a lab that shows; whoever has a Prometheus gives the client.

    Attributes:
        name: what the dashboard is titled with.
        marks: when traffic and faults changed.
    """

    name: str
    marks: Marks
    _closing: ExitStack

    def __init__(self) -> None:
        super().__init__()
        self._panel: ControlPanel | None = None
        self._dashboards: list[tuple[object, Dashboard]] = []  # each behind what it was asked with
        self._began: float | None = None  # since when there is data, where that is known
        self._past: tuple[float, float] | None = None  # where it is over: its start and end

    @abstractmethod
    def _client_now(self) -> Client:
        """Return the client, or raise what keeps it from answering."""

    @abstractmethod
    def _controlled(self) -> ControlledLab:
        """Return what the panel controls."""

    def panel(self) -> ControlPanel:
        """Return the control panel: buttons for the traffic, fault sliders, a live chart."""
        from labkit.panels.control import ControlPanel

        client = self._client_now()
        if self._panel is None:
            self._panel = ControlPanel(self._controlled(), client)
            self._closing.callback(self._panel.close)
        return self._panel

    def dashboard(
        self,
        tiles: Sequence[Tile] | None = None,
        *,
        window_minutes: float | None = None,
        refresh_seconds: int = 2,
        theme: str = "auto",
    ) -> Dashboard:
        """Return the live dashboard: charts, alerts, and marks where traffic and faults changed.

        Called again with the same arguments, it is the same dashboard. A lab has three at most:
        of more, the one that was asked for first stands still.

        Args:
            tiles: what is shown; `labkit.promql.tiles.standard` by default.
            window_minutes: how far back the charts go, 1 to 60, 5 by default; in a history up to
                its length, a day by default.
            refresh_seconds: 1, 2, 5 or 10.
            theme: light, dark, or auto, which follows JupyterLab.

        Raises:
            ValueError: a tile or another argument makes no sense; the message says what would.
        """
        from labkit.panels.dashboard import REPLACED, Dashboard
        from labkit.promql.tiles import checked, standard

        client = self._client_now()
        tiles = standard(client.scrape_interval) if tiles is None else tiles
        minutes = self._window() if window_minutes is None else window_minutes
        asked = (checked(tiles), minutes, refresh_seconds, theme)
        for before, dashboard in self._dashboards:
            if before == asked:
                return dashboard
        made = Dashboard(
            client,
            tiles,
            window_minutes=minutes,
            refresh_seconds=refresh_seconds,
            theme=theme,
            marks=self.marks,
            alerts=self._alerts(client),
            began=self._began,
            past=self._past,
            title=self.name,
        )
        self._closing.callback(made.close)
        self._dashboards.append((asked, made))
        if len(self._dashboards) > _MOST_DASHBOARDS:
            self._dashboards.pop(0)[1].close(REPLACED)
        return made

    def _window(self) -> float:
        """Return the window that a dashboard begins with, in minutes."""
        if self._past is None:
            return _MINUTES
        return min(_MINUTES_OF_A_PAST, (self._past[1] - self._past[0]) / 60)

    def _alerts(self, client: Client) -> Callable[[], pd.DataFrame] | None:
        """Return what tells the alerts; nothing does for a past, where no rule was evaluated."""
        from labkit import alerts

        if self._past is not None:
            return None
        return lambda: alerts.frame(alerts.read(client))
