"""What happened in the window, on a time axis: bands, lines, and as many words as have room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from labkit.plots.colours import PURPLE, VERMILLION
from labkit.plots.furniture import writing
from labkit.plots.names import clean
from labkit.plots.picture import CSS_PIXELS_PER_INCH
from labkit.plots.tiles.sheet import width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from labkit.plots.tiles.face import Happening, View
    from labkit.plots.tiles.sheet import Sheet

SIGNS = {"run": "▶", "scenario": "▶", "faults": "◆", "app": "■", "alert": "▲", "incident": "✕"}
# Who is named where there is no room for all; a scenario's runs say more than it does.
_RANK = {"alert": 0, "incident": 0, "scenario": 2}
_USUAL_RANK = 1
_POINTS = 7.6
_GAP = 8  # pixels between two
_LANES, _LANE = 2, 13  # rows of words above the axes, and the height of one
_ENDLESS_SECONDS = 1e6  # beyond the right end of every window, for what goes on
_MOST = 16  # marks in a picture, the newest
_LONGEST = 18


class Happenings:
    """The marks on one tile's axes: their lines stay, their words find new room in each frame.

    Args:
        axes: with unix seconds from left to right.
        sheet: the tile it is on.
    """

    def __init__(self, axes: Axes, sheet: Sheet) -> None:
        self._axes = axes
        self._theme = sheet.theme
        self._marks: tuple[Happening, ...] = ()
        self._parts: Sequence[Artist] = ()
        self._words: Sequence[Artist] = ()
        self._across = axes.get_xaxis_transform()
        inches = [(5 + _LANE * lane) / CSS_PIXELS_PER_INCH for lane in range(_LANES)]
        scale = sheet.figure.dpi_scale_trans
        self._lanes = [axes.transAxes + ScaledTranslation(0, up, scale) for up in inches]
        self._pixels = axes.get_position().width * sheet.figure.get_figwidth() * CSS_PIXELS_PER_INCH

    def show(self, view: View) -> list[Artist]:
        """Put the marks of a window on the axes, and return them."""
        marks = tuple(view.marks[-_MOST:])
        if marks != self._marks:
            self._marks = marks
            self._parts = self._replaced(self._parts, [p for m in marks for p in self._drawn(m)])
        self._words = self._replaced(self._words, self._named(marks, view))
        return [*self._parts, *self._words]

    def _replaced(self, old: Sequence[Artist], new: Sequence[Artist]) -> Sequence[Artist]:
        """Take artists off the axes and put others on."""
        for artist in old:
            artist.remove()
        for artist in new:
            self._axes.add_artist(artist)
        return new

    def _drawn(self, mark: Happening) -> list[Artist]:
        """Return the lines where a mark begins and ends, and a run's band between."""
        edges = {mark.time, mark.time if mark.until is None else mark.until}
        parts: list[Artist] = [self._line(edge, mark) for edge in sorted(edges)]
        if mark.kind == "run":
            until = mark.time + _ENDLESS_SECONDS if mark.until is None else mark.until
            parts.append(self._band(mark.time, until))
        return parts

    def _line(self, when: float, mark: Happening) -> Line2D:
        return Line2D(
            [when, when],
            [0.0, 1.0],
            transform=self._across,
            color=self._colour(mark),
            linewidth=1.0,
            linestyle="-" if when == mark.time else ":",
            alpha=0.75,
        )

    def _band(self, start: float, end: float) -> Rectangle:
        return Rectangle(
            (start, 0.0),
            end - start,
            1.0,
            transform=self._across,
            color=self._theme.muted,
            alpha=0.10,
            linewidth=0,
        )

    def _label(self, mark: Happening, lane: int, x: float, words: str) -> Text:
        style = writing(self._colour(mark), _POINTS)
        share = x / self._pixels
        return Text(share, 1.0, words, transform=self._lanes[lane], clip_on=False, **style)

    def _named(self, marks: Sequence[Happening], view: View) -> list[Text]:
        """Name the marks that there is room for: alerts first, then the newest, as the cause."""
        taken: list[tuple[int, float, float]] = []  # lane, left and right end
        made = []
        for mark in sorted(marks, key=_urgency):
            for lane, left, words in self._places(mark, view):
                right = left + width_of(words, _POINTS)
                if all(
                    lane != row or right + _GAP <= begin or left >= end + _GAP
                    for row, begin, end in taken
                ):
                    taken.append((lane, left, right))
                    made.append(self._label(mark, lane, left, words))
                    break
        return made

    def _places(self, mark: Happening, view: View) -> list[tuple[int, float, str]]:
        """Return where a mark's words may stand: lane and pixels from the left, best first."""
        at = max(0.0, (mark.time - view.start) / (view.end - view.start) * self._pixels)
        after, before = _words(mark), _words(mark, sign_last=True)
        wide = width_of(after, _POINTS)
        beside = [(at, after)] if at + wide <= self._pixels else []
        beside += [(at - wide, before)] if at >= wide else []
        return [(lane, left, words) for lane in range(_LANES) for left, words in beside]

    def _colour(self, mark: Happening) -> str:
        if mark.kind == "faults":
            return PURPLE
        return VERMILLION if mark.kind in {"app", "alert"} else self._theme.muted


def _urgency(mark: Happening) -> tuple[int, float]:
    return (_RANK.get(mark.kind, _USUAL_RANK), -mark.time)


def _words(mark: Happening, *, sign_last: bool = False) -> str:
    sign, label = SIGNS.get(mark.kind, "◆"), clean(mark.label, _LONGEST)
    return f"{label} {sign}" if sign_last else f"{sign} {label}"
