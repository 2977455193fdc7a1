"""%promql and %%promql in IPython and in a real kernel, on a Prometheus of each line."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import nbformat
import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from labkit import check_magic, magic, tables
from labkit.answers import Answer
from labkit.attached import AttachedLab
from labkit.errors import LabError
from labkit.prometheus.server import PrometheusServer
from labkit.promql.syntax.variables import expand
from tests.prometheus_lines import binaries
from tests.promql_data import HOSTILE, KEEP, T, Target, blocks, past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from labkit.prometheus.binary import Binary

pytestmark = pytest.mark.usefixtures("utc")  # wherever the tests run: badges tell local time

AT = T + 60
WIDE = "\n".join(
    ["# TYPE wide gauge"]
    + [
        f'wide{{a="same",b="same",c="same",d="same",e="same",f="same",pod="pod-{i:02}"}} {i} {AT}'
        for i in range(25)
    ]
)


class Outcome(NamedTuple):
    """What a cell did: its outputs by kind, what it printed, and whether it failed."""

    texts: list[str]
    pages: list[str]
    printed: str
    error: BaseException | None


class Notebook:
    """An IPython in this process, with the magic loaded."""

    def __init__(self, shell: InteractiveShell, lab: AttachedLab) -> None:
        self.shell, self.lab = shell, lab

    def run(self, cell: str) -> Outcome:
        with capture_output() as captured:
            result = self.shell.run_cell(cell)
        data = [output.data for output in captured.outputs]
        return Outcome(
            [each["text/plain"] for each in data],
            [each.get("text/html", "") for each in data],
            captured.stdout,
            result.error_before_exec or result.error_in_exec,
        )

    def complete(self, cell: str) -> list[str]:
        """Return what the cell becomes with each completion at the mark ¦."""
        text, cursor = cell.replace("¦", ""), cell.index("¦")
        with provisionalcompleter():
            found = [*self.shell.Completer.completions(text, cursor)]
        return [text[: each.start] + each.text + text[each.end :] for each in found]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        settings = Config({"HistoryManager": {"enabled": False}})
        yield InteractiveShell.instance(config=settings, colors="nocolor")
        InteractiveShell.clear_instance()


@pytest.fixture(scope="module")
def notebook(
    shell: InteractiveShell, prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Notebook]:
    folder = tmp_path_factory.mktemp("magic")
    data = blocks(prometheus_binary, folder, past().replace("# EOF", f"{WIDE}\n# EOF"))
    with (
        PrometheusServer(
            prometheus_binary, {}, directory=folder / "server", data=data, arguments=[KEEP]
        ) as server,
        AttachedLab(prometheus_url=server.url, name="a past") as lab,
    ):
        magic.register(shell, ("promql", "check"))
        lab._client.at = AT  # as a history's
        yield Notebook(shell, lab)
        magic.unregister(shell)


# Answers


def test_a_line_shows_a_table_under_a_badge_of_lab_server_and_time(notebook: Notebook):
    found = notebook.run("%promql requests_total")
    (text,), (page,) = found.texts, found.pages
    assert found.error is None
    badge, head, _, *rows = text.splitlines()
    assert badge == f"a past (history) · {notebook.lab.prometheus_url} · 2023-11-14 22:14:20 UTC"
    assert head.split() == ["__name__", "endpoint", "status", "value"]
    assert [row.split() for row in rows] == [
        ["requests_total", "/", "200", "240"],
        ["requests_total", "/slow", "200", "60"],
        ["requests_total", "/slow", "504", "120"],
    ]
    assert "<b>a past</b> (history)" in page
    assert page.count("<tr") == 4


def test_a_live_answer_says_the_time_of_day_only(notebook: Notebook):
    notebook.lab._client.at = None
    try:
        (text,) = notebook.run("%promql vector(1)").texts
    finally:
        notebook.lab._client.at = AT
    assert re.match(r"a past · http://[\d.:]+ · \d\d:\d\d:\d\d UTC\n", text)


def test_a_range_is_a_chart_whose_words_say_what_is_in_it(notebook: Notebook):
    found = notebook.run("%promql --range 30s --step 5s sum by (endpoint) (requests_total)")
    (text,), (page,) = found.texts, found.pages
    assert "2023-11-14 22:13:50 to 22:14:20 UTC, every 5 s" in text
    assert re.search(r"^/ +7 +120 +180 +240 +240$", text, re.MULTILINE)
    assert 'src="data:image/png;base64,iVBOR' in page
    alt = re.search(r'alt="([^"]*)"', page)
    assert alt is not None
    assert "2 series, from 90 to 240." in alt[1]


@pytest.mark.parametrize(
    ("options", "drawn", "over_time"),
    [
        ("--plot bar", True, False),
        ("--plot line", True, True),
        ("--plot stacked --range 30s", True, True),
        ("--plot table --range 30s", False, True),
        ("--plot table", False, False),
        ("--range 30s --plot bar", True, True),
    ],
)
def test_an_answer_is_shown_as_asked(
    notebook: Notebook, options: str, *, drawn: bool, over_time: bool
):
    found = notebook.run(f"%promql {options} requests_total")
    assert found.error is None, found.printed
    assert ("<img" in found.pages[0]) == drawn
    assert (" to 22:14:20 UTC, every 1 s" in found.texts[0]) == over_time


def test_a_cell_shows_each_query_above_its_answer(notebook: Notebook):
    found = notebook.run(
        "%%promql --as frames\n# the sum\nsum(requests_total)\n\n"
        'sum(requests_total{status=~"5..$"})\n  / sum(requests_total) # the share\n'
    )
    assert [text.splitlines()[0] for text in found.texts] == [
        "sum(requests_total)",
        'sum(requests_total{status=~"5..$"})',
    ]
    assert "number" not in found.texts[0]
    assert '<code style="' in found.pages[1]
    frames = notebook.shell.user_ns["frames"]
    assert [frame["value"].item() for frame in frames] == [420, pytest.approx(2 / 7)]


def test_a_single_answer_is_kept_as_a_frame(notebook: Notebook):
    assert notebook.run("%promql --as only requests_total").error is None
    assert len(notebook.shell.user_ns["only"]) == 3
    notebook.run("%promql --range 10s --as ranged requests_total")
    assert len(notebook.shell.user_ns["ranged"].columns) == 3


def test_answers_show_within_loops_and_see_local_variables(notebook: Notebook):
    found = notebook.run(
        "def show(route):\n    for code in ['200', '504']:\n"
        '        %promql requests_total{endpoint="$route", status="${code}"}\n'
        "show('/slow')"
    )
    assert [text.split()[-1] for text in found.texts] == ["60", "120"]


def test_an_empty_answer_says_why(notebook: Notebook):
    found = notebook.run("%promql request_total")
    assert "No series. " in found.texts[0]
    assert "requests_total" in found.texts[0], "the nearest name"
    assert "requests_total" in found.pages[0]
    ranged = notebook.run('%promql --range 1m requests_total{status="999"}')
    assert "No series. " in ranged.texts[0]
    assert "<img" not in ranged.pages[0]


def test_an_answer_that_is_no_number_says_why(notebook: Notebook):
    answer, why = notebook.run("%promql 0 * sum(requests_total) / 0").texts
    assert answer.split()[-1] == "NaN"
    assert why == "The value is NaN, as 0/0 is: both sides of / are 0."
    _, over_time = notebook.run("%promql --range 30s 0 * sum(requests_total) / 0").texts
    assert over_time == why


def test_hostile_labels_are_shown_and_not_run(notebook: Notebook):
    page = notebook.run(f"%promql --at {T} hostile").pages[0]
    assert "<b>&quot;" not in page
    assert "&lt;b&gt;&quot;q&quot;&lt;/b&gt;" in page
    assert "tex2jax_ignore" in page, "$x^2$ stays text"
    text = notebook.run(f"%promql --at {T} hostile").texts[0]
    assert len(text.splitlines()) == 4, "a line break within a label breaks no row"
    assert HOSTILE.split("\n")[0] in text


def test_wide_and_long_answers_stay_readable(notebook: Notebook):
    text = notebook.run("%promql wide").texts[0]
    lines = text.splitlines()
    assert lines[1].startswith('every row: wide{a="same", b="same"')
    assert lines[2].split() == ["pod", "value"]
    assert lines[-1] == "and 5 more rows"
    assert len(lines) == 25


def test_numbers_are_written_for_people():
    numbers = [0.0, 1234567.0, 1 / 3, 12345.678, -0.5, 1e-7, 2.5e12, np.nan, np.inf, -np.inf]
    assert [tables.written(number) for number in numbers] == [
        *("0", "1,234,567", "0.333333", "12,345.7", "-0.5"),
        *("1e-07", "2,500,000,000,000", "NaN", "+Inf", "-Inf"),
    ]


def test_samples_are_told_by_the_clock_on_the_wall(notebook: Notebook, new_york: None):
    (text,) = notebook.run('%promql requests_total{status="504"}[1500ms]').texts
    assert text.splitlines()[-1].split()[-3:] == ["17:14:20.000", "EST", "120"]


def test_a_chart_has_the_unit_of_its_query(notebook: Notebook):
    for promql, unit in (("max_over_time(gappy[5m])", "value"), ("time() / 60", "minutes")):
        frame = notebook.lab.client.query_range(f"vector(1) * ({promql})")
        assert Answer(frame, lab="a past", kind="").axes().get_ylabel() == unit


def test_on_a_terminal_the_query_is_coloured(notebook: Notebook, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notebook.shell, "simple_prompt", False, raising=False)
    monkeypatch.setattr(notebook.shell, "colors", "linux")
    texts = notebook.run("%%promql\nsum(requests_total)\nvector(1)\n").texts
    assert texts[0].startswith("\x1b[1;32msum\x1b[0m(requests_total)\n")


def test_another_lab_is_asked_by_its_name(notebook: Notebook):
    data = '{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}'
    vector = f'{{"status":"success","data":{data}}}'
    with (
        Target(vector, kind="application/json") as other,
        AttachedLab(prometheus_url=other.url, name="live") as live,
    ):
        assert notebook.run("%promql vector(1)").texts[0].startswith("live · ")
        (text,) = notebook.run('%promql --on "a past" requests_total').texts
        assert text.startswith("a past (history)")
        assert notebook.complete("%promql --on ¦ up")[0] == '%promql --on "a past" up'
        live.stop()
    assert notebook.run("%promql vector(1)").texts[0].startswith("a past")


def test_moments_are_unix_seconds_dates_and_ago(notebook: Notebook):
    notebook.shell.user_ns["then"] = datetime.fromtimestamp(T + 30, UTC)
    for moment in (T + 30, "2023-11-14T22:13:50Z", "-30s", "now-30s", "$then"):
        found = notebook.run(f'%promql --at {moment} requests_total{{status="504"}}')
        assert found.error is None, found.printed
        assert found.texts[0].split()[-1] == "60"


# Errors


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("%promql sum(rate(requests_total[5m])", "    sum(rate(requests_total[5m])\n"),
        ("%%promql\nrequests_total\nsum(\n  rate(x[5m)\n)", "      rate(x[5m)\n"),
        ("%promql", "There is no query to ask."),
        ("%promql --rang 5m up", "There is no option --rang."),
        ("%promql up --range 5m", "--range comes after the query has begun."),
        ("%promql --step 5s up", "--step goes with --range"),
        ("%promql --range 5q up", "--range takes a duration above 0, such as 5m"),
        ("%promql --at noon up", "not 'noon'"),
        ("%promql --on nobody up", "No lab is called 'nobody'; there are 'a past'."),
        ("%promql up[$nothing_such]", "There is no variable 'nothing_such'"),
        ("%promql --plot stacked 0 - requests_total", "Layers add up"),
        ("%promql --plot bar 'text'", "The answer is a text"),
    ],
)
def test_an_error_is_a_message_that_fails_the_cell(notebook: Notebook, cell: str, shown: str):
    found = notebook.run(cell)
    assert isinstance(found.error, LabError)
    assert shown in found.printed
    assert "Traceback" not in found.printed
    assert "File " not in found.printed


def test_the_caret_stands_under_the_place_in_its_line(notebook: Notebook):
    printed = notebook.run("%%promql\nsum(\n  rate(requests_total[5m)\n)").printed.splitlines()
    caret = next(line for line in printed if line.strip() == "^")
    assert printed[printed.index(caret) - 1][caret.index("^")] == ")"


def test_without_a_lab_the_next_step_is_to_start_one(notebook: Notebook, monkeypatch):
    monkeypatch.setattr("labkit.lab.Lab.opened", [])
    assert "labkit.start()" in notebook.run("%promql up").printed
    assert "%promql rate" in notebook.complete("%promql rat¦")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("%%promql", "There is no query to ask."),
        ("\n%%promql\n", "There is no query to ask."),
        ("%%promql --range 5m\n# nothing", "There is no query to ask."),
        ("%%promql up", "The query stands on the line of %%promql."),
        ("%%promql --range 5m sum(up)\n", "or ask with one percent sign: %promql --range 5m sum("),
        ("%%check", "%%check takes one exercise"),
    ],
)
def test_a_cell_without_a_body_fails_in_our_own_words(notebook: Notebook, cell: str, shown: str):
    check_magic.register(notebook.shell)
    try:
        found = notebook.run(cell)
    finally:
        check_magic.unregister(notebook.shell)
    assert isinstance(found.error, LabError), found.printed
    assert shown in found.printed
    assert "Did you mean the line magic" not in found.printed


def test_on_a_terminal_the_body_may_still_be_typed(notebook: Notebook):
    complete = notebook.shell.input_transformer_manager.check_complete
    assert complete("%%promql --range 5m")[0] == "incomplete"
    assert complete("%%promql\n")[0] == "incomplete"
    assert complete("%%promql\nup\n\n")[0] == "complete"


def test_other_cells_reach_python_as_they_were_typed(notebook: Notebook):
    for cell in ("%%promqlx", "%%promql?", "%promql up", "%%promql\nup"):
        transformed = notebook.shell.transform_cell(cell)
        assert "#" not in transformed


# Variables


def test_names_of_ipython_are_no_variables(notebook: Notebook):
    for cell in ("%promql up > $zzz", "%%promql\nup > $zzz"):
        printed = notebook.run(cell).printed
        assert "There is no variable 'zzz'" in printed
        assert "$In" not in printed
        assert "$exit" not in printed
        assert "$Out" not in printed
    before = notebook.shell.user_ns["In"]
    notebook.shell.user_ns["In"] = 3  # whose own it is now
    try:
        assert notebook.run("%promql vector($In)").texts[0].split()[-1] == "3"
    finally:
        notebook.shell.user_ns["In"] = before


def test_variables_are_put_in_as_grafana_does():
    known = {
        "w": "5m",
        "n": np.int64(3),
        "limit": 0.3,
        "ends": ["/a.b", "/c"],
        "quote": 'say "x\\d"',
        "wait": timedelta(seconds=90),
        "one": ("/c",),
    }
    for typed, sent in {
        "rate(x[$w])": "rate(x[5m])",
        "rate(x[${n}m])": "rate(x[3m])",
        "rate(x[$wait])": "rate(x[90s])",
        "x > $limit": "x > 0.3",
        'x{e=~"$ends"}': 'x{e=~"(/a\\\\.b|/c)"}',
        "x{e=~`$ends`}": "x{e=~`(/a\\.b|/c)`}",
        'x{e="$one"}': 'x{e="/c"}',
        'x{e=~"${ends:pipe}"}': 'x{e=~"/a.b|/c"}',
        "sum by ($ends) (x)": "sum by (/a.b, /c) (x)",
        'x{e="$quote"}': 'x{e="say \\"x\\\\d\\""}',
        'x{e=~"5..$"}': 'x{e=~"5..$"}',
        'x{e=~"^$|a$"}': 'x{e=~"^$|a$"}',
        'label_replace(x, "a", "$1", "b", "(.*)")': 'label_replace(x, "a", "$1", "b", "(.*)")',
        'label_replace(x, "a", "$w2", "b", "(?P<w2>.*)")': (
            'label_replace(x, "a", "$w2", "b", "(?P<w2>.*)")'
        ),
        "rate(x[$__rate_interval])": "rate(x[$__rate_interval])",
        "rate(x[${__interval}])": "rate(x[${__interval}])",
        "x # $nothing": "x # $nothing",
    }.items():
        assert expand(typed, known) == sent


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("x[$windw]", r"did you mean \$window\?"),
        ("x[$zzz]", r"there are \$ends, \$window"),
        ("x > $frame", "type dict, which has no form in PromQL"),
        ("x > $flag", "type bool"),
        ('x{e="$ends"}', '=~"\\$ends"'),
        ('x{e=~"$none"}', "empty list"),
        ("x[${window:glob}]", "no form 'glob'"),
    ],
)
def test_a_variable_that_makes_no_sense_is_explained(typed: str, words: str):
    known = {"window": "5m", "ends": ["a", "b"], "frame": {}, "flag": True, "none": []}
    with pytest.raises(LabError) as raised:
        expand(typed, known)
    assert re.search(words, str(raised.value))


# Completion


def test_promql_is_completed_in_lines_and_cells_from_the_server(notebook: Notebook):
    assert notebook.complete("%promql sum(requ¦)") == ["%promql sum(requests_total)"]
    assert notebook.complete('x = 1\n%promql requests_total{endpoint="/s¦"}\ny = 2') == [
        'x = 1\n%promql requests_total{endpoint="/slow"}\ny = 2'
    ]
    cell = "%%promql --range 5m\n# up\nup{}\n\nsum by (stat¦) (\n  rate(requests_total[5m])\n)\n"
    assert notebook.complete(cell) == [cell.replace("stat¦", "status")]
    assert notebook.complete("%%promql --pl¦\nup") == ["%%promql --plot\nup"]
    assert notebook.complete("    frame = %promql gap¦") == ["    frame = %promql gappy"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%promql --plot ¦", ["bar", "line", "stacked", "table"]),
        ("%promql --on ¦", ['"a past"']),
        ("%%promql --plot ¦\nup", ["bar", "line", "stacked", "table"]),
        ("%promql --as ¦", []),
    ],
)
def test_behind_an_option_only_its_values_are_offered(
    notebook: Notebook, cell: str, expected: list[str]
):
    offered = [cell.replace("¦", value) for value in expected] or [cell.replace("¦", "")]
    assert notebook.complete(cell) == offered


def test_python_variables_are_completed_behind_a_dollar(notebook: Notebook):
    notebook.shell.user_ns["my_window"] = "5m"
    assert notebook.complete("%promql rate(x[$my_¦])") == ["%promql rate(x[$my_window])"]


def test_nothing_of_python_is_offered_within_promql(notebook: Notebook):
    notebook.shell.user_ns["zebra_of_python"] = 1
    for cell in ("%promql zebra_of_p¦", "%%promql\nzebra_of_p¦", "%promql up{zebra_of_p¦"):
        assert notebook.complete(cell) == [cell.replace("¦", "")]
    assert notebook.complete("%promql up # ¦") == ["%promql up # "]


def test_completion_of_python_stays_as_it_is(notebook: Notebook):
    notebook.shell.user_ns["zebra_of_python"] = 1
    for cell in ("zebra_of_p¦", "y = zebra_of_p¦\n%promql up", "y % zebra_of_p¦"):
        assert any("zebra_of_python" in each for each in notebook.complete(cell))
    assert "%promql" in notebook.complete("%prom¦")
    assert not any("requests_total" in each for each in notebook.complete("request¦"))


def test_loading_again_adds_nothing_and_unloading_takes_all_away(
    notebook: Notebook, shell: InteractiveShell
):
    before = [f for f in shell.input_transformers_cleanup if not isinstance(f, magic.Body)]
    magic.register(shell)
    assert len(shell.input_transformers_cleanup) == len(before) + 1
    matchers = shell.Completer.custom_matchers
    assert [m.matcher_identifier for m in matchers].count(magic.COMPLETER) == 1
    magic.unregister(shell)
    try:
        assert not any(m.matcher_identifier == magic.COMPLETER for m in matchers)
        assert shell.find_line_magic("promql") is None
        assert shell.find_cell_magic("promql") is None
        assert shell.input_transformers_cleanup == before
    finally:
        magic.register(shell, ("promql", "check"))


# A real kernel, as JupyterLab, nbclient and nbval use it


def test_a_bad_cell_fails_in_notebooks_without_a_traceback(tmp_path: Path):
    binary = binaries()[0]
    data = blocks(binary, tmp_path, past())
    with PrometheusServer(
        binary, {}, directory=tmp_path / "server", data=data, arguments=[KEEP]
    ) as server:
        begin = (
            "%load_ext labkit\nimport labkit\n"
            f"lab = labkit.connect(prometheus_url={server.url!r}, name='past')"
        )
        cells = [
            begin,
            f"%promql --at {AT} --as frame requests_total",
            "assert len(frame) == 3",
            "%promql sum(rate(requests_total[5m])",
        ]
        book = new_notebook(cells=[*map(new_code_cell, cells)])
        nbformat.write(book, tmp_path / "bad.ipynb")
        assert asyncio.run(_talk(book)) == [
            ["requests_total"],
            ["endpoint", "status"],
            ['"200"', '"504"'],
            ["lab_of_mine"],
        ]
        options = ["--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider", "-q"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "bad.ipynb"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert done.returncode == 1, done.stdout
    assert "1 failed, 3 passed" in done.stdout, done.stdout
    assert "parse error: unclosed left parenthesis" in done.stdout


async def _talk(book: nbformat.NotebookNode) -> list[list[str]]:
    """Run a notebook whose last cell is bad; return what the kernel completes afterwards."""
    kernel = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    client = NotebookClient(book, km=kernel, timeout=60)
    async with client.async_setup_kernel(cleanup_kc=True):
        *good, bad = book.cells
        for index, cell in enumerate(good):
            await client.async_execute_cell(cell, index)
        assert "past · " in good[1].outputs[0]["data"]["text/plain"]
        with pytest.raises(CellExecutionError) as raised:
            await client.async_execute_cell(bad, len(good))
        (error,) = bad.outputs
        shown = "\n".join(error["traceback"])
        assert re.search(r"\n {4}sum\(rate\(requests_total\[5m\]\)\n +\^\n", shown)
        assert "Traceback" not in shown
        assert "QueryError" in str(raised.value)
        await client.kc.execute_interactive("lab_of_mine = lab; lab._client.at = 1700000060")
        return [
            await _completed(client, "%promql sum(requ¦)"),
            await _completed(client, "%%promql\n# a comment\nsum by (¦) (requests_total)\n"),
            await _completed(client, "%%promql\nup\nrequests_total{status=¦}"),
            await _completed(client, "lab_of_m¦\n%promql up"),
        ]


async def _completed(client: NotebookClient, cell: str) -> list[str]:
    text, cursor = cell.replace("¦", ""), cell.index("¦")
    reply = (await client.kc.complete(text, cursor, reply=True, timeout=20))["content"]
    typed = re.search(r"\w*$", text[:cursor])
    assert typed is not None
    assert (reply["cursor_start"], reply["cursor_end"]) == (typed.start(), cursor)
    return reply["matches"]


def test_a_badge_has_the_time_of_the_clock_on_the_wall_as_charts_have(notebook: Notebook, new_york):
    (text,) = notebook.run("%promql requests_total").texts
    assert "2023-11-14 17:14:20 EST" in text.splitlines()[0]
