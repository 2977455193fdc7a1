"""What a dashboard shows at one moment: the answers to its tiles' queries, alerts and marks."""

from __future__ import annotations

import math
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from labkit.errors import LabError
from labkit.plots.tiles.face import Failure, Missing, View
from labkit.promql.emptiness import why_empty, why_empty_range
from labkit.promql.steps import expand, window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from labkit.marks import Marks
    from labkit.promql.client import Client
    from labkit.promql.steps import Window
    from labkit.promql.tiles import Tile

    Content = pd.DataFrame | Failure

THREADS = 4
_LOOK_AGAIN_SECONDS = 15.0  # at the faults of an app that did not tell them
_GROWING_MINUTES = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0)
_SHORT = 170  # characters of each line of a failure that a tile shows
_REASON_SECONDS = 10.0  # how long the reason for an empty tile stands
_BETWEEN = " · "


@dataclass(frozen=True)
class Frame:
    """A moment of a dashboard.

    Attributes:
        view: the window, and what happened in it.
        contents: what each tile shows: a frame, or why there is none.
        alerts: ``name``, ``state``, ``since``, ``summary`` of each, or why they are not known;
            None where nobody tells.
    """

    view: View
    contents: tuple[Content, ...]
    alerts: Content | None

    @property
    def outage(self) -> str:
        """Why nothing at all could be asked, if it is the same for every tile; else nothing."""
        words = {
            each.words if isinstance(each, Failure) and not isinstance(each, Missing) else ""
            for each in self.contents
        }
        return words.pop() if len(words) == 1 and len(self.contents) > 1 else ""


class Source:
    """Asks for all that a frame shows, several queries at a time.

    Args:
        client: where to ask.
        tiles: what to ask for.
        marks: what happened in the lab.
        alerts: gives the alerts as a frame.
        began: since when there is anything, in unix seconds; while that is shorter ago than the
            window, the window is shorter, too.
    """

    def __init__(
        self,
        client: Client,
        tiles: Sequence[Tile],
        *,
        marks: Marks | None = None,
        alerts: Callable[[], pd.DataFrame] | None = None,
        began: float | None = None,
    ) -> None:
        self._began = began
        self._client = client
        self._tiles = tiles
        self._marks = marks
        self._alerts = alerts
        self._look_after = 0.0
        self._reasons: dict[str, tuple[float, str]] = {}  # why there was nothing, and when
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="labkit-dashboard-ask")

    def fetch(self, minutes: float, now: float | None = None) -> Frame:
        """Ask for a window of so many minutes that ends now, or at another unix time."""
        when = self._client.now() if now is None else now
        minutes = self._grown(minutes, when)
        interval = self._client.scrape_interval
        grid = window(minutes, None, None, None, scrape_interval=interval, now=when)
        moment = when // interval * interval
        looked = self._pool.submit(self._look)
        alerts = self._pool.submit(_attempt, self._alerts) if self._alerts else None
        asked = [
            [self._pool.submit(self._ask, tile, promql, grid, moment) for promql in _queries(tile)]
            for tile in self._tiles
        ]
        answered = [
            content(tile, [answer.result() for answer in answers])
            for tile, answers in zip(self._tiles, asked, strict=True)
        ]
        explained = [
            self._pool.submit(self._explained, tile, found, grid, moment)
            for tile, found in zip(self._tiles, answered, strict=True)
        ]
        contents = [each.result() for each in explained]
        looked.result()
        known = alerts.result() if alerts else None
        self._note_alerts(known, when)
        view = View(moment - 60 * minutes, moment)
        if self._marks is not None:
            view = replace(view, marks=self._marks.between(view.start, view.end))
        return Frame(view, tuple(contents), known)

    def _grown(self, minutes: float, when: float) -> float:
        """Return the window for a lab of this age: it grows in steps, up to what was chosen."""
        age = math.inf if self._began is None else (when - self._began) / 60
        return min([minutes, *(step for step in _GROWING_MINUTES if step >= age)])

    def _ask(self, tile: Tile, promql: str, grid: Window, moment: float) -> Content:
        """Ask one expression, over the window or at its end."""
        if tile.over_time:
            start, end, step = grid.start_ms / 1000, grid.end_ms / 1000, grid.step_ms / 1000
            return _attempt(
                lambda: self._client.query_range(promql, step=step, start=start, end=end)
            )
        sent = expand(
            promql,
            step_ms=grid.step_ms,
            span_ms=grid.span_ms,
            scrape_interval=self._client.scrape_interval,
        )
        return _attempt(lambda: self._client.query(sent, time=moment))

    def _explained(self, tile: Tile, found: Content, grid: Window, moment: float) -> Content:
        """Return what a tile shows, or why that is nothing; a reason is kept for a while."""
        if isinstance(found, Failure) or not _is_empty(found):
            return found
        promql = _queries(tile)[0]
        asked, words = self._reasons.get(promql, (-math.inf, ""))
        if not 0 <= moment - asked < _REASON_SECONDS:
            if tile.over_time:
                words = why_empty_range(
                    self._client, promql, grid.start_ms / 1000, grid.end_ms / 1000
                )
            else:
                words = why_empty(self._client, promql, moment)
            self._reasons[promql] = (moment, words)
        return Missing(_shortened(words))

    def _look(self) -> None:
        """Look whether the faults were changed; an app that does not tell is left alone a while."""
        if self._marks is None or time.monotonic() < self._look_after:
            return
        try:
            self._marks.look()
        except LabError:
            self._look_after = time.monotonic() + _LOOK_AGAIN_SECONDS

    def _note_alerts(self, alerts: Content | None, when: float) -> None:
        """Mark the alerts that have come to fire."""
        if self._marks is None or alerts is None or isinstance(alerts, Failure):
            return
        rows = alerts[alerts["state"] == "firing"]
        self._marks.fire(dict(zip(rows["name"], rows["summary"], strict=True)), when)

    def close(self) -> None:
        """End the threads, after the questions that are under way. Idempotent."""
        self._pool.shutdown(cancel_futures=True)


def content(tile: Tile, answers: Sequence[Content]) -> Content:
    """Make one frame of the answers to a tile's expressions, or say why there is none."""
    for answer in answers:
        if isinstance(answer, Failure):
            return answer
    named: dict[str, Any] = dict(zip(tile.queries, answers, strict=True))
    if tile.kind == "table":
        return _table(named)
    if tile.over_time:
        return _columns(named) if len(named) > 1 else next(iter(named.values()))
    frame = next(iter(named.values()))
    if tile.kind == "gauge" and len(frame) > 1:
        return Failure(
            f"The expression has {len(frame)} series; a gauge shows one: sum(…) or avg(…) them."
        )
    return frame  # type: ignore[no-any-return] # the loop above leaves frames alone


def _queries(tile: Tile) -> Sequence[str]:
    return list(tile.queries.values())


def _attempt(ask: Callable[[], pd.DataFrame]) -> Content:
    """Return the answer, or in words why there is none."""
    try:
        return ask()
    except LabError as error:
        said = [line for line in error.evidence.splitlines() if line.strip()]
        # Prometheus's own last line says what is wrong; the query before it can be long.
        return Failure("\n".join(_shortened(text) for text in [error.message, *said[-1:]]))
    except ValueError as error:  # an expression that makes no sense before it is sent
        return Failure(_shortened(str(error)))


def _shortened(text: str) -> str:
    """Return a text of bounded length, cut between words."""
    return textwrap.shorten(text, _SHORT, placeholder=" …")


def _is_empty(frame: pd.DataFrame) -> bool:
    """Whether there is no series at all; one without numbers waits for traffic."""
    return frame.columns.empty or frame.empty


def _columns(named: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put series side by side, each called by its expression's name, and by its own if several."""
    parts = [
        frame.set_axis([f"{name}{_BETWEEN}{own}" for own in frame], axis=1)
        if len(frame.columns) > 1
        else frame.set_axis([name] * len(frame.columns), axis=1)
        for name, frame in named.items()
    ]
    joined = pd.concat(parts, axis=1)
    joined.attrs = {}  # the columns are their names now
    return joined


def _table(named: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put values side by side, a row for each combination of labels, by its name."""
    columns = {name: _by_labels(frame) for name, frame in named.items()}
    joined = pd.concat(columns, axis=1).sort_index()
    heads = [column.index.name for column in columns.values() if len(column)]
    joined.index.name = heads[0] if heads else None
    return joined


def _by_labels(frame: pd.DataFrame) -> pd.Series[float]:
    """Return the values under their labels, joined to one text."""
    keys = [name for name in frame.columns if name != "value"]
    rows = frame[keys].astype(str).agg(_BETWEEN.join, axis=1) if keys else ["all"] * len(frame)
    index = pd.Index(rows, name=_BETWEEN.join(keys))
    return pd.Series(frame["value"].to_numpy("float64"), index=index)
