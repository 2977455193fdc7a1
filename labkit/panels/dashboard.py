"""The live dashboard: tiles that are redrawn every few seconds, alerts, and what happened."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import plots
from labkit.errors import LabError
from labkit.panels.dashboard_model import DashboardModel
from labkit.panels.dashboard_source import Source
from labkit.panels.dashboard_view import DashboardView
from labkit.panels.updater import Ticker, Updater
from labkit.plots.tiles.board import board, clock_time, day_time
from labkit.plots.tiles.face import Failure
from labkit.plots.tiles.live import LiveTile
from labkit.promql.tiles import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from labkit.marks import Marks
    from labkit.panels.dashboard_source import Frame
    from labkit.promql.client import Client
    from labkit.promql.tiles import Tile

STOPPED = "The lab has stopped; this is the last picture. labkit.start() starts a new lab."
_CHOICES = ["window_minutes", "refresh_seconds", "theme", "paused", "moment"]
_MOST_COLUMNS = 4
REPLACED = "Three newer dashboards of this lab have taken over; this is the last picture."


class Dashboard:
    """A dashboard that a cell shows; it goes on while other cells run.

    One thread changes the widgets, another one asks and draws. A frame that would come late is
    left out, so that none ever waits for another.

    Args:
        client: where the tiles ask.
        tiles: what is shown; the lab's own tiles by default.
        window_minutes: how far back the charts go, 1 to 60; in a past as far as it goes.
        refresh_seconds: 1, 2, 5 or 10.
        theme: light, dark, or auto, which follows JupyterLab.
        marks: what happened in the lab.
        alerts: gives the alerts, as ``lab.alerts()`` does.
        began: since when there is anything, in unix seconds; until the window is full, it is
            shorter.
        past: where a past begins and ends, in unix seconds: then a slider goes through it, and
            nothing is asked again by itself.
        title: what stands on top of a copy for a report.

    Raises:
        ValueError: a tile or another argument makes no sense; the message says what would.
    """

    def __init__(
        self,
        client: Client,
        tiles: Sequence[Tile] | None = None,
        *,
        window_minutes: float = 5,
        refresh_seconds: int = 2,
        theme: str = "auto",
        marks: Marks | None = None,
        alerts: Callable[[], pd.DataFrame] | None = None,
        began: float | None = None,
        past: tuple[float, float] | None = None,
        title: str = "lab",
    ) -> None:
        self.tiles = checked(tiles)
        self.model = DashboardModel.choosing(window_minutes, refresh_seconds, theme, past)
        self.view = DashboardView(self.model, [tile.title for tile in self.tiles])
        self._title = title
        self._source = Source(client, self.tiles, marks=marks, alerts=alerts, began=began)
        self._pictures = _Pictures(self.tiles)
        self._frame: Frame | None = None
        self._chosen = threading.Event()  # something else is to be seen, also while it is paused
        self._chosen.set()
        self._paused_at: float | None = None
        self._updater = Updater("labkit-dashboard", self._failed)
        self._ticker = Ticker(
            "labkit-dashboard-draw",
            self._tick,
            seconds=lambda: self.model.refresh_seconds,
            failed=self._failed,
        )
        self.model.observe(self._choose, _CHOICES)

    @property
    def skipped(self) -> int:
        """How many frames were left out because the one before took too long."""
        return self._ticker.skipped

    def figure(self, theme: str | None = None, columns: int = 2) -> Figure:
        """Draw what there is to see now as one figure, for a report.

        Args:
            theme: light or dark; the dashboard's own by default, light where that is auto.
            columns: tiles in a row, 1 to 4. Two are as wide as a notebook's page.

        Raises:
            ValueError: there is no such theme, or there are not that many columns.
            LabError: nothing was ever seen.
        """
        if columns not in range(1, _MOST_COLUMNS + 1):
            raise ValueError(f"columns must be 1 to {_MOST_COLUMNS}, not {columns!r}")
        frame = self._ask() if self.model.open else self._frame
        if frame is None:
            raise LabError(
                "This dashboard has never shown anything.",
                next_step="labkit.start() starts a lab; its dashboard() shows it.",
            )
        return board(
            self.tiles,
            frame.contents,
            frame.view,
            title=self._title,
            theme=theme or _drawn(self.model.theme),
            alerts=_states(frame),
            columns=columns,
        )

    def save(self, path: str | Path, theme: str | None = None, columns: int = 3) -> Path:
        """Save `figure` as a file, PNG, SVG or PDF by its name; return its path."""
        target = Path(path)
        figure = self.figure(theme, columns)
        if target.suffix.lower() == ".png":
            target.write_bytes(plots.png(figure))
        else:
            figure.savefig(target)
        return target

    def close(self, words: str = STOPPED) -> None:
        """Stop the threads and leave the last picture on the page, with these words. Idempotent."""
        self._ticker.close()
        self._updater.close()
        self._source.close()
        if self.model.open:
            self.model.close(words)

    # --- Inside -----------------------------------------------------------------------------

    def _choose(self, change: Any) -> None:
        if change["name"] == "paused":
            self._paused_at = time.time() if change["new"] else None
        self._chosen.set()
        self._ticker.now()

    def _ask(self) -> Frame:
        moment = self._paused_at if self.model.past is None else self.model.moment
        return self._source.fetch(self.model.window_minutes, moment)

    def _tick(self) -> None:
        """Ask for a frame and draw it; one that stands still only shows what else was chosen."""
        stands = self.model.paused or self.model.past is not None
        if stands and not self._chosen.is_set():
            return
        self._chosen.clear()
        frame, theme = self._ask(), self.model.theme
        if frame.outage and self._frame is not None:
            self._updater.ask(lambda: self._stand_still(frame))
            return
        self._frame = frame
        pictures = self._pictures.draw(frame, _drawn(theme))
        self._updater.ask(lambda: self._show(frame, pictures, theme))

    def _show(self, frame: Frame, pictures: Sequence[bytes], theme: str) -> None:
        self.view.show(frame, pictures, theme)
        when = clock_time(frame.view.end)
        if self.model.past is not None:
            self.model.tell(day_time(frame.view.end))
        elif self.model.paused:
            self.model.tell(f"paused at {when}")
        else:
            minutes = (frame.view.end - frame.view.start) / 60
            young = (
                f" · the last {minutes:g} min, as there is no more yet"
                if minutes < self.model.window_minutes
                else ""
            )
            late = f" · late pictures left out: {self.skipped}" if self.skipped else ""
            self.model.tell(f"{when}{young}{late}")

    def _stand_still(self, frame: Frame) -> None:
        """Keep the last pictures and say why there are no newer ones."""
        self.view.show_alerts(frame)
        self.model.fail(LabError(f"The pictures stand still. {frame.outage}"))

    def _failed(self, error: Exception) -> None:
        self._updater.ask(lambda: self.model.fail(error))

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.view.box._repr_mimebundle_(**options)

    def __repr__(self) -> str:
        state = "paused" if self.model.paused else "open" if self.model.open else "closed"
        return (
            f"<Dashboard {state}: {len(self.tiles)} tiles, last {self.model.window_minutes:g} min>"
        )


class _Pictures:
    """The tiles' canvases, made anew when another theme is chosen."""

    def __init__(self, tiles: Sequence[Tile]) -> None:
        self._tiles = tiles
        self._theme = ""
        self._live: list[LiveTile] = []

    def draw(self, frame: Frame, theme: str) -> list[bytes]:
        if theme != self._theme:
            self._theme = theme
            self._live = [LiveTile(tile, theme) for tile in self._tiles]
        pairs = zip(self._live, frame.contents, strict=True)
        return [live.png(content, frame.view) for live, content in pairs]


def _drawn(theme: str) -> str:
    """Return the theme of the pictures; with "auto", the page turns light ones dark."""
    return "light" if theme == "auto" else theme


def _states(frame: Frame) -> list[tuple[str, str]]:
    if frame.alerts is None or isinstance(frame.alerts, Failure):
        return []
    return list(zip(frame.alerts["name"], frame.alerts["state"], strict=True))
