"""The tiles of the lab's dashboard as a dashboard of Grafana's, built with its own SDK."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    dashboard,
    gauge,
    prometheus,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as settings
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from labkit.grafana import DASHBOARD_UID, DATASOURCE_UID
from labkit.promql.tiles import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grafana_foundation_sdk.cog.builder import Builder

    from labkit.promql.tiles import Tile

_Panel = TypeVar("_Panel", barchart.Panel, gauge.Panel, table.Panel, timeseries.Panel)

TITLE = "Observability lab"
REFRESH = "5s"
ALERTS = 'ALERTS{alertstate="firing"}'

_COLUMNS, _GRID, _HEIGHT = 3, 24, 9  # Grafana's grid has 24 columns; a row is 30 pixels high
_UNITS = {"requests/s": "reqps", "%": "percent", "s": "s", "requests": "short", "errors": "short"}
_BASE, _WARNS, _TOO_MUCH = "green", "orange", "red"
_BY = re.compile(r"\bby\s*\(\s*(\w+)\s*\)")
_ONE_SERIES = re.compile(r"\s*(sum|avg|max|min|count)\s*\(")
_SOURCE = models.DataSourceRef(type_val="prometheus", uid=DATASOURCE_UID)


def dashboard_json(tiles: Sequence[Tile] | None = None, *, minutes: int = 5) -> str:
    """Return the dashboard as the JSON that Grafana reads.

    Args:
        tiles: what it shows; those of the lab's own dashboard by default.
        minutes: how far back it looks when it is opened.

    Raises:
        ValueError: the tiles make no sense.
    """
    board = (
        dashboard.Dashboard(TITLE)
        .uid(DASHBOARD_UID)
        .tags(["labkit"])
        .timezone("browser")
        .refresh(REFRESH)
        .timepicker(dashboard.TimePicker().refresh_intervals(["1s", "2s", "5s", "10s", "1m"]))
        .time(f"now-{minutes}m", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .annotation(_alerts())
    )
    for tile in checked(tiles):
        board.with_panel(_DRAWN[tile.kind](tile))
    made = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    for number, panel in enumerate(made["panels"], 1):
        panel["id"] = number
    for annotation in made["annotations"]["list"]:
        annotation.update(_WORDS_OF_ALERTS)
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def unit(name: str) -> str:
    """Return Grafana's name of a unit; one that it does not know is written behind the value."""
    if not name:
        return "short"
    return _UNITS.get(name, f"suffix: {name}")


def legend(promql: str, name: str = "", *, label: str = "") -> str:
    """Return how to call the series of an expression: by name, or by the label they differ in."""
    if name:
        return name
    found = _BY.search(promql)
    by = label or (found[1] if found else "")
    return f"{{{{{by}}}}}" if by else "__auto"


def _alerts() -> dashboard.AnnotationQuery:
    """Mark the times when an alert fires; Grafana joins the samples of one to a span."""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts that fire")
        .datasource(_SOURCE)
        .enable(True)
        .icon_color(_TOO_MUCH)
        .expr(ALERTS)
    )


# What the Prometheus datasource knows of an annotation and the SDK does not. Without a step it
# would look once a minute, and miss what fires for less.
_WORDS_OF_ALERTS = {
    "step": REFRESH,
    "titleFormat": "{{alertname}}",
    "tagKeys": "severity,instance",
    "useValueForTime": False,
}


def _line(tile: Tile) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .line_width(2)
        .fill_opacity(8)
        .show_points(settings.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .placement(settings.LegendPlacement.BOTTOM)
            .display_mode(settings.LegendDisplayMode.LIST)
        )
        .tooltip(common.VizTooltipOptions().mode(settings.TooltipDisplayMode.MULTI))
        .min(0)
    )
    label = "quantile" if tile.kind == "quantiles" else ""
    for ref, (name, promql) in _numbered(tile):
        words = legend(promql, name or _lone(tile), label=label)
        panel.with_target(_asked(promql, ref).range().legend_format(words))
    if tile.thresholds_of():
        style = settings.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
    return _dressed(panel, tile)


def _lone(tile: Tile) -> str:
    """Return what the only series of a tile is called: Grafana would write its expression."""
    promql = "" if len(tile.queries) > 1 else next(iter(tile.queries.values()))
    return tile.title if _ONE_SERIES.match(promql) and not _BY.search(promql) else ""


def _bars(tile: Tile) -> barchart.Panel:
    panel = barchart.Panel().legend(common.VizLegendOptions().show_legend(False)).min(0)
    panel.show_value(settings.VisibilityMode.ALWAYS)
    return _dressed(_of_one_moment(panel, tile), tile)


def _gauge(tile: Tile) -> gauge.Panel:
    panel = gauge.Panel().min(0).max(tile.scale_end).show_threshold_markers(True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for ref, (_, promql) in _numbered(tile):
        panel.with_target(_asked(promql, ref).instant())
    return _dressed(panel, tile)


def _table(tile: Tile) -> table.Panel:
    panel = _of_one_moment(table.Panel(), tile)
    for name in tile.queries:
        values = [_value("unit", unit(tile.unit_of(name))), _value("decimals", 2)]
        if tile.thresholds_of(name):
            steps = {"mode": "absolute", "steps": [s.to_json() for s in _steps(tile, name)]}
            values += [
                _value("thresholds", steps),
                _value("custom.cellOptions", {"type": "color-text"}),
            ]
        panel.override_by_name(name or "Value", values)
    return _placed(panel, tile)


_DRAWN: Mapping[str, Callable[[Tile], Builder[models.Panel]]] = {
    "line": _line,
    "quantiles": _line,
    "bars": _bars,
    "gauge": _gauge,
    "table": _table,
}


def _numbered(tile: Tile) -> list[tuple[str, tuple[str, str]]]:
    """Return the expressions with the letters that Grafana calls them by."""
    return list(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", tile.queries.items(), strict=False))


def _asked(promql: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(promql).ref_id(ref).datasource(_SOURCE)


def _of_one_moment(panel: _Panel, tile: Tile) -> _Panel:
    """Ask for one moment, as one table: a row a series, without the time, columns by name."""
    numbered = _numbered(tile)
    for ref, (_, promql) in numbered:
        panel.with_target(_asked(promql, ref).instant().format(PromQueryFormat.TABLE))
    names = {f"Value #{ref}": name for ref, (name, _) in numbered if name}
    if len(numbered) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    order = {"excludeByName": {"Time": True}, "renameByName": names}
    return panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=order))


def _dressed(panel: _Panel, tile: Tile) -> _Panel:
    mode = models.ThresholdsMode.ABSOLUTE
    panel.unit(unit(tile.unit_of()))
    panel.thresholds(dashboard.ThresholdsConfig().mode(mode).steps(_steps(tile)))
    return _placed(panel, tile)


def _placed(panel: _Panel, tile: Tile) -> _Panel:
    return panel.title(tile.title).datasource(_SOURCE).span(_GRID // _COLUMNS).height(_HEIGHT)


def _steps(tile: Tile, name: str = "") -> list[models.Threshold]:
    """Return the colours: from the first threshold on too much, or, with more, only a warning."""
    found = tile.thresholds_of(name)
    colours = [_WARNS] * (len(found) - 1) + [_TOO_MUCH]
    steps = [models.Threshold(value, colour) for value, colour in zip(found, colours, strict=False)]
    return [models.Threshold(None, _BASE), *steps]


def _value(name: str, value: object) -> models.DynamicConfigValue:
    return models.DynamicConfigValue(id_val=name, value=value)
