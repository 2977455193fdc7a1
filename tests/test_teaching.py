"""Exercises without data: their files, marking, progress, and what people see."""

from __future__ import annotations

import html
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from labkit import teaching
from labkit.errors import LabError
from labkit.history import ErrorBurst, History
from labkit.history.client import HistoryClient
from labkit.prometheus.server import PrometheusServer
from labkit.promql.client import Client
from labkit.teaching import desk, material
from labkit.teaching.exercises import COURSES, Tolerance, all_exercises, find
from labkit.teaching.marking import is_empty, mark
from labkit.teaching.part import Part
from labkit.teaching.record import Record, Standing, attempted, hinted, revealed
from labkit.teaching.results import Difference, Ground, Result, alike, differences, distance, same
from labkit.teaching.schema import read
from labkit.teaching.servers import Servers, lab_for
from labkit.teaching.verdict import NotYet, Unanswered, Verdict
from tests.teaching_grounds import servers_on
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.prometheus.candidate import Binary

HOSTILE = "<script>alert('x')</script> & \"q\""
GOOD = """\
notebook: 99-try
exercises:
  - id: try-1
    level: 1
    kind: number
    title: A title
    task: A task.
    answer: 4
    unit: s
    tolerance: {absolute: 0.1}
    wrong: [{answer: 5, feedback: Too many.}]
    hints: [One., Two.]
    explanation: Why.
"""


@pytest.fixture(autouse=True)
def record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Record:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "mine" / "progress.json"))
    monkeypatch.setattr(desk, "_asked", set())
    return Record()


# Files


def test_a_file_of_exercises_is_read(tmp_path: Path):
    path = tmp_path / "99-try.yml"
    path.write_text(GOOD)
    (exercise,) = read(path)
    assert (exercise.id, exercise.notebook, exercise.answer) == ("try-1", "99-try", "4")
    assert exercise.tolerance == Tolerance(absolute=0.1)
    assert exercise.wrong[0].answer == "5"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    title: A title\n", "", "title is missing"),
        ("    level: 1", "    level: 4", "level is 4"),
        ("kind: number", "kind: riddle", "query, number, choice"),
        ("    unit: s", "    units: s", "no field units"),
        ("id: try-1", "id: Try 1", "such as errors-2"),
        ("hints: [One., Two.]", "hints: [One.]", "there must be two"),
        ("{absolute: 0.1}", "{absolute: -1}", "0 or more"),
        ("{absolute: 0.1}", "{absolute: few}", "absolute is"),
        ("task: A task.", "task: ''", "task must be text"),
        ("wrong: [{answer: 5, feedback: Too many.}]", "wrong: [5]", "answer, feedback"),
        ("Too many.}", "Too many., refused: '['}", "no regular expression"),
        ("exercises:", "exercise:", "exercises is missing"),
    ],
)
def test_a_mistake_in_a_file_names_the_file_and_the_exercise(
    old: str, new: str, words: str, tmp_path: Path
):
    assert old in GOOD
    path = tmp_path / "99-try.yml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(LabError) as raised:
        read(path)
    assert "99-try.yml" in str(raised.value)
    assert words in str(raised.value)
    if "exercises is" not in words:
        assert "ry" in raised.value.message.partition(":")[2]


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path):
    path = tmp_path / "98.yml"
    path.write_text("a: [1")
    with pytest.raises(LabError, match=r"98\.yml is not YAML"):
        read(path)


def test_exercises_are_found_by_id_and_notebook():
    assert find(" errors-2 ").id == "errors-2"
    assert [*all_exercises("02")] == [f"errors-{n}" for n in range(1, 7)]
    with pytest.raises(LabError, match="errors-2"):
        find("errrors-2")
    with pytest.raises(LabError, match="00-open-the-lab"):
        all_exercises("77")


def test_a_choice_has_one_right_option(tmp_path: Path):
    text = GOOD.replace("kind: number", "kind: choice").replace("    unit: s\n", "")
    for line in ("    answer: 4\n", "    tolerance: {absolute: 0.1}\n"):
        text = text.replace(line, "")
    text = text.replace("wrong: [{answer: 5, feedback: Too many.}]", "options: {OPTIONS}")
    path = tmp_path / "99-try.yml"
    path.write_text(text.replace("OPTIONS", "a: {text: A}, b: {text: B, wrong: No.}"))
    assert read(path)[0].answer == "a"
    path.write_text(text.replace("OPTIONS", "a: {text: A}, b: {text: B}"))
    with pytest.raises(LabError, match="exactly one"):
        read(path)


def test_names_load_when_they_are_used_and_importing_is_quick():
    code = (
        "import sys, labkit.teaching as t; print([m for m in ('pandas', 'yaml', 'numpy') "
        "if m in sys.modules]); print(all(getattr(t, n) for n in t.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.split("\n")[:2] == ["[]", "True"], done.stderr
    with pytest.raises(AttributeError):
        teaching.nothing  # noqa: B018 - asking for it is the point


# Results


def result(time: float = 0.0, **series: float) -> Result:
    return Result(time, "vector", {frozenset({("of", k)}): v for k, v in series.items()})


def test_results_are_the_same_within_the_tolerance_and_nan_is_never_right():
    tolerance = Tolerance(relative=0.01, absolute=0)
    assert same([result(a=100)], [result(a=101)], tolerance)
    assert not same([result(a=100)], [result(a=101.1)], tolerance)
    assert not same([result(a=100)], [result(a=100, b=1)], tolerance)
    assert not same([result(a=100)], [result()], tolerance)
    assert not same([result(a=math.nan)], [result(a=math.nan)], tolerance)
    assert alike([result(a=math.nan)], [result(a=math.nan)], tolerance)
    assert not alike([result(a=1)], [result(a=math.nan)], tolerance)
    assert same([result(a=math.inf)], [result(a=math.inf)], tolerance)
    assert not same([result(a=1)], [replace(result(a=1), doubled=True)], tolerance)
    assert same([result(a=1)], [result(a=9)], Tolerance(absolute=math.inf))


def test_the_distance_is_counted_in_tolerances():
    tolerance = Tolerance(relative=0.01, absolute=0)
    assert distance(result(a=100), result(a=103), tolerance) == pytest.approx(3)
    assert distance(result(a=1), result(), tolerance) == math.inf
    assert distance(result(), result(), tolerance) == 0
    assert distance(result(a=0), result(a=1), tolerance) == math.inf


def test_differences_come_with_the_furthest_off_first():
    found = differences(result(a=1, b=1, c=1), result(a=1.5, b=9, d=1), Tolerance())
    assert [dict(each.labels)["of"] for each in found][-2:] == ["b", "a"]
    assert {(each.expected, each.given) for each in found[:2]} == {(1, None), (None, 1)}


# Marking without data


@pytest.mark.parametrize("text", ["", "  \n", "# only a comment\n", "...", "…", "  # a\n # b "])
def test_an_empty_answer_is_no_answer(text: str):
    assert is_empty(text)
    assert mark(find("open-1"), text).reason == "unanswered"


def test_numbers_are_read_with_unit_comma_and_factor():
    exercise = find("slo-6")
    for answer in (13.9, "13.9", "13.9 %", "13,9", " 14 "):
        assert mark(exercise, answer).right, answer
    for answer in ("many", "1 / 0", "9 ** 9", "f(1)", "1e999", "13.9 ms", "1j", "True", "(" * 99):
        verdict = mark(exercise, answer)
        assert (verdict.right, verdict.reason) == (False, "refused"), answer
    assert mark(exercise, 13.9 * 60).reason == "factor"
    assert "less" in mark(exercise, 55).feedback
    assert "more" in mark(exercise, 7).feedback


@pytest.mark.parametrize(
    ("id_", "answers"),
    [
        (
            "open-5",
            ["1/3", "100 / 300", "0.33/s", "1/3 req/s", "0.33 requests per second", "20/min"],
        ),
        ("send-2", ["5/1.475", "5 / 1.475 req/s", "5 * (1 / 1.475)", "3.39 rps", "≈ 3.39"]),
        ("send-5", ["900 ms", "0.9 s", "0.9s", "1 - 0.1", "0.9 seconds"]),
        ("alert-2", ["14 + 15", "14+15 s", "29 sec"]),
        ("slo-6", ["13.9 percent", "100 * 0.5 / 3.6", "0.5/3.6*100 %", "-(-13.9)"]),
        ("slo-5", ["10x", "10 times", "1/0.1", "1 ÷ 0.1"]),
        ("own-2", ["(12 + 1 + 2) * 8", "120 series", "15 × 8"]),
    ],
)
def test_a_number_may_be_worked_out_and_has_its_unit(id_: str, answers: list[str]):
    for answer in answers:
        assert mark(find(id_), answer).right, answer


def test_a_rate_that_forgets_the_answer_is_told_so():
    exercise = find("send-1")
    assert all(mark(exercise, answer).right for answer in ("0.71", "1/1.4", 0.75))
    verdict = mark(exercise, "0.8")
    assert (verdict.right, verdict.reason) == (False, "listed")
    assert "answer" in verdict.feedback
    assert "0.71" in str(desk.solution_card(exercise)).split("\n\n")[2]


def test_a_choice_is_made_by_letter_or_text():
    exercise = find("count-4")
    assert mark(exercise, "C").right
    for answer in ("c) 2m", "c)", "(c)", "C. 2m", "c: 2m.", "(c) 2M"):
        assert mark(exercise, answer).right, answer
    for answer in ("b) 2m", "c) 5m", "c d"):
        assert "Choose" in mark(exercise, answer).feedback, answer
    assert mark(exercise, " 2m. ").right
    assert "two" in mark(exercise, "b").feedback
    assert "a, b, c, d" in mark(exercise, "e").feedback


# Progress


def test_progress_survives_and_stops_counting_when_solved(record: Record):
    right, wrong = (lambda s: attempted(s, right=True)), (lambda s: attempted(s, right=False))
    for change in (wrong, lambda s: hinted(s, 1), wrong, right, right, wrong, revealed):
        record.change("errors-1", change)
    record.change("errors-2", revealed)
    read = Record().read()
    assert (read["errors-1"].attempts, read["errors-1"].hints) == (3, 1)
    assert read["errors-1"].solved_at == pytest.approx(time.time(), abs=30)
    assert not read["errors-1"].saw_solution
    assert read["errors-2"].saw_solution
    assert read["errors-2"].solved_at is None


def test_time_counts_without_breaks():
    seen = Standing().seen(1000.0).seen(1060.0)
    assert seen.seconds == 60
    assert seen.seen(1060.0 + 601).seconds == 60
    assert attempted(seen, right=True).seen(1100.0).seconds == 60


def test_two_kernels_write_one_record(record: Record):
    code = (
        "from labkit.teaching.record import Record, attempted\n"
        "for n in range(40): Record().change('try-1', lambda s: attempted(s, right=False))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ}) for _ in range(2)
    ]
    assert [child.wait(60) for child in children] == [0, 0]
    assert record.read()["try-1"].attempts == 80
    assert [path.name for path in record.path.parent.iterdir() if path.suffix == ".json"] == [
        "progress.json"
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2, "exercises": {}}', '{"version": 1}'])
def test_a_broken_record_is_refused_and_left_alone(text: str, record: Record):
    record.path.parent.mkdir(parents=True)
    record.path.write_text(text)
    with pytest.raises(LabError, match="not a record"):
        teaching.progress()
    with pytest.raises(LabError, match="not a record"):
        record.change("try-1", revealed)
    assert record.path.read_text() == text


@pytest.mark.parametrize(
    "standing",
    [
        {"attempts": "many"},
        {"attempts": -1},
        {"attempts": 1.5},
        {"hints": None},
        {"saw_solution": "yes"},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"solved_at": "yesterday"},
        {"seen_at": "now"},
        {"seen_at": True},
        [],
        "solved",
        None,
    ],
)
def test_a_standing_that_is_none_is_named_and_costs_no_verdict(
    standing: object, record: Record, capsys: pytest.CaptureFixture[str]
):
    record.path.parent.mkdir(parents=True)
    record.path.write_text(json.dumps({"version": 1, "exercises": {"count-4": standing}}))
    assert teaching.check("count-4", "c").right
    assert "not a record of progress" in capsys.readouterr().err
    with pytest.raises(LabError) as raised:
        record.read()
    assert raised.value.evidence.startswith("count-4: ")
    assert "indices" not in raised.value.evidence


def test_what_a_record_lacks_is_said_in_words(record: Record):
    record.path.parent.mkdir(parents=True)
    for text, words in (
        ("[]", "it is a list, not a mapping"),
        ('{"version": 1}', "it has no exercises"),
        ("{}", "it has no version"),
        ('{"version": 1, "exercises": []}', "exercises is a list, not a mapping"),
    ):
        record.path.write_text(text)
        with pytest.raises(LabError) as raised:
            record.read()
        assert raised.value.evidence == words


def test_answers_are_checked_where_progress_cannot_be_kept(
    record: Record, capsys: pytest.CaptureFixture[str]
):
    record.path.parent.mkdir(parents=True)
    record.path.write_text("{")
    assert teaching.check("count-4", "c").right
    assert "not a record of progress" in capsys.readouterr().err


def test_progress_shows_what_is_solved(record: Record):
    teaching.check("count-4", "a")
    teaching.hint("count-4")
    teaching.check("count-4", "c")
    overview = teaching.progress()
    assert overview.solved == 1
    assert str(overview).startswith(f"1 of {len(all_exercises())} exercises solved")
    assert "✓ count-4" in str(overview)
    assert "2 attempts, 1 hint" in str(overview)
    assert str(record.path) in str(overview)
    assert str(record.path) in overview._repr_html_()


# What people type


def test_a_task_says_how_to_answer_and_lists_options():
    card = teaching.exercise("count-4")
    assert "c) 2m" in str(card)
    assert "%%check count-4" in str(card)
    assert "<br>b) 1m" in card._repr_html_()
    assert "open_exercise" in str(teaching.exercise("count-1"))
    assert "alert: Failing" in teaching.exercise("alert-5").code


def test_hints_come_one_after_the_other():
    first, second, again = (str(teaching.hint("errors-1")) for _ in range(3))
    assert find("errors-1").hints[0] in first
    assert find("errors-1").hints[1] in second
    assert second == again
    assert find("errors-1").hints[0] in str(teaching.hint("errors-1", 1))
    with pytest.raises(ValueError, match="two hints"):
        teaching.hint("errors-1", 3)


def test_the_solution_asks_first(record: Record):
    answer = find("errors-1").answer
    assert answer not in str(teaching.solution("errors-1"))
    assert not record.read()["errors-1"].saw_solution
    assert answer in str(teaching.solution("errors-1"))
    assert record.read()["errors-1"].saw_solution
    assert find("errors-2").answer in str(teaching.solution("errors-2", sure=True))
    assert "c) 2m" in str(teaching.solution("count-4", sure=True))


def test_who_has_solved_it_may_look_at_the_solution():
    teaching.check("count-4", "c")
    assert "c) 2m" in str(teaching.solution("count-4"))


def test_a_cell_without_an_answer_says_so_kindly(record: Record):
    with pytest.raises(Unanswered, match="waits for your answer") as raised:
        teaching.check_cell("errors-1", "# write your query here\n")
    assert "All is well up to here" in str(raised.value)
    assert isinstance(raised.value, LabError)
    assert record.read().get("errors-1") is None


def test_a_cell_with_a_wrong_answer_fails_with_its_feedback():
    with pytest.raises(NotYet, match="rate\\(\\) needs two") as raised:
        teaching.check_cell("count-4", "b")
    assert 'hint("count-4")' in str(raised.value)
    assert teaching.check_cell("count-4", "c").right


def test_a_check_does_not_raise_for_a_wrong_answer():
    verdict = teaching.check("count-4", "b")
    assert (verdict.right, verdict.reason) == (False, "listed")
    assert teaching.check("count-4").reason == "unanswered"
    with pytest.raises(LabError, match="no exercise"):
        teaching.check("nothing-1", "b")


# What they look like


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def balanced(text: str) -> set[str]:
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    return parser.tags


def test_what_is_shown_is_escaped_and_has_no_colour_of_its_own():
    exercise = replace(find("count-1"), title=HOSTILE, task=f"{HOSTILE} `{HOSTILE}`")
    labels = frozenset({("endpoint", HOSTILE)})
    verdict = Verdict(
        *(exercise, False, "value", HOSTILE),
        evidence=HOSTILE,
        differences=(Difference(0.0, labels, 1.0, None), Difference(0.0, labels, math.nan, 2.0)),
        data=HOSTILE,
    )
    shown = [verdict._repr_html_()]
    shown += [
        desk.task_card(exercise, None)._repr_html_(),
        desk.hint_card(exercise, 1)._repr_html_(),
    ]
    for text in shown:
        assert "script" not in balanced(text)
        for fixed in ("color:black", "color:#000", "color:white", "color:#fff", "background:#"):
            assert fixed not in text
    assert html.escape("<script>") in shown[0]
    assert "yours 2  expected NaN" in str(verdict)


def test_every_card_of_every_exercise_can_be_shown():
    for exercise in all_exercises().values():
        for card in (
            desk.task_card(exercise, Standing()),
            desk.hint_card(exercise, 1),
            desk.hint_card(exercise, 2),
            desk.solution_card(exercise),
        ):
            assert balanced(card._repr_html_()) <= {"div", "p", "code", "pre", "br"}
            assert exercise.id in str(card)


# Data


def test_each_history_has_a_twin_that_differs_and_is_named():
    names = {each.history for each in all_exercises().values() if each.history}
    assert names == {"days", "incident", "month", "live", "own"}
    for name in names:
        seen, twin = material.past(name), material.past(name, hidden=True)
        assert seen.digest != twin.digest
        assert (seen.end, seen.interval) == (twin.end, twin.interval)
        assert material.past(name) is seen
    with pytest.raises(LabError, match="days"):
        material.material("weeks")


def test_a_part_of_a_history_keeps_its_samples():
    whole = History(days=1, seed=3)
    part = Part(whole, hours=2, every=2, without=["flask_request_duration_seconds"])
    (chunk,) = part.chunks()
    kept = {(each.name, *sorted(each.labels.items())): each.values for each in chunk.series}
    (all_of_it,) = whole.chunks()
    assert part.interval == 120
    assert len(chunk.times_ms) == 60
    assert chunk.times_ms[0] >= part.start * 1000
    assert set(chunk.times_ms) <= set(all_of_it.times_ms)
    assert {round(step) for step in (chunk.times_ms[1:] - chunk.times_ms[:-1]) / 1000} == {120}
    for each in all_of_it.series:
        key = (each.name, *sorted(each.labels.items()))
        if each.family == "flask_request_duration_seconds":
            assert key not in kept
        else:
            places = [list(all_of_it.times_ms).index(time) for time in chunk.times_ms[:3]]
            assert [each.values[place] for place in places] == list(kept[key][:3])


# A live lab, here a past that ends now: it differs from a running one in nothing that counts.


@pytest.fixture(scope="module")
def live(
    prometheus_binary: Binary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Servers, SimpleNamespace]]:
    folder = tmp_path_factory.mktemp("live")
    end = time.time() // 60 * 60 + 60
    whole = History(
        days=1, end=end, interval=10, deploys=[], incidents=[ErrorBurst("2h", "2h", ratio=0.3)]
    )
    past = Part(whole, hours=1)
    servers = servers_on(prometheus_binary, folder / "cache")
    servers._store(past, folder / "data", prometheus_binary, None)
    with (
        servers,
        PrometheusServer(
            prometheus_binary,
            {},
            directory=folder / "server",
            data=folder / "data",
            arguments=["--storage.tsdb.retention.time=100y"],
        ) as server,
        Client(server.url, scrape_interval=10.0) as client,
    ):
        servers.start("live")
        lab = SimpleNamespace(client=client, scrape_interval=10.0, kind="lab", name="mine")
        yield servers, lab


@pytest.fixture
def with_lab(
    live: tuple[Servers, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    servers, lab = live
    monkeypatch.setattr(desk, "_servers", servers)
    past = SimpleNamespace(kind="history", client=servers.start("live")[0].client)
    monkeypatch.setattr(desk, "_labs", lambda: [lab, past])
    return lab


def test_a_live_exercise_is_marked_on_the_lab_and_on_a_history(with_lab: SimpleNamespace):
    del with_lab
    assert teaching.check("open-3", "sum(rate(flask_requests_total[30s]))").right
    wrong = teaching.check("open-3", "rate(flask_requests_total[30s])")
    assert (wrong.right, wrong.reason, wrong.data) == (False, "listed", "your lab")
    # The lab is up all the time, so that only the history with its outage shows that this is none.
    constant = teaching.check("open-4", "vector(1)")
    assert (constant.right, constant.reason) == (False, "hidden")
    assert teaching.check("open-4", "up").right


def test_a_live_exercise_needs_a_lab_with_data(
    live: tuple[Servers, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
):
    servers, lab = live
    monkeypatch.setattr(desk, "_servers", servers)
    monkeypatch.setattr(desk, "_labs", list)
    with pytest.raises(LabError, match=r"labkit\.start\(\)"):
        teaching.check("open-1", "1")
    with Client(servers.start("live")[0].client.url) as young:  # it holds nothing of now
        empty = SimpleNamespace(**{**vars(lab), "client": young})
        monkeypatch.setattr(desk, "_labs", lambda: [empty])
        with pytest.raises(LabError, match="send traffic"):
            teaching.check("open-1", "1")


def test_a_cell_shows_the_caret_and_the_series_that_differ(with_lab: SimpleNamespace):
    del with_lab
    with pytest.raises(NotYet) as raised:
        teaching.check_cell("open-3", "sum(rate(flask_requests_total[30s])")
    assert "^" in raised.value.evidence
    with pytest.raises(NotYet) as raised:
        teaching.check_cell("open-3", "2 * sum(rate(flask_requests_total[30s]))")
    assert "2 times" in raised.value.message
    assert "expected" in raised.value.evidence


def test_labels_that_never_differ_do_not_count(with_lab: SimpleNamespace):
    del with_lab
    assert teaching.check("open-4", 'sum by (job) (up{job="flask"})').right
    assert not teaching.check("open-4", 'label_replace(up, "a", "b", "", "")').right


def test_servers_end_when_they_are_closed(
    prometheus_binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    servers = servers_on(prometheus_binary, tmp_path / "cache")
    first, _ = servers.start("own")
    assert servers.start("own")[0] is first
    assert first.client.query("count(up)")["value"].item() == 2
    runs = tmp_path / "state" / "observability-lab" / "runs"
    assert len([*runs.iterdir()]) == 2
    servers.close()
    servers.close()
    assert [*runs.iterdir()] == []
    with pytest.raises(LabError):
        first.client.query("up")


def test_a_server_that_was_killed_is_started_again(
    prometheus_binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with servers_on(prometheus_binary, tmp_path / "cache") as servers:
        first, _ = servers.start("own")
        for server in servers._running:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            wait_for(lambda server=server: server.poll() is not None)
        again, _ = servers.start("own")
        assert again is not first
        assert again.client.query("count(up)")["value"].item() == 2


def test_a_lab_that_serves_a_past_is_not_the_one_that_runs():
    exercise = next(each for each in all_exercises().values() if each.live)
    with Client("http://127.0.0.1:9") as now, Client("http://127.0.0.1:9", at=1.7e9) as then:
        runs = SimpleNamespace(kind="lab", client=now)
        recording = SimpleNamespace(kind="recording", client=then)
        assert lab_for(exercise, [runs, recording]) is runs
        assert lab_for(exercise, [recording]) is None


def test_a_store_that_fails_leaves_nothing_running(prometheus_binary: Binary):
    def full(*_: object) -> None:
        raise LabError("The disk is full.")

    servers = Servers(binary=lambda _: prometheus_binary, store=full)
    with pytest.raises(LabError, match="full"):
        servers.start("own")


def test_the_data_of_an_exercise_opens_as_a_lab_once(monkeypatch: pytest.MonkeyPatch):
    opened: list[SimpleNamespace] = []

    def open_history(past: object, name: str) -> SimpleNamespace:
        lab = SimpleNamespace(past=past, name=name, kind="history", came=0)
        lab.come_forward = lambda: setattr(lab, "came", lab.came + 1)
        opened.append(lab)
        return lab

    monkeypatch.setattr("labkit.opening.open_history", open_history)
    monkeypatch.setattr(desk, "_labs", lambda: opened)
    lab = teaching.open_exercise("errors-1")
    assert lab.past is material.past("days")
    assert lab.name == "exercises: days"
    assert teaching.open_exercise("count-1") is lab
    assert lab.came == 1
    with pytest.raises(LabError, match="needs no data"):
        teaching.open_exercise("count-4")


def test_files_are_named_like_their_notebooks():
    for path in COURSES.glob("*.yml"):
        assert {each.notebook for each in read(path)} == {path.stem}


def test_a_record_is_plain_json(record: Record):
    record.change("try-1", revealed)
    told = json.loads(record.path.read_text())
    assert told["version"] == 1
    assert told["exercises"]["try-1"]["saw_solution"] is True


def test_what_is_asked_twice_of_a_reference_is_asked_once(live: tuple[Servers, SimpleNamespace]):
    servers, _ = live
    seen, _ = servers.start("live")
    asked: list[str] = []

    class Counting(HistoryClient):
        def get(self, path: str, **parameters: object) -> object:
            asked.append(path)
            return super().get(path, **parameters)

    with Counting(seen.client.url, material.past("live")) as client:
        ground = Ground(client, [material.past("live").end - 120], words="here")
        first = ground.expected("sum(up)")
        count = asked.count("query")
        assert ground.expected("sum(up)") == first
        assert ground.at(ground.moments).expected("sum(up)") == first
        assert asked.count("query") == count
        assert ground.given("sum(up)") == first
        assert asked.count("query") == count + 1
