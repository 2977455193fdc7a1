"""Which face shows which kind of tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.plots.tiles.bars import BarsFace
from labkit.plots.tiles.gauge import GaugeFace
from labkit.plots.tiles.over_time import OverTimeFace
from labkit.plots.tiles.table import TableFace

if TYPE_CHECKING:
    from labkit.plots.tiles.face import Declared, Face
    from labkit.plots.tiles.sheet import Sheet

_FACES: dict[str, type[Face]] = {
    "line": OverTimeFace,
    "quantiles": OverTimeFace,
    "bars": BarsFace,
    "gauge": GaugeFace,
    "table": TableFace,
}


def face(sheet: Sheet, tile: Declared) -> Face:
    """Return what draws a tile of its kind on a sheet."""
    return _FACES[tile.kind](sheet, tile)
