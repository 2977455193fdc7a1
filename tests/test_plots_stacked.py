"""The stacked chart: layers whose heights are the series, and whose edge is their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from labkit.plots import png
from labkit.plots.picture import figure_of
from labkit.plots.stacked import stacked

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def over_time(**series: list[float]) -> pd.DataFrame:
    length = len(next(iter(series.values())))
    index = pd.date_range("2026-11-23T10:00", periods=length, freq="s", tz="UTC")
    frame = pd.DataFrame(series, index=index, dtype="float64")
    frame.columns.name = "status"
    return frame


def edges(axes: Axes) -> list[list[float]]:
    """Return the upper edge of each layer, the lowest first."""
    return [list(map(float, line.get_ydata())) for line in axes.lines]


def legend(axes: Axes) -> list[str]:
    shown = axes.get_legend()
    return [] if shown is None else [text.get_text() for text in shown.get_texts()]


def test_layers_add_up_with_the_largest_at_the_bottom():
    axes = stacked(over_time(a=[1, 2, 1], b=[10, 20, 10]), unit="requests/s")
    assert edges(axes) == [[10, 20, 10], [11, 22, 11]]
    assert legend(axes) == ["b", "a"]
    assert axes.get_ylim()[1] >= 22
    assert axes.get_ylim()[0] == 0
    assert png(figure_of(axes)).startswith(b"\x89PNG")


def test_a_missing_value_adds_nothing_and_a_missing_moment_is_a_gap():
    nan = float("nan")
    axes = stacked(over_time(a=[1, nan, nan], b=[10, 20, nan]))
    assert edges(axes)[1][:2] == [11, 20]
    assert np.isnan(edges(axes)[0][2])
    assert np.isnan(edges(axes)[1][2])


def test_beyond_twelve_series_the_rest_is_one_layer():
    axes = stacked(over_time(**{f"s{i:02}": [float(i + 1)] * 2 for i in range(15)}))
    assert len(edges(axes)) == 13
    assert legend(axes)[-1] == "+3 more"
    assert edges(axes)[-1] == [120, 120]


def test_layers_of_one_colour_differ():
    axes = stacked(over_time(**{"500": [3.0, 3], "503": [2.0, 2], "504": [1.0, 1]}))
    looks = {tuple(np.asarray(shape.get_facecolor())[0]) for shape in axes.collections}
    assert len(looks) == 3


def test_values_below_zero_are_refused_in_words():
    with pytest.raises(ValueError, match="draw them as lines"):
        stacked(over_time(a=[1, -1]))


def test_nothing_is_said_in_words():
    axes = stacked(over_time(a=[1.0])[[]], hint="No such metric.")
    assert [text.get_text() for text in axes.texts] == ["No data", "No such metric."]
