"""What commands print: tables, sparklines, JSON."""

from __future__ import annotations

import io
import json
import math

import pandas as pd
import pytest
from rich.console import Console

from labkit.cli import output
from labkit.cli.output import emit_json, table
from labkit.cli.query import _show_range
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


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_json_says_the_same_in_every_encoding_of_the_output(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    monkeypatch.setattr("sys.stdout", stream)
    emit_json({"label": "größer → 5 s"})
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)
    assert json.loads(written) == {"label": "größer → 5 s"}
    assert ("→" in written) == (encoding == "utf-8")


@pytest.fixture
def screen(request, monkeypatch) -> Console:
    """A console of so many columns."""
    console = Console(file=io.StringIO(), width=request.param, markup=False)
    monkeypatch.setitem(vars(output), "console", console)
    return console


COLUMNS = ["endpoint", "status", "requests", "share", "p50 ms", "p95 ms", "p99 ms"]
ROWS = [
    ("/", "200", 18, "60.0 %", 2, 3, 4),
    ("/health", "503", 6, "20.0 %", 2, 3, 1005),
    ("/slow", "timed out", 1006, "20.0 %", 1500, 1900, 10_000),
]


@pytest.mark.parametrize(
    ("screen", "kept"), [(40, 4), (53, 5), (62, 6), (80, 7)], indirect=["screen"]
)
def test_on_a_narrow_screen_percentiles_make_room_for_what_they_are_of(screen, kept):
    screen.print(table(COLUMNS, ROWS, spare=["p99 ms", "p95 ms", "p50 ms"]))
    lines = screen.file.getvalue().splitlines()
    assert lines[1].split() == " ".join(COLUMNS[:kept]).split()
    assert lines[3].split()[:3] == ["/", "200", "18"]
    assert lines[5].split()[:4] == ["/slow", "timed", "out", "1,006"]


@pytest.mark.parametrize("screen", [30, 40, 60, 80, 120], indirect=True)
def test_a_sparkline_stays_on_one_line_however_narrow_the_screen(screen):
    points = {"sum(rate(flask_requests_total[1m]))": [float(n) for n in range(60)]}
    frame = pd.DataFrame(points)
    frame.attrs = {"start": 1e9, "end": 1e9 + 59, "step": 1.0}
    _show_range(frame)
    lines = screen.file.getvalue().splitlines()
    drawn_on = [line for line in lines if set(line) & set("▁▂▃▄▅▆▇█")]
    assert len(drawn_on) == 1
    assert "█" in drawn_on[0]
    assert all(len(line) <= screen.width for line in lines)
