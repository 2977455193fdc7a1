"""Every exercise, on both lines of Prometheus: right answers pass, wrong ones get their words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from labkit.teaching.exercises import all_exercises
from labkit.teaching.marking import mark
from labkit.teaching.results import distance
from tests import lucky_answers, told_answers
from tests.teaching_grounds import all_servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from labkit.prometheus.candidate import Binary
    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Ground
    from labkit.teaching.servers import Servers

APART = 5  # tolerances between the reference and each wrong answer, at every moment

every_exercise = pytest.mark.parametrize("exercise", all_exercises().values(), ids=lambda e: e.id)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("histories")


@pytest.fixture(scope="module")
def servers(prometheus_binary: Binary, cache: Path) -> Iterator[Mapping[str, Servers]]:
    with all_servers(prometheus_binary, cache) as running:
        yield running


def on_histories(exercise: Exercise, servers: Mapping[str, Servers]) -> list[Ground]:
    from dataclasses import replace

    if not exercise.history:
        return []
    return servers[exercise.history].grounds(replace(exercise, live=False))


def check_soundness(exercise: Exercise, grounds: list[Ground]) -> None:
    """The reference is there at every moment, and each wrong answer far from it."""
    for ground in grounds:
        asked = exercise.moments if not exercise.quiet else exercise.moments + exercise.quiet
        expected = ground.expected(exercise.answer)
        for result in expected[: len(exercise.moments)]:
            assert result.series, f"empty on {ground.words} at {result.time}"
            assert not any(math.isnan(value) for value in result.series.values())
        for wrong in exercise.wrong:
            if wrong.refused:
                continue
            given = ground.expected(wrong.answer)
            off = [distance(a, b, exercise.tolerance) for a, b in zip(expected, given, strict=True)]
            assert len(off) == len(asked)
            # A filter that should say nothing at quiet moments may be right at the others.
            near = max(off) if exercise.quiet else min(off)
            assert near >= APART, f"{wrong.answer} on {ground.words}: {off}"


@every_exercise
def test_right_answers_pass_and_wrong_ones_get_their_own_words(
    exercise: Exercise, servers: Mapping[str, Servers], prometheus_binary: Binary
):
    grounds = on_histories(exercise, servers)
    for answer in (exercise.answer, *exercise.also_right):
        verdict = mark(exercise, answer, grounds, prometheus_binary.promtool)
        assert verdict.right, f"{answer}\n{verdict}"
    for wrong in exercise.wrong:
        verdict = mark(exercise, wrong.answer, grounds, prometheus_binary.promtool)
        assert not verdict.right, wrong.answer
        assert verdict.reason == "listed", f"{wrong.answer}\n{verdict}"
        assert verdict.feedback == wrong.feedback, wrong.answer
    for option in exercise.options:
        by_key, by_text = (mark(exercise, said) for said in (option.key, option.text))
        assert by_key == by_text
        assert by_key.right == (option.key == exercise.answer)
        assert by_key.right or by_key.feedback == option.feedback
    if exercise.kind == "query":
        check_soundness(exercise, grounds)


@every_exercise
def test_every_exercise_has_what_it_takes(exercise: Exercise):
    assert exercise.task.strip()
    assert len(set(exercise.hints)) == 2
    if exercise.kind in {"query", "rule", "rule-test"}:
        assert len(exercise.also_right) >= 2
        assert len(exercise.wrong) >= 2
        assert len({exercise.answer, *exercise.also_right}) == len(exercise.also_right) + 1
    if exercise.kind == "query":
        assert len(exercise.moments) >= 4
        assert all(moment % 60 == 0 for moment in exercise.moments + exercise.quiet)
    if exercise.kind == "number":
        assert len(exercise.wrong) >= 2
    if exercise.kind == "choice":
        assert len(exercise.options) >= 3


def test_there_are_enough_of_each_kind_and_level():
    every = all_exercises().values()
    assert len(every) >= 55
    assert len({each.notebook for each in every}) == 11
    for level in (1, 2, 3):
        assert sum(each.level == level for each in every) >= 10
    assert {each.kind for each in every} == {"query", "number", "choice", "rule", "rule-test"}


def test_a_number_typed_in_fails_on_the_twin(servers: Mapping[str, Servers]):
    """A constant that is right at one moment of what the learner sees is wrong elsewhere."""
    from dataclasses import replace

    exercise = all_exercises()["find-5"]
    seen, twin = on_histories(exercise, servers)
    (value,) = seen.expected(exercise.answer)[0].series.values()
    verdict = mark(exercise, f"vector({value!r})", [seen, twin])
    assert (verdict.right, verdict.reason) == (False, "hidden")
    assert "another" in verdict.data
    assert verdict.differences[0].given == value
    assert mark(exercise, f"vector({value!r})", [seen]).right
    plain = replace(exercise, wrong=())
    assert mark(plain, f"scalar({exercise.answer})", [seen, twin]).right


@pytest.mark.parametrize(
    "exercise",
    [
        each
        for each in all_exercises().values()
        if each.kind == "query" and each.id not in {"open-4", "alert-3"}  # about targets
    ],
    ids=lambda each: each.id,
)
def test_one_number_may_have_a_label(exercise: Exercise, servers: Mapping[str, Servers]):
    grounds = on_histories(exercise, servers)
    asked = {labels for result in grounds[0].expected(exercise.answer) for labels in result.series}
    if asked == {frozenset()}:
        labelled = f'label_replace({exercise.answer}, "of", "mine", "", "")'
        assert mark(exercise, labelled, grounds).right


@pytest.mark.parametrize(
    ("id_", "answer"),
    [
        (
            "count-6",
            'sum by (instance) (rate(flask_requests_total{instance="app-1"}[1h]))'
            " / on () group_left sum(rate(flask_requests_total[1h]))",
        ),
        (
            "lat-3",
            'sum by (le) (rate(flask_request_duration_seconds_bucket{le="0.3"}[10m]))'
            " / on () group_left sum(rate(flask_request_duration_seconds_count[10m]))",
        ),
        ("count-3", "max by (instance) (resets(flask_requests_total[2d]))"),
    ],
)
def test_other_right_answers_pass(id_: str, answer: str, servers: Mapping[str, Servers]):
    exercise = all_exercises()[id_]
    verdict = mark(exercise, answer, on_histories(exercise, servers))
    assert verdict.right, verdict


@pytest.mark.parametrize(("id_", "answer"), lucky_answers.LUCKY)
def test_a_lucky_answer_is_not_right(id_: str, answer: str, servers: Mapping[str, Servers]):
    exercise = all_exercises()[id_]
    assert not lucky_answers.is_right(exercise, answer, on_histories(exercise, servers))


@pytest.mark.parametrize(
    "exercise",
    [each for each in all_exercises().values() if each.history],
    ids=lambda each: each.id,
)
def test_what_misses_the_point_of_an_exercise_is_not_right(
    exercise: Exercise, servers: Mapping[str, Servers]
):
    grounds = on_histories(exercise, servers)
    right = {
        answer
        for answer in lucky_answers.made(exercise, grounds)
        if lucky_answers.is_right(exercise, answer, grounds)
    }
    assert right == {answer for id_, answer in lucky_answers.HONEST if id_ == exercise.id}


@pytest.mark.parametrize(
    ("id_", "answer", "number"),
    [
        ("count-2", "sum(rate(flask_request_duration_seconds_count[1h]))", 0),
        (
            "errors-1",
            'rate(flask_requests_total{status=~"5.."}[10m]) / increase(flask_requests_total[10m])'
            " * 600",
            0,
        ),
        (
            "errors-2",
            'sum(rate(flask_requests_total{status=~"5.."}[10m])) / '
            "sum(rate(flask_request_duration_seconds_count[10m]))",
            3,
        ),
        ("join-1", "sum  by( endpoint )(flask_requests_total{status =~ '5..'}) == 0", 0),
    ],
)
def test_a_typical_mistake_is_known_by_its_result_however_it_is_written(
    id_: str, answer: str, number: int, servers: Mapping[str, Servers]
):
    exercise = all_exercises()[id_]
    verdict = mark(exercise, answer, on_histories(exercise, servers))
    assert verdict.reason == "listed", verdict
    assert verdict.feedback == exercise.wrong[number].feedback


@pytest.mark.parametrize(
    ("id_", "answer", "reason", "words"), told_answers.FEEDBACK, ids=lambda text: text[:30]
)
def test_other_wrong_answers_are_told_what_is_wrong(
    id_: str, answer: str, reason: str, words: str, servers: Mapping[str, Servers]
):
    exercise = all_exercises()[id_]
    verdict = mark(exercise, answer, on_histories(exercise, servers))
    assert (verdict.right, verdict.reason) == (False, reason), verdict
    assert words in verdict.feedback
    if reason == "refused":
        assert "^" in verdict.evidence


def test_a_window_of_looks_is_not_called_a_raw_counter(servers: Mapping[str, Servers]):
    exercise = all_exercises()["count-1"]
    answer = "sum by (endpoint) (rate(flask_requests_total[1h:1m]))"
    verdict = mark(exercise, answer, on_histories(exercise, servers))
    # Prometheus 3 looks at the very minutes that begin and end the window, and gives the same.
    assert verdict.right or verdict.reason == "subquery", verdict
    assert verdict.right or "flask_requests_total[1h]." in verdict.feedback


def test_a_rule_is_told_what_is_wrong_with_it(
    servers: Mapping[str, Servers], prometheus_binary: Binary
):
    for id_, old, new, reason in (
        ("alert-1", "ManyErrors", "Others", "name"),
        ("alert-1", "severity: page", "severity: ticket", "labels"),
        ("alert-1", "for: 15s", "for: 20s", "for"),
        ("alert-1", "summary:", "text:", "annotations"),
        ("alert-1", "for: 15s", "for: soon", "refused"),
        ("alert-1", "> 0.2", "> 0.9", "never"),
        ("alert-1", "[30s]", "[5m]", "window"),
        (
            "alert-6",
            "rate(flask_request_duration_seconds_bucket[1m])",
            "flask_request_duration_seconds_bucket",
            "raw",
        ),
        ("alert-6", "> 0.5", "> 0.3", "early"),
        ("alert-6", "> 0.5", "> 1", "late"),
        ("alert-6", "> 0.5", ">= 0", "always"),
    ):
        exercise = all_exercises()[id_]
        grounds = on_histories(exercise, servers)
        assert old in exercise.answer
        verdict = mark(
            exercise, exercise.answer.replace(old, new), grounds, prometheus_binary.promtool
        )
        assert (verdict.right, verdict.reason) == (False, reason), verdict


def test_a_rule_that_is_late_is_not_called_one_that_never_fires(
    servers: Mapping[str, Servers], prometheus_binary: Binary
):
    exercise = all_exercises()["alert-1"]
    late = exercise.answer.replace("> 0.2", "> 0.9")
    verdict = mark(exercise, late, on_histories(exercise, servers), prometheus_binary.promtool)
    assert "does not fire at the moments" in verdict.feedback


def test_an_alert_may_carry_other_labels_too(
    servers: Mapping[str, Servers], prometheus_binary: Binary
):
    exercise = all_exercises()["alert-1"]
    grounds = on_histories(exercise, servers)
    more = exercise.answer.replace("severity: page", "severity: page\n          team: web")
    assert mark(exercise, more, grounds, prometheus_binary.promtool).right
    wrong = mark(exercise, more.replace("> 0.2", "> 20"), grounds, prometheus_binary.promtool)
    assert wrong.feedback == exercise.wrong[0].feedback
    record = all_exercises()["alert-4"]
    labelled = f"{record.answer}\n        labels: {{team: web}}"
    verdict = mark(record, labelled, on_histories(record, servers), prometheus_binary.promtool)
    assert (verdict.right, verdict.reason) == (False, "labels"), verdict


@pytest.mark.parametrize(
    "files", ["", "rule_files: []", "rule_files: [other.yml]", "rule_files: 3"]
)
def test_a_test_without_its_rules_is_told_so(files: str, prometheus_binary: Binary):
    exercise = all_exercises()["alert-5"]
    answer = exercise.answer.replace("rule_files: [rules.yml]", files)
    verdict = mark(exercise, answer, (), prometheus_binary.promtool)
    assert (verdict.right, verdict.reason) == (False, "files"), verdict
    assert "rule_files" in verdict.feedback
    for named in ("rule_files: [./rules.yml]", 'rule_files: ["rul*.yml"]'):
        answer = exercise.answer.replace("rule_files: [rules.yml]", named)
        assert mark(exercise, answer, (), prometheus_binary.promtool).right


def test_a_test_that_would_pass_for_broken_rules_is_too_weak(prometheus_binary: Binary):
    exercise = all_exercises()["alert-5"]
    promtool = prometheus_binary.promtool
    lines = exercise.answer.splitlines()
    place = next(n for n, line in enumerate(lines) if "10s" in line)
    weak = "\n".join([*lines[:place], *lines[place + 3 :]])
    verdict = mark(exercise, weak, (), promtool)
    assert (verdict.right, verdict.reason) == (False, "weak")
    assert "without `for`" in verdict.feedback
    broken = exercise.answer.replace("severity: page", "severity: nobody")
    verdict = mark(exercise, broken, (), promtool)
    assert (verdict.right, verdict.reason) == (False, "fails")
    assert "nobody" in verdict.evidence
