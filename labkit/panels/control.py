"""The control panel: buttons for the traffic, fault sliders, progress, and a live chart."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError
from labkit.panels.chart import LiveChart
from labkit.panels.model import ControlledLab, ControlModel
from labkit.panels.view import ControlView

if TYPE_CHECKING:
    from collections.abc import Callable

    from labkit.promql.client import Client

REFRESH_SECONDS = 0.25
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
        self.view = ControlView(self.model, lab.faults, self._ask)
        self._chart = LiveChart(client)
        self._asked: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._update, name="labkit-panel", daemon=True),
            threading.Thread(target=self._draw, name="labkit-panel-chart", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, action: Callable[[], object]) -> None:
        """Queue an action of the person at the panel; return at once."""
        self._asked.put(action)

    def _update(self) -> None:
        while not self._closing.is_set():
            try:
                action = self._asked.get(timeout=REFRESH_SECONDS)
            except queue.Empty:
                action = self.model.refresh
            try:
                action()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
                self.model.fail(error)

    def _draw(self) -> None:
        while not self._closing.is_set():
            started = time.monotonic()
            try:
                png = self._chart.png()
            except LabError as error:
                self._ask(lambda error=error: self.view.chart_failed(error))  # type: ignore[misc]
            else:
                self._ask(lambda png=png: self.view.show_chart(png))  # type: ignore[misc]
            self._closing.wait(max(0.1, CHART_SECONDS - (time.monotonic() - started)))

    def close(self) -> None:
        """Stop the panel's threads and leave it on the page, saying that the lab has stopped."""
        self._closing.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(15.0)
        self.model.close(STOPPED)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.view.box._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        state = "running" if self.model.running else "idle"
        return f"<ControlPanel {state}: {self.model.summary}>"
