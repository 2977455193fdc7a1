"""What one can look at: the control panel and the dashboard of a lab."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack

    from labkit.marks import Marks
    from labkit.panels.control import ControlPanel
    from labkit.panels.dashboard import Dashboard
    from labkit.panels.model import ControlledLab
    from labkit.promql.client import Client
    from labkit.promql.tiles import Tile


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
        self._dashboard: tuple[object, Dashboard] | None = None  # and what it was asked for with
        self._began: float | None = None  # since when there is data, where that is known

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
        window_minutes: float = 5,
        refresh_seconds: int = 2,
        theme: str = "auto",
    ) -> Dashboard:
        """Return the live dashboard: charts, alerts, and marks where traffic and faults changed.

        Called again with the same arguments, it is the same dashboard; with others, a new one
        takes over from it.

        Args:
            tiles: what is shown; `labkit.promql.tiles.TILES` by default.
            window_minutes: how far back the charts go, 1 to 60.
            refresh_seconds: 1, 2, 5 or 10.
            theme: light, dark, or auto, which follows JupyterLab.

        Raises:
            ValueError: a tile or another argument makes no sense; the message says what would.
        """
        from labkit import alerts
        from labkit.panels.dashboard import REPLACED, Dashboard
        from labkit.promql.tiles import checked

        client = self._client_now()
        asked = (checked(tiles), window_minutes, refresh_seconds, theme)
        before = self._dashboard
        if before is not None and before[0] == asked:
            return before[1]
        made = Dashboard(
            client,
            tiles,
            window_minutes=window_minutes,
            refresh_seconds=refresh_seconds,
            theme=theme,
            marks=self.marks,
            alerts=lambda: alerts.frame(alerts.read(client)),
            began=self._began,
            title=self.name,
        )
        self._closing.callback(made.close)
        if before is not None:
            before[1].close(REPLACED)
        self._dashboard = (asked, made)
        return made
