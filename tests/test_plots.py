"""Pictures: what they show, what they survive, and that nothing grows when they are drawn again."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from PIL import Image

from labkit import plots
from labkit.plots.colours import DARK, ERROR_TYPES, LIGHT, STATUS_CLASSES, strokes
from labkit.plots.furniture import number
from labkit.plots.names import clean, names
from labkit.plots.picture import size

POINTS = 120
TIMES = pd.date_range("2026-03-01T12:00:00Z", periods=POINTS, freq="1s", name="time")
HOSTILE = ["_hidden", "$\\frac{1}{$", "$x^2$", "<b>\n\t\x00", "日本語", "", "a" * 300]


def over_time(columns: dict[str, Any], label: str | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(columns, index=TIMES, dtype="float64")
    frame.columns.name = label
    return frame


def many(count: int) -> pd.DataFrame:
    return over_time({f"/route-{i:02}": float(i) for i in range(count)}, "endpoint")


def legend(ax: Axes) -> list[str]:
    shown = ax.get_legend()
    return [] if shown is None else [text.get_text() for text in shown.get_texts()]


def lines(ax: Axes) -> dict[str, Any]:
    shown = ax.get_legend()
    assert shown is not None
    return dict(zip(legend(ax), shown.get_lines(), strict=True))


def words(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts)


def drawn(ax: Axes) -> Image.Image:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return Image.open(io.BytesIO(plots.png(figure)))


# What a chart shows


def test_a_line_chart_has_a_title_units_and_local_time():
    ax = plots.line(over_time({"/": 1.0}, "endpoint"), title="How many?", unit="requests/s")
    assert ax.get_title(loc="left") == "How many?"
    assert ax.get_ylabel() == "requests/s"
    local = TIMES[0].to_pydatetime().astimezone()
    assert ax.get_xlabel() == f"local time ({local.tzname()})"
    drawn(ax)
    first = ax.get_xticklabels()[0]
    shown = num2date(first.get_position()[0], tz=local.tzinfo)
    assert first.get_text() == shown.strftime("%H:%M:%S")  # two minutes: ticks every 15 s
    ends = [num2date(x) for x in ax.get_xlim()]
    assert ends == [TIMES[0].to_pydatetime(), TIMES[-1].to_pydatetime()]


@pytest.mark.skipif(sys.platform == "win32", reason="TZ is not read there")
def test_times_are_those_of_the_reader_s_zone():
    code = (
        "import pandas as pd; from labkit import plots\n"
        "times = pd.date_range('2026-07-01T12:00:00Z', periods=5, freq='1min')\n"
        "ax = plots.line(pd.DataFrame({'value': 1.0}, index=times)); plots.png(ax.figure)\n"
        "print(ax.get_xlabel(), [t.get_text() for t in ax.get_xticklabels()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TZ": "Asia/Kolkata"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "local time (IST)" in done.stdout, done.stderr
    assert "17:30" in done.stdout


def test_missing_points_are_gaps_and_lonely_points_are_dots():
    values = np.full(POINTS, np.nan)
    values[10:20], values[50], values[60:62] = 1.0, 2.0, np.inf
    ax = plots.line(over_time({"value": values}))
    (line,) = ax.lines
    np.testing.assert_array_equal(np.isnan(line.get_ydata()), ~np.isfinite(values))
    assert line.get_markevery() == [50]
    assert ax.get_ylim()[1] < 10


def test_an_unnamed_series_needs_no_legend_and_rates_start_at_zero():
    ax = plots.line(over_time({"value": np.linspace(90, 100, POINTS)}))
    assert ax.get_legend() is None
    assert ax.get_ylim()[0] == 0


def test_the_legend_says_in_what_the_series_differ():
    frame = over_time({"one": 1.0, "two": 2.0})
    common = {"__name__": "flask_requests_total", "instance": "app-1"}
    frame.attrs["labels"] = {
        "one": {**common, "endpoint": "/", "status": "200"},
        "two": {**common, "endpoint": "/health", "status": "503"},
    }
    ax = plots.line(frame)
    assert legend(ax) == ["/ · 200", "/health · 503"]
    assert ax.get_legend().get_title().get_text() == "endpoint · status"


def test_a_legend_of_twenty_names_twelve_and_counts_the_rest():
    ax = plots.line(many(20), title="Twenty")
    shown = legend(ax)
    assert shown == [f"/route-{i:02}" for i in range(8, 20)] + ["+8 more"]
    assert len(ax.lines) == 20
    pictures = drawn(ax)
    box = ax.get_legend().get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= pictures.width
    assert box.y1 < ax.get_window_extent().y0  # it hides no data
    assert ax.get_window_extent().height > 0.5 * pictures.height
    pairs = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in lines(ax).values()}
    assert len(pairs) == len(shown)


def test_a_legend_in_a_tile_takes_three_rows():
    figure = plots.figure(2, 2)
    ax = plots.line(many(20), ax=figure.axes[3])
    columns = ax.get_legend()._ncols
    assert -(-len(legend(ax)) // columns) <= 4
    assert legend(ax)[-1].endswith("more")


def test_bars_are_sorted_and_say_their_values():
    frame = pd.DataFrame({"error_type": ["timeout", "database_error"], "value": [3.0, 41.5]})
    ax = plots.bars(frame, title="Errors", unit="errors")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["database_error", "timeout"]
    assert [bar.get_width() for bar in ax.patches] == [41.5, 3.0]
    assert words(ax) == "41.5 3"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("errors", "error_type")
    assert ax.yaxis_inverted()


def test_bars_take_the_last_values_of_a_range_and_count_what_is_too_much():
    frame = many(20)
    frame.iloc[-1, 19] = np.nan
    ax = plots.bars(frame)
    assert len(ax.patches) == 15
    assert ax.patches[0].get_width() == 19
    assert "+5 more" in words(ax)
    odd = pd.DataFrame({"is": ["a", "b", "c"], "value": [np.nan, np.inf, -2.0]})
    assert words(plots.bars(odd)).split() == ["+Inf", "-2", "NaN"]


def test_a_ratio_fills_what_is_above_its_threshold():
    spike = np.r_[np.full(60, 5.0), np.full(60, 60.0)]
    ax = plots.ratio(over_time({"/health": spike, "/slow": 10.0}, "endpoint"))
    (area,) = ax.collections
    corners = np.concatenate([path.vertices for path in area.get_paths()])
    assert corners[:, 1].min() >= 20
    assert corners[:, 1].max() == 60
    assert "threshold 20 %" in words(ax)
    assert ax.get_ylabel() == "ratio (%)"
    assert ax.get_ylim()[1] > 60
    calm = plots.ratio(over_time({"value": 0.5}))
    assert calm.get_ylim()[1] > 20  # the threshold is in sight even on a good day


def test_quantiles_show_the_objective():
    frame = over_time({"p50": 0.02, "p95": 0.25, "p99": 0.29}, "quantile")
    ax = plots.quantiles(frame)
    assert "objective 0.3 s" in words(ax)
    assert ax.get_ylabel() == "latency (s)"
    assert [line.get_color() for line in lines(ax).values()] == [
        LIGHT.quantiles[q] for q in ("p50", "p95", "p99")
    ]
    assert "objective" not in words(plots.quantiles(frame, threshold=None))


@pytest.mark.parametrize("draw", [plots.line, plots.ratio, plots.quantiles])
def test_nothing_to_draw_is_said_and_why(draw: Any):
    ax = draw(pd.DataFrame(index=TIMES), title="Rate", unit="requests/s")
    assert "No data" in words(ax)
    assert "traffic" in words(ax)
    drawn(ax)
    nan = draw(over_time({"/": np.nan}, "endpoint"))
    assert "NaN" in words(nan)
    hinted = draw(pd.DataFrame(index=TIMES[:0]), hint="The target is down: $connection$ refused")
    assert "$connection$ refused" in words(hinted).replace("\n", " ")
    drawn(hinted)


def test_no_bars_is_said_too():
    ax = plots.bars(pd.DataFrame({"value": np.empty(0)}), unit="errors")
    assert "No data" in words(ax)
    drawn(ax)


def test_a_single_point_in_time_can_be_drawn():
    ax = plots.line(over_time({"value": 3.0}).iloc[:1])
    assert ax.lines[0].get_markevery() == [0]
    drawn(ax)


def test_frames_without_times_are_refused_in_words():
    with pytest.raises(ValueError, match=r"query_range\(\)"):
        plots.line(pd.DataFrame({"value": [1.0]}))
    naive = over_time({"value": 1.0}).tz_localize(None)
    with pytest.raises(ValueError, match="time zone"):
        plots.ratio(naive)
    with pytest.raises(ValueError, match="'value'"):
        plots.bars(pd.DataFrame({"count": [1.0]}))
    with pytest.raises(ValueError, match="light, dark"):
        plots.line(over_time({"value": 1.0}), theme="solarized")


# Labels of any kind


def test_hostile_labels_are_drawn_as_they_are():
    frame = over_time(dict.fromkeys(HOSTILE, 1.0), "endpoint")
    ax = plots.line(frame, title="$\\nope{$ ^_ <i>", unit="$\\nope{$/s")
    assert ax.get_title(loc="left") == "$\\nope{$ ^_ <i>"
    shown = legend(ax)
    assert shown[:4] == ["_hidden", "$\\frac{1}{$", "$x^2$", "<b>\\n\\t\\x00"]
    assert shown[4] == "\\u65e5\\u672c\\u8a9e"
    assert len(shown[6]) == 40
    drawn(ax)  # a "$" taken for mathematics, or a missing glyph, would be an error or a warning
    bars = pd.DataFrame({"text": HOSTILE, "value": np.arange(float(len(HOSTILE)))})
    drawn(plots.bars(bars, title="$\\frac{$", unit="$\\frac{$"))


def test_names_are_short_and_lose_neither_end():
    assert clean("/api/" + "x" * 60 + "/end", 20) == "/api/xxxxxxx…xxx/end"
    assert names([{"a": "1"}, {"b": "2"}]) == ["1 · –", "– · 2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.3, "0.3"),
        (41, "41"),
        (1250, "1,250"),
        (0.01234, "0.0123"),
        (13.888, "13.9"),
        (-2.5, "-2.5"),
        (2e-7, "2e-07"),
        (3.2e12, "3.2e+12"),
        (float("inf"), "+Inf"),
    ],
)
def test_numbers_are_written_for_people(value: float, text: str):
    assert number(value) == text


# Colours


def seen(colour: str, matrix: list[list[float]]) -> Any:
    """Return CIE Lab of a colour as eyes see it that lack a kind of cone (Machado et al. 2009)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


EYES = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_that_must_be_told_apart_can_be(theme: Any, eyes: str):
    statuses = [STATUS_CLASSES[key] for key in ("2xx", "4xx", "5xx")]
    for group in (statuses, list(theme.endpoints.values())[:4], list(theme.quantiles.values())):
        for one, other in combinations(group, 2):
            apart = np.linalg.norm(seen(one, EYES[eyes]) - seen(other, EYES[eyes]))
            assert apart > 10, (one, other)


def test_a_status_has_its_colour_in_every_chart_and_theme():
    frame = over_time({"200": 5.0, "404": 1.0, "500": 2.0, "503": 1.0}, "status")
    for theme in ("light", "dark"):
        shown = lines(plots.line(frame, theme=theme))
        assert to_hex(shown["200"].get_color()).upper() == STATUS_CLASSES["2xx"]
        assert to_hex(shown["404"].get_color()).upper() == STATUS_CLASSES["4xx"]
        assert to_hex(shown["500"].get_color()).upper() == STATUS_CLASSES["5xx"]
        assert shown["500"].get_color() == shown["503"].get_color()
        assert shown["500"].get_linestyle() != shown["503"].get_linestyle()
    errors = pd.DataFrame({"error_type": list(ERROR_TYPES), "value": 1.0})
    colours = {to_hex(bar.get_facecolor()).upper() for bar in plots.bars(errors).patches}
    assert colours == {STATUS_CLASSES["4xx"], STATUS_CLASSES["5xx"]}


def test_an_endpoint_keeps_its_colour_whatever_else_is_drawn():
    alone = lines(plots.line(over_time({"/slow": 1.0}, "endpoint")))
    together = lines(plots.line(over_time({"/new": 1.0, "/slow": 1.0, "/": 1.0}, "endpoint")))
    assert alone["/slow"].get_color() == together["/slow"].get_color()
    assert len({line.get_color() for line in together.values()}) == 3


def test_colours_go_by_the_label_that_differs():
    by_route = [{"endpoint": "/", "status": "500"}, {"endpoint": "/slow", "status": "504"}]
    assert strokes(by_route, LIGHT)[0].colour == STATUS_CLASSES["5xx"]
    same = [{"endpoint": "/", "status": "500"}, {"endpoint": "/slow", "status": "500"}]
    assert [stroke.colour for stroke in strokes(same, LIGHT)] == [
        LIGHT.endpoints["/"],
        LIGHT.endpoints["/slow"],
    ]


# Pictures without pyplot


def test_a_notebook_shows_axes_and_figures_as_sharp_pictures():
    ax = plots.line(over_time({"value": 1.0}), title="How many?")
    for shown in (ax, ax.get_figure()):
        data, metadata = DisplayFormatter().format(shown)
        image = Image.open(io.BytesIO(data["image/png"]))
        assert metadata["image/png"] == {"width": 800, "height": 320, "alt": "Chart: How many?"}
        assert image.size == (1600, 640)
        page = data["text/html"]
        assert '<img class="labkit-chart" width="800" height="320"' in page
        assert 'alt="Chart: How many?"' in page
        assert '[data-jp-theme-light="false"] .labkit-chart' in page, "a dark page turns it round"
    dark = plots.line(over_time({"value": 1.0}), theme="dark")
    data, _ = DisplayFormatter().format(dark)
    assert "labkit-chart" not in data["text/html"], "what is dark already stays as it is"


def test_show_displays_the_picture_now(capsys: pytest.CaptureFixture[str]):
    plots.show(plots.line(over_time({"value": 1.0})))
    assert "Figure" in capsys.readouterr().out  # outside a notebook IPython prints its name


def test_a_theme_covers_the_whole_picture():
    frame = over_time({"value": 1.0})
    for theme, paper in (("light", (255, 255, 255)), ("dark", (17, 17, 17))):
        image = drawn(plots.line(frame, theme=theme))
        assert image.mode == "RGB"
        assert image.getpixel((2, 2)) == paper
    dark = plots.figure(theme="dark")
    ax = plots.line(frame, ax=dark.axes[0])
    assert to_hex(ax.get_facecolor()).upper() == DARK.paper


def test_axes_made_elsewhere_can_be_drawn_on():
    figure = Figure(figsize=(4, 3))
    ax = plots.line(many(3), ax=figure.subplots(), title="Elsewhere")
    image = Image.open(io.BytesIO(plots.png(figure, dpi=50)))
    assert image.size == (200, 150)
    assert figure.dpi == 100
    assert legend(ax) == ["/route-00", "/route-01", "/route-02"]
    assert size(figure) == {"width": 400, "height": 300}


def test_nothing_grows_when_charts_are_drawn_again():
    figure = plots.figure(2, 2, density=1)

    def redraw(times: int) -> bytes:
        for _ in range(times):
            # Made anew, as an answer is: pandas keeps notes on an index that is used again.
            index = pd.date_range("2026-03-01T12:00:00Z", periods=POINTS, freq="1s")
            frame = pd.DataFrame({f"/route-{i}": float(i) for i in range(6)}, index=index)
            one, two, three, four = figure.axes
            plots.line(frame, ax=one, title="a", unit="b")
            plots.ratio(frame * 10, ax=two)
            plots.quantiles(frame, ax=three)
            plots.bars(frame, ax=four)
            picture = plots.png(figure)
        return picture

    def count() -> tuple[int, int]:
        gc.collect()
        return len(figure.findobj()), len(gc.get_objects())

    first = redraw(2)
    artists, objects = count()
    last = redraw(4)
    more_artists, more_objects = count()
    assert more_artists == artists
    assert more_objects <= objects + 4  # less than one a redraw
    assert last == first


def test_pyplot_is_never_loaded():
    code = (
        "import sys; from labkit import plots; import pandas as pd\n"
        "assert 'matplotlib' not in sys.modules\n"
        "times = pd.date_range('2026-01-01', periods=3, tz='UTC')\n"
        "plots.png(plots.line(pd.DataFrame({'value': 1.0}, index=times)).figure)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_times_to_the_nanosecond_are_drawn():
    index = pd.date_range("2026-01-31", periods=3, freq="1s", tz="UTC").as_unit("ns")
    shifted = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=index + pd.Timedelta(1, "ns"))
    assert lines(plots.line(shifted))


def test_buckets_stand_in_the_order_of_their_boundaries():
    frame = pd.DataFrame({"le": ["+Inf", "0.5", "10.0", "2.0"], "value": [9.0, 1.0, 9.0, 5.0]})
    texts = [text.get_text() for text in plots.bars(frame).get_yticklabels()]
    assert texts == ["0.5", "2.0", "10.0", "+Inf"]
