"""What every kind of tile has in common: what stands still, what moves, and words instead."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from labkit.plots.colours import GREEN, ORANGE
from labkit.plots.names import clean
from labkit.plots.tiles.sheet import CHARACTER_PIXELS, TITLE_POINTS, Sheet

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import pandas as pd
    from matplotlib.artist import Artist

NOTHING = "Nothing to show yet: traffic makes it move, for example lab.spike()."
_LONGEST_WORDS = 400
_MOST_LINES = 8


class Declared(Protocol):
    """What a tile is told to be; `labkit.promql.tiles.Tile` is one."""

    # Each as in Tile.
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def scale_end(self) -> float: ...  # noqa: D102
    def unit_of(self, name: str = "") -> str: ...  # noqa: D102
    def thresholds_of(self, name: str = "") -> tuple[float, ...]: ...  # noqa: D102


class Happening(Protocol):
    """What is marked on a time axis; `labkit.marks.Mark` is one."""

    # Each as in Mark.
    @property
    def time(self) -> float: ...  # noqa: D102
    @property
    def until(self) -> float | None: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class View:
    """What all tiles of one frame share: the window in unix seconds, and what happened in it."""

    start: float
    end: float
    marks: Sequence[Happening] = ()


@dataclass(frozen=True)
class Failure:
    """Why a tile has nothing to draw, in words."""

    words: str


@dataclass(frozen=True)
class Missing(Failure):
    """Why a query that was answered has no series."""


class Face(ABC):
    """One tile on its sheet, drawn again and again.

    Args:
        sheet: where it is drawn.
        tile: what it shows.

    Attributes:
        moving: what the last frame drew anew; the rest stands still until `show` says otherwise.
    """

    def __init__(self, sheet: Sheet, tile: Declared) -> None:
        self.sheet = sheet
        self.theme = sheet.theme
        self.tile = tile
        self.moving: list[Artist] = []
        self._still: Hashable = None

    def show(self, content: pd.DataFrame | Failure, view: View) -> bool:
        """Draw a frame; return whether something changed that otherwise stands still."""
        words = self._instead(content)
        still = words or self.still(content)
        changed = still != self._still
        if changed:
            self.sheet.clear()
            self.moving = []
            if words:
                self._say_instead(*words)
            else:
                self.build(content)
            self._still = still
        if not words:
            self.move(content, view)
        return changed

    @abstractmethod
    def still(self, frame: Any) -> Hashable:
        """Return all that the parts depend on which stand still."""

    @abstractmethod
    def build(self, frame: Any) -> None:
        """Draw the parts that stand still."""

    @abstractmethod
    def move(self, frame: Any, view: View) -> None:
        """Draw the parts that move."""

    def is_empty(self, frame: pd.DataFrame) -> bool:
        """Whether there is not one number to draw."""
        numbers = frame.get("value", frame)
        return bool(np.isnan(numbers.to_numpy(np.float64)).all())

    def too_much(self, value: float, name: str = "") -> str | None:
        """Return the colour of a value that is beyond a threshold; None where all is well."""
        limits = self.tile.thresholds_of(name)
        beyond = sum(value >= limit for limit in limits)
        if not beyond:
            return None
        return self.theme.threshold if beyond == len(limits) else ORANGE

    def verdict(self, value: float) -> str:
        """Return the colour of a value that is judged by the thresholds, or carries none."""
        if not self.tile.thresholds_of():
            return self.theme.others[0]
        return self.too_much(value) or GREEN

    def _instead(self, content: pd.DataFrame | Failure) -> tuple[str, str, str] | None:
        if isinstance(content, Missing):
            return "No data", content.words, self.theme.ink
        if isinstance(content, Failure):
            return "Query failed", content.words, self.theme.threshold
        if self.is_empty(content):
            return "No data", NOTHING, self.theme.ink
        return None

    def _say_instead(self, title: str, words: str, colour: str) -> None:
        """Write why there is nothing to see, where the data would be."""
        sheet = self.sheet
        sheet.heading(self.tile.title)
        middle, above = sheet.width / 2, sheet.height * 0.62
        sheet.text(middle, above, title, colour, TITLE_POINTS, ha="center", fontweight="bold")
        room = int((sheet.width - 40) / CHARACTER_PIXELS)
        cleaned = [clean(line, _LONGEST_WORDS) for line in words.splitlines()]
        lines = [part for line in cleaned for part in textwrap.wrap(line, room)]
        text = "\n".join(lines[:_MOST_LINES])
        sheet.text(
            middle, above - 12, text, self.theme.muted, ha="center", va="top", linespacing=1.35
        )
