"""The control panel: buttons for the traffic, fault sliders, progress, and a live chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.panels.chart import LiveChart
from labkit.panels.model import ControlledLab, ControlModel, readable_faults
from labkit.panels.updater import Ticker, Updater
from labkit.panels.view import ControlView

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.promql.client import Client

CHART_SECONDS = 2.0
STOPPED = "The lab has stopped. labkit.start() starts a new one; its lab.panel() is a new panel."


class ControlPanel:
    """A panel that a cell shows; it goes on while other cells run.

    Buttons only queue what was asked. One thread does it and is the only one that changes the
    widgets; a second one draws the chart.

    Args:
        lab: what is controlled.
        client: where the chart asks.
    """

    def __init__(self, lab: ControlledLab, client: Client) -> None:
        self.model = ControlModel(lab)
        self.view = ControlView(self.model, readable_faults(lab), self._ask)
        self._chart = LiveChart(client)
        self._updater = Updater("labkit-panel", self.model.fail, self._refresh)
        self._ticker = Ticker(
            "labkit-panel-chart",
            self._draw,
            seconds=lambda: CHART_SECONDS,
            failed=lambda error: self._ask(lambda: self.view.chart_failed(error)),
        )

    def _refresh(self) -> None:
        self.model.refresh()
        self.view.follow_faults()

    def _ask(self, action: Callable[[], object]) -> None:
        """Queue an action of the person at the panel; return at once."""
        self._updater.ask(action)

    def _draw(self) -> None:
        png = self._chart.png()
        self._ask(lambda: self.view.show_chart(png))

    def close(self) -> None:
        """Stop the panel's threads and leave it on the page, saying that the lab has stopped."""
        self._ticker.close()
        self._updater.close()
        self.model.close(STOPPED)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.view.box._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        state = "running" if self.model.running else "idle"
        return f"<ControlPanel {state}: {self.model.summary}>"
