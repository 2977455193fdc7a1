"""The dashboard's tiles as data: the widget, the notebooks and the Grafana export read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from labkit.promql.catalog import (
    ERROR_RATIO_THRESHOLD_PERCENT,
    LATENCY_OBJECTIVE_SECONDS,
    QUERIES,
    live,
    live_seconds,
)

TileKind: TypeAlias = Literal["line", "quantiles", "bars", "gauge", "table"]
Thresholds: TypeAlias = "float | Sequence[float]"

KINDS: tuple[str, ...] = get_args(TileKind)
OVER_TIME = frozenset({"line", "quantiles"})  # the others show one moment
_SEVERAL = frozenset({"line", "quantiles", "table"})  # kinds that take more than one expression
_MOST_TILES = 12
_PERCENT = 100.0


@dataclass(frozen=True)
class Tile:
    """One tile of a dashboard: what it asks, how it is drawn, and where too much begins.

    Example:
        >>> Tile("Requests", "sum(rate(flask_requests_total[30s]))", "line", "requests/s")
        >>> Tile("CPU", "rate(process_cpu_seconds_total[30s])", "line", "cores", thresholds=0.8)

    Args:
        title: what question it answers.
        query: a PromQL expression; for a line, quantiles and a table also several by name: the
            names of the series, or of the table's columns. ``$__range`` is the window.
        kind: ``line`` and ``quantiles`` go over time; ``bars`` (a bar a series), ``gauge`` (one
            number) and ``table`` (a row for each value of a label) show the end of the window.
        unit: what is measured, for example ``requests/s``; a table takes one for each column.
        thresholds: where too much begins, in the unit; with two, the first only warns. A table
            takes some for each column.
        maximum: where a gauge's scale ends; 100 for ``%``.

    Raises:
        ValueError: something in it makes no sense; the message says what would.
    """

    title: str
    query: str | Mapping[str, str]
    kind: TileKind
    unit: str | Mapping[str, str] = ""
    thresholds: Thresholds | Mapping[str, Thresholds] = ()
    maximum: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.title, str) or not self.title.strip():
            raise ValueError(f"a tile needs a title, a text that is not empty, not {self.title!r}")
        if self.kind not in KINDS:
            raise self._wrong(f"there is no kind {self.kind!r}; there are {', '.join(KINDS)}")
        self._check_queries()
        for name in self.queries:
            self._check_unit(name)
            self._check_thresholds(name)
        if self.kind == "gauge":
            self._check_scale()

    @property
    def queries(self) -> Mapping[str, str]:
        """The expressions by name; a lone one without a name has the empty name."""
        return {"": self.query} if isinstance(self.query, str) else self.query

    @property
    def over_time(self) -> bool:
        """Whether it is drawn over the whole window."""
        return self.kind in OVER_TIME

    def unit_of(self, name: str = "") -> str:
        """Return the unit of the expression with that name."""
        return self.unit if isinstance(self.unit, str) else self.unit.get(name, "")

    def thresholds_of(self, name: str = "") -> tuple[float, ...]:
        """Return the thresholds of the expression with that name, lowest first."""
        found = self.thresholds
        if isinstance(found, Mapping):
            found = found.get(name, ())
        return tuple(found) if isinstance(found, Sequence) else (found,)

    @property
    def scale_end(self) -> float:
        """Where a gauge's scale ends, in the unit."""
        return _PERCENT if self.maximum is None else self.maximum

    def _check_queries(self) -> None:
        if not isinstance(self.query, str | Mapping) or not self.queries:
            raise self._wrong("query must be an expression, or some as {name: expression}")
        if len(self.queries) > 1 and self.kind not in _SEVERAL:
            raise self._wrong(f"{self.kind} shows one expression, not {len(self.queries)}")
        for name, promql in self.queries.items():
            if not isinstance(name, str) or not isinstance(promql, str) or not promql.strip():
                where = f" of {name!r}" if name else ""
                raise self._wrong(f"the expression{where} must be PromQL text, not {promql!r}")

    def _check_unit(self, name: str) -> None:
        if not isinstance(self.unit, str | Mapping) or not isinstance(self.unit_of(name), str):
            raise self._wrong(f"unit must be a text such as 'requests/s', not {self.unit!r}")

    def _check_thresholds(self, name: str) -> None:
        try:
            numbers = [_finite(value) for value in self.thresholds_of(name)]
        except (TypeError, ValueError):
            numbers = [math.inf, 0.0]  # refused below, in the same words
        if numbers != sorted(numbers):
            raise self._wrong(
                f"thresholds must be a number or some in rising order, not {self.thresholds!r}"
            )

    def _check_scale(self) -> None:
        if self.maximum is None and self.unit != "%":
            raise self._wrong("a gauge needs maximum=…, where its scale ends, unless its unit is %")
        try:
            end = _finite(self.scale_end)
        except (TypeError, ValueError):
            end = 0.0
        if end <= max((0.0, *self.thresholds_of())):
            raise self._wrong(
                f"maximum must be a number above 0 and the thresholds, not {self.maximum!r}"
            )

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"the tile {self.title!r}: {what}")


def checked(tiles: Sequence[Tile] | None) -> tuple[Tile, ...]:
    """Return the tiles of a dashboard; the default ones for None.

    Raises:
        ValueError: there are none or too many, or something else is among them.
    """
    if tiles is None:
        return TILES
    if isinstance(tiles, Tile) or not isinstance(tiles, Sequence):
        raise ValueError(f"tiles must be a list of Tile, not {type(tiles).__name__}")  # noqa: TRY004 - one kind of error for every bad declaration
    for number, tile in enumerate(tiles, 1):
        if not isinstance(tile, Tile):
            raise ValueError(  # noqa: TRY004 - as above
                f"tile {number} is a {type(tile).__name__}; make it with "
                "labkit.promql.tiles.Tile(title, query, kind, unit)"
            )
    if not 1 <= len(tiles) <= _MOST_TILES:
        raise ValueError(f"a dashboard has 1 to {_MOST_TILES} tiles, not {len(tiles)}")
    return tuple(tiles)


def _finite(value: Any) -> float:
    number = float(value)
    if isinstance(value, str | bool) or not math.isfinite(number):
        raise ValueError(value)
    return number


def standard(scrape_interval: float = 1.0) -> tuple[Tile, ...]:
    """Return the lab's own tiles, with windows of at least four scrapes.

    Args:
        scrape_interval: seconds between two scrapes.
    """
    short = live_seconds(scrape_interval)
    # Two minutes, as the alert HighErrorRate has it: the gauge is red when the alert's condition
    # holds. Over less, the calm mix would cross the threshold by chance.
    long = max(short, 120)

    rate, latency = QUERIES["live_request_rate"].promql, QUERIES["live_latency"].promql
    share = QUERIES["live_error_ratio"].promql
    return (
        Tile("Requests per second, by endpoint", live(rate, short), "line", "requests/s"),
        Tile("Latency", live(latency, short), "quantiles", "s", LATENCY_OBJECTIVE_SECONDS),
        Tile(
            f"5xx answers, over {_spelt(long)}",
            live(share, long),
            "gauge",
            "%",
            ERROR_RATIO_THRESHOLD_PERCENT,
        ),
        Tile(
            "Errors by type, in the window",
            "round(sum by (error_type) (increase(flask_errors_total[$__range])))",
            "bars",
            "errors",
        ),
        Tile(
            "Saturation: requests in progress",
            "sum(flask_requests_in_progress)",
            "line",
            "requests",
        ),
        Tile(
            f"Endpoints, over {_spelt(short)}",
            MappingProxyType({name: live(promql, short) for name, promql in _BY_ENDPOINT.items()}),
            "table",
            MappingProxyType({"rate": "requests/s", "5xx": "%", "p95": "s"}),
            MappingProxyType(
                {"5xx": ERROR_RATIO_THRESHOLD_PERCENT, "p95": LATENCY_OBJECTIVE_SECONDS}
            ),
        ),
    )


def _spelt(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 60 else f"{seconds // 60} minutes"  # noqa: PLR2004 - of a minute


_BY_ENDPOINT = {
    "rate": QUERIES["live_request_rate"].promql,
    # An endpoint without a 5xx has no such series: its share is 0, not unknown.
    "5xx": "100 * ("
    'sum by (endpoint) (rate(flask_requests_total{status=~"5.."}[30s])) or '
    "0 * sum by (endpoint) (rate(flask_requests_total[30s]))"
    ") / sum by (endpoint) (rate(flask_requests_total[30s]))",
    "p95": "histogram_quantile(0.95, sum by (endpoint, le) "
    "(rate(flask_request_duration_seconds_bucket[30s])))",
}
TILES: tuple[Tile, ...] = standard()
