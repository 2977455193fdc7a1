"""Marking rules files, and tests of rules: read by promtool, compared by what they do."""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, QueryError
from labkit.prometheus.ruletest import RULES_FILE, run_test
from labkit.promql.steps import step_in_ms
from labkit.teaching.exercises import Tolerance
from labkit.teaching.feedback import Case, diagnose, plain
from labkit.teaching.results import same
from labkit.teaching.values import raw, window
from labkit.teaching.verdict import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labkit.teaching.exercises import Exercise
    from labkit.teaching.results import Ground

# An alert is about which series there are; what value each has when it fires is the writer's.
_PRESENCE = Tolerance(absolute=float("inf"))


@dataclass(frozen=True)
class Rule:
    """A rule of a file.

    Attributes:
        name: of the alert or of the series that is recorded.
        kind: ``alert`` or ``record``.
        expr: its expression.
        for_ms: how long it has to hold, in milliseconds.
        labels: that it adds.
        annotations: its words.
    """

    name: str
    kind: str
    expr: str
    for_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def tolerance(self) -> Tolerance:
        """How its expression is compared."""
        return _PRESENCE if self.kind == "alert" else Tolerance()


def compare(
    exercise: Exercise, answer: str, grounds: Sequence[Ground], promtool: Path | None
) -> Diagnosis | None:
    """Return what is wrong with a rules file, or None where it does what the reference does.

    Raises:
        LabError: promtool is missing, or the servers are not reached.
    """
    from labkit.prometheus import ruleset

    try:
        ruleset.check(answer, "your rules", require(promtool))
        given = read(answer)
    except LabError as error:
        return Diagnosis("refused", error.message, error.evidence)
    for ground in grounds:
        found = _differs(exercise, given, read(exercise.answer), ground)
        if found is not None:
            return _listed(exercise, given, ground) or found
    return None


def read(text: str) -> list[Rule]:
    """Return the rules in a file's text.

    Raises:
        LabError: it is no YAML, or holds no rules.
    """
    import yaml

    try:
        told = yaml.safe_load(text)
        return [_rule(each) for group in told["groups"] for each in group["rules"]]
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise LabError(
            "This is no rules file: it begins with `groups:`, each with a `name` and `rules`.",
            evidence=str(error),
        ) from error


def judge_test(exercise: Exercise, answer: str, promtool: Path | None) -> Diagnosis | None:
    """Return what is wrong with a test of rules, or None where it is a good one.

    A good one passes for the rules that are given, and fails for each broken version of them.

    Raises:
        LabError: promtool is missing.
    """
    program = require(promtool)
    if not _names_its_rules(answer):
        return Diagnosis(
            "files",
            f"This test does not know the rules: `rule_files: [{RULES_FILE}]` names their file.",
        )
    words = run_test(answer, exercise.given, program)
    if words:
        for wrong in exercise.wrong:
            if _expectations(wrong.answer) == _expectations(answer) is not None:
                return Diagnosis("listed", wrong.feedback, words)
        return Diagnosis("fails", "This test fails, and the rules are right.", words)
    for rules, feedback in exercise.mutants:
        if not run_test(answer, rules, program):
            return Diagnosis("weak", f"A test should fail for rules that are broken. {feedback}")
    return None


def require(promtool: Path | None) -> Path:
    """Return promtool.

    Raises:
        LabError: there is none.
    """
    if promtool is None:
        raise LabError(
            "Rules are checked by promtool, and there is none beside this Prometheus.",
            next_step="`labkit prometheus` fetches Prometheus with its promtool.",
        )
    return promtool


def _rule(told: Mapping[str, Any]) -> Rule:
    kind = "alert" if "alert" in told else "record"
    return Rule(
        name=str(told[kind]),
        kind=kind,
        expr=str(told["expr"]).strip(),
        for_ms=step_in_ms(told["for"]) if told.get("for") not in (None, 0, "0s", "0m") else 0,
        labels={str(k): str(v) for k, v in (told.get("labels") or {}).items()},
        annotations={str(k): str(v) for k, v in (told.get("annotations") or {}).items()},
    )


def _differs(
    exercise: Exercise, given: Sequence[Rule], wanted: Sequence[Rule], ground: Ground
) -> Diagnosis | None:
    for rule in wanted:
        mine = next((r for r in given if (r.name, r.kind) == (rule.name, rule.kind)), None)
        if mine is None:
            names = ", ".join(r.name for r in given)
            what = "alert" if rule.kind == "alert" else "recording rule"
            return Diagnosis("name", f"There is no {what} {rule.name}; there is {names}.")
        found = _fields(rule, mine) or _expression(exercise, rule, mine, ground)
        if found is not None:
            return found
    return None


def _fields(rule: Rule, mine: Rule) -> Diagnosis | None:
    if mine.for_ms != rule.for_ms:
        return Diagnosis(
            "for",
            f"{rule.name} has to hold for {rule.for_ms / 1000:g} s; yours has "
            f"{mine.for_ms / 1000:g} s.",
        )
    for name, value in rule.labels.items():
        if mine.labels.get(name) != value:
            got = f"yours has {mine.labels[name]}" if name in mine.labels else "yours has none"
            return Diagnosis("labels", f"{rule.name} carries the label {name}: {value}; {got}.")
    extra = sorted(mine.labels.keys() - rule.labels.keys())
    if extra and rule.kind == "record":  # an alert may say more; a series would be another one
        return Diagnosis("labels", f"{rule.name} has a label too many: {', '.join(extra)}.")
    if missing := sorted(rule.annotations.keys() - mine.annotations.keys()):
        return Diagnosis(
            "annotations", f"{rule.name} needs words for whoever is called: {', '.join(missing)}."
        )
    return None


def _expression(exercise: Exercise, rule: Rule, mine: Rule, ground: Ground) -> Diagnosis | None:
    try:
        given = ground.given(mine.expr)
    except QueryError as error:
        return Diagnosis("refused", error.message, error.evidence)
    expected = ground.expected(rule.expr)
    if same(expected, given, rule.tolerance):
        return None
    part = replace(exercise, answer=rule.expr, wrong=(), tolerance=rule.tolerance)
    case = Case(part, mine.expr, ground, tuple(expected), tuple(given))
    found = _when(case) if rule.kind == "alert" else None
    if found is not None:
        return replace(found, words=f"{rule.name} {found.words}")
    found = diagnose(case)
    return replace(found, words=f"The expression of {rule.name}: {found.words}")


def _when(case: Case) -> Diagnosis | None:
    """Say when an alert fires that should not, or does not and should."""
    pairs = list(zip(case.expected, case.given, strict=True))
    early = [mine for wanted, mine in pairs if mine.series and not wanted.series]
    there = [mine for wanted, mine in pairs if wanted.series]
    if not any(mine.series for mine in there):
        found = window(case) or Diagnosis("never", "Its expression gives nothing then.")
        words = "does not fire at the moments that were checked, where it should."
    elif early and all(mine.series for _, mine in pairs):
        found = Diagnosis(
            "always",
            "An alert fires for every series that its expression gives, whatever its value.",
        )
        words = "fires even when all is well."
    elif early:
        found = window(case) or raw(case) or Diagnosis("early", "")
        words = "fires at some of the moments that were checked, where it should not."
    elif not all(mine.series for mine in there):
        found = window(case) or raw(case) or Diagnosis("late", "")
        words = "does not fire at some of the moments that were checked, where it should."
    else:
        return None
    return replace(found, words=f"{words} {found.words}".strip())


def _listed(exercise: Exercise, given: Sequence[Rule], ground: Ground) -> Diagnosis | None:
    usual = [(wrong, _sorted(read(wrong.answer))) for wrong in exercise.wrong]
    for alike in (_is_written_alike, _does_the_same):
        for wrong, rules in usual:
            if _are_headed_alike(rules, _sorted(given)) and all(
                alike(rule, mine, ground) for rule, mine in zip(rules, _sorted(given), strict=True)
            ):
                return Diagnosis("listed", wrong.feedback)
    return None


def _is_written_alike(rule: Rule, mine: Rule, ground: Ground) -> bool:
    del ground
    return plain(rule.expr) == plain(mine.expr)


def _does_the_same(rule: Rule, mine: Rule, ground: Ground) -> bool:
    """Whether two expressions give the same, and that is something."""
    try:
        first, second = ground.expected(rule.expr), ground.given(mine.expr)
    except QueryError:
        return False
    return any(result.series for result in first) and same(first, second, rule.tolerance)


def _sorted(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: (rule.kind, rule.name))


def _are_headed_alike(rules: Sequence[Rule], given: Sequence[Rule]) -> bool:
    """Whether two lists of rules differ in expressions and words, or in more labels, only."""
    return len(rules) == len(given) and all(
        (rule.kind, rule.name, rule.for_ms) == (mine.kind, mine.name, mine.for_ms)
        and rule.labels.items() <= mine.labels.items()
        for rule, mine in zip(rules, given, strict=True)
    )


def _names_its_rules(text: str) -> bool:
    """Whether a test names the file of its rules; also where it is no test that can be read."""
    import yaml

    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError:
        return True
    if not isinstance(told, dict):
        return True
    files = told.get("rule_files")
    names = files if isinstance(files, list) else []
    return any(fnmatch.fnmatch(RULES_FILE, posixpath.normpath(str(name))) for name in names)


def _expectations(text: str) -> object:
    """Return which alerts a test expects when, without how it is written; None for no test."""
    import yaml

    try:
        return [
            (str(each["eval_time"]), str(each["alertname"]), each.get("exp_alerts") or [])
            for test in yaml.safe_load(text)["tests"]
            for each in test["alert_rule_test"]
        ]
    except (yaml.YAMLError, TypeError, KeyError):
        return None
