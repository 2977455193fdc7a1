"""Colours that mean the same thing in every chart, and that colour-blind eyes tell apart.

The palette is Okabe and Ito's (https://jfly.uni-koeln.de/color/): bluish green is a success,
orange the client's mistake, vermillion the server's. Blue, purple and the rest carry no verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLUE, SKY, PURPLE = "#0072B2", "#56B4E9", "#CC79A7"
GREEN, ORANGE, VERMILLION, YELLOW = "#009E73", "#E69F00", "#D55E00", "#F0E442"

STATUS_CLASSES: Mapping[str, str] = MappingProxyType(
    {"1xx": PURPLE, "2xx": GREEN, "3xx": SKY, "4xx": ORANGE, "5xx": VERMILLION}
)
# The class of the status that goes with each kind of error.
ERROR_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "health_check_failed": "5xx",
        "timeout": "5xx",
        "database_error": "5xx",
        "timeout_error": "5xx",
        "validation_error": "4xx",
        "permission_error": "4xx",
    }
)
# Which label decides on the colour, where several differ between the series.
DECIDING = ("status", "code", "class", "error_type", "quantile", "endpoint")
DASHES: Sequence[tuple[float, ...]] = ((), (4, 1.5), (1.2, 1.3), (5, 1.4, 1.2, 1.4))
_SHADES = (("#000000", 0.0), ("#000000", 0.35), ("#FFFFFF", 0.45))

_STATUS = re.compile(r"([1-5])(?:\d\d|xx)")
_QUANTILE = re.compile(r"p(\d\d(?:\.?\d+)?)|0?\.(\d+)")


@dataclass(frozen=True)
class Theme:
    """The colours of a picture: its ground, its writing, and what has no meaning of its own."""

    paper: str
    ink: str
    muted: str
    grid: str
    quantiles: Mapping[str, str]
    others: Sequence[str]
    threshold: str = VERMILLION
    endpoints: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        routes = {"/": BLUE, "/health": SKY, "/slow": PURPLE, "/error": self.ink}
        object.__setattr__(self, "endpoints", {**routes, "<unmatched>": self.muted})

    def colour(self, label: str, value: str) -> str | None:
        """Return the fixed colour of a label's value, or None where it has none.

        Args:
            label: the label's name; an empty name tries every meaning.
            value: its value, for example ``503`` or ``/health``.
        """
        found = None
        if label in {"status", "code", "class", ""} and (status := _STATUS.fullmatch(value)):
            found = STATUS_CLASSES[f"{status[1]}xx"]
        if found is None and label in {"error_type", ""} and value in ERROR_TYPES:
            found = STATUS_CLASSES[ERROR_TYPES[value]]
        if found is None and label in {"quantile", ""} and (quantile := _QUANTILE.fullmatch(value)):
            digits = (quantile[1] or quantile[2]).replace(".", "")
            found = self.quantiles.get(f"p{digits.ljust(2, '0')}")
        if found is None and label in {"endpoint", ""}:
            found = self.endpoints.get(value)
        return found


@dataclass(frozen=True)
class Stroke:
    """How one series is drawn: its colour, and its dashes in line widths (none: solid)."""

    colour: str
    dashes: tuple[float, ...] = ()


LIGHT = Theme(
    paper="#FFFFFF",
    ink="#1B1F24",
    muted="#5B636D",
    grid="#E4E7EB",
    quantiles=MappingProxyType(
        {"p50": "#B59BD6", "p90": "#9470C4", "p95": "#7443AE", "p99": "#3A1569"}
    ),
    others=(BLUE, PURPLE, SKY, "#999933", "#882255", "#1B1F24"),
)
DARK = Theme(
    paper="#111111",
    ink="#E8EAED",
    muted="#A3AAB3",
    grid="#31353A",
    quantiles=MappingProxyType(
        {"p50": "#6B4E9B", "p90": "#8E6CC6", "p95": "#AF90E0", "p99": "#E3D5FA"}
    ),
    others=(BLUE, PURPLE, SKY, "#B8B84D", YELLOW, "#E8EAED"),
)
THEMES: Mapping[str, Theme] = MappingProxyType({"light": LIGHT, "dark": DARK})


def theme_named(name: str) -> Theme:
    """Return a theme.

    Raises:
        ValueError: for a name other than ``light`` and ``dark``.
    """
    if name not in THEMES:
        raise ValueError(f"there is no theme {name!r}: it is one of {', '.join(THEMES)}")
    return THEMES[name]


def strokes(series: Sequence[Mapping[str, str]], theme: Theme) -> list[Stroke]:
    """Return how to draw each series, told by its labels.

    Series of one colour (three kinds of 5xx, say) differ in their dashes, then in their shade.
    """
    key = _deciding(series)
    fixed = [theme.colour(key, each[key]) if key in each else None for each in series]
    free = [colour for colour in theme.others if colour not in fixed] or list(theme.others)
    used: dict[str, int] = {}
    result = []
    strangers = 0
    for known in fixed:
        colour = known if known is not None else free[strangers % len(free)]
        strangers += known is None
        used[colour] = used.get(colour, -1) + 1
        shade = _SHADES[used[colour] // len(DASHES) % len(_SHADES)]
        result.append(Stroke(_mixed(colour, *shade), DASHES[used[colour] % len(DASHES)]))
    return result


def _mixed(colour: str, other: str, share: float) -> str:
    """Mix a share of another colour into a colour, both as ``#RRGGBB``."""
    pairs = ((int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def _deciding(series: Sequence[Mapping[str, str]]) -> str:
    """Return the label that colours go by: one with a meaning that differs, else one there is."""
    present = [key for key in (*DECIDING, "") if any(key in each for each in series)]
    differing = [key for key in present if len({each.get(key) for each in series}) > 1]
    return next(iter(differing or present), "")
