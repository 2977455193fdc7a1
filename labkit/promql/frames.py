"""Prometheus's answers as plain DataFrames, built with numpy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from labkit.promql.connection import Answer
    from labkit.promql.steps import Window

_NAME = "__name__"
_PLAIN_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def instant_frame(answer: Answer) -> pd.DataFrame:
    """Return the answer to an instant query as a table.

    Instant vector: one row a series in the server's order; columns are the labels (``__name__``
    first, then sorted; a label that a series lacks is an empty string, which is the same to
    Prometheus), then ``value`` (float64). Range vector: the same with a row for every sample and
    ``time`` (UTC) before ``value``. Scalar and string: one row, one column ``value``. No series:
    no rows, one column ``value``. A label of the name ``value`` or ``time`` becomes
    ``exported_value`` or ``exported_time``. A native histogram has the value NaN, and
    ``attrs["warnings"]`` says so.
    """
    kind, result = answer.data["resultType"], answer.data["result"]
    if kind == "matrix":
        frame = _samples(result)
    elif kind == "vector":
        frame = _with_labels([s["metric"] for s in result], value=_last_values(result))
    else:
        value = float(result[1]) if kind == "scalar" else result[1]
        frame = pd.DataFrame({"value": [value]})
    frame.attrs.update(_notes(answer, result))
    return frame


def range_frame(answer: Answer, grid: Window) -> pd.DataFrame:
    """Return the answer to a range query: one column a series, one row a step.

    The index ``time`` is regular and in UTC; points that a series lacks are NaN. Where every
    series carries the same single label, a column is called by its value and the columns' name is
    the label's (``sum by (endpoint)``); a lone series without labels is ``value``; other columns
    are called as PromQL writes a series. ``attrs["labels"]`` maps each column to its labels.
    No series: all the rows, no column. Native histograms are NaN, and ``attrs["warnings"]``
    says so.
    """
    result = answer.data["result"]
    labels = [series["metric"] for series in result]
    names, common = _column_names(labels)
    values = np.full((grid.points, len(result)), np.nan, order="F")
    for column, series in zip(values.T, result, strict=True):
        _fill(column, series.get("values", ()), grid)
    frame = pd.DataFrame(
        values, index=_index(grid), columns=pd.Index(names, dtype="str", name=common), copy=False
    )
    frame.attrs["labels"] = dict(zip(names, labels, strict=True))
    frame.attrs.update(_notes(answer, result))
    return frame


def series_text(labels: Mapping[str, str]) -> str:
    """Write a series as PromQL does: ``up{instance="app-1", job="flask"}``."""
    name = labels.get(_NAME, "")
    plain = not name or _PLAIN_METRIC.fullmatch(name)
    inside = [] if plain else [_quote(name)]
    inside += [
        f"{key if _PLAIN_LABEL.fullmatch(key) else _quote(key)}={_quote(value)}"
        for key, value in sorted(labels.items())
        if key != _NAME
    ]
    if plain and name and not inside:
        return name
    return f"{name if plain else ''}{{{', '.join(inside)}}}"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _index(grid: Window) -> pd.DatetimeIndex:
    times = grid.start_ms + grid.step_ms * np.arange(grid.points, dtype=np.int64)
    return pd.DatetimeIndex(times.view("datetime64[ms]"), tz="UTC", name="time")


def _fill(column: np.ndarray[Any, Any], pairs: Sequence[Any], grid: Window) -> None:
    """Put a series' values where their times belong."""
    numbers = np.fromiter((float(text) for _, text in pairs), np.float64, len(pairs))
    if len(pairs) == len(column):  # nothing is missing, so the places need no working out
        column[:] = numbers
        return
    times = np.fromiter((time for time, _ in pairs), np.float64, len(pairs))
    column[np.rint((times * 1000 - grid.start_ms) / grid.step_ms).astype(np.intp)] = numbers


def _column_names(labels: Sequence[Mapping[str, str]]) -> tuple[list[str], str | None]:
    if len(labels) == 1 and not labels[0]:
        return ["value"], None
    keys = {frozenset(each) for each in labels}
    if len(keys) == 1 and len(only := next(iter(keys))) == 1 and _NAME not in only:
        label = next(iter(only))
        return [each[label] for each in labels], label
    return [series_text(each) for each in labels], None


def _last_values(result: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
    return np.array([float(s["value"][1]) if "value" in s else np.nan for s in result], np.float64)


def _samples(result: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for every sample of a range vector."""
    pairs = [pair for series in result for pair in series.get("values", ())]
    labels = [series["metric"] for series in result for _ in series.get("values", ())]
    times = np.rint(np.array([time for time, _ in pairs], np.float64) * 1000).astype(np.int64)
    return _with_labels(
        labels,
        time=pd.DatetimeIndex(times.view("datetime64[ms]"), tz="UTC"),
        value=np.array([float(text) for _, text in pairs], np.float64),
    )


def _with_labels(labels: Sequence[Mapping[str, str]], **own: Any) -> pd.DataFrame:
    """Return a table of labels, then the columns given; a label steps aside for a column's name."""
    keys: set[str] = set().union(*labels)
    columns: dict[str, Any] = {}
    for key in keys:
        name = key
        while name in own or (name != key and name in keys):
            name = f"exported_{name}"
        columns[name] = pd.array([each.get(key, "") for each in labels], dtype="str")
    order = sorted(columns, key=lambda name: (name != _NAME, name))
    return pd.DataFrame({**{name: columns[name] for name in order}, **own})


def _notes(answer: Answer, result: Any) -> dict[str, list[str]]:
    notes = list(answer.warnings)
    kind = answer.data["resultType"]
    if kind in {"vector", "matrix"}:
        native = sum("histogram" in s or "histograms" in s for s in result)
        if native:
            notes.append(
                f"{native} native histogram{'s have' if native > 1 else ' has'} no single value: "
                "ask with histogram_count(), histogram_sum() or histogram_quantile()."
            )
    return {"warnings": notes} if notes else {}
