"""What commands print: tables, sparklines, JSON."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from labkit.cli.output import emit_json, table
from labkit.cli.sparkline import sparkline


def drawn(*arguments, **settings) -> str:
    console = Console(file=io.StringIO(), width=100, markup=False)
    console.print(table(*arguments, **settings))
    return console.file.getvalue()


def test_labels_that_look_like_markup_are_shown_as_they_are():
    text = drawn(["label"], [["[red]x[/red]"], ["[/]"]], title="[bold]")
    for words in ("[red]x[/red]", "[/]", "[bold]"):
        assert words in text


def test_numbers_are_flush_right_and_missing_ones_are_told_from_nothing():
    lines = drawn(["n", "f"], [[1234, 0.5], [5, math.nan], [None, None]]).splitlines()
    assert [line.split() for line in lines[3:6]] == [["1,234", "0.5"], ["5", "–"], []]
    assert lines[4].index("5") == lines[3].index("4")


def test_json_has_null_where_there_is_no_number(capsys):
    emit_json({"a": math.nan, 2: [math.inf, 1.5, True, None, {"b": "é"}]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "2": [None, 1.5, True, None, {"b": "é"}]}
    assert "é" in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([5, 5, 5], "▁▁▁"),
        ([0, math.nan, 7], "▁ █"),
        ([math.nan], " "),
        ([], ""),
        ([math.inf, 0, 1], " ▁█"),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values, expected):
    assert sparkline(values) == expected


def test_a_long_sparkline_is_averaged_and_keeps_its_gaps():
    rising = sparkline([float(n) for n in range(100)] + [math.nan] * 100, width=20)
    assert len(rising) == 20
    assert rising[:10] == "".join(sorted(rising[:10]))
    assert rising[10:] == " " * 10
