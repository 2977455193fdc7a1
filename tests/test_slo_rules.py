"""Rules of objectives: refused or not by promtool, tested by it, and in a lab that runs."""

from __future__ import annotations

import re
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml

from labkit.lab import Lab
from labkit.prometheus.ruleset import Rules, check
from labkit.slo import SLO
from labkit.slo.ruletests import series_of
from tests.prometheus_lines import binaries

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.prometheus.binary import Binary

AVAILABILITY, LATENCY = SLO.availability(), SLO.latency(99)
CASES = [
    pytest.param(AVAILABILITY, 1, {}, id="availability"),
    pytest.param(LATENCY, 60, {}, id="latency at speed 60"),
    pytest.param(SLO.latency(95, seconds=2), 1, {}, id="a boundary of whole seconds"),
    pytest.param(SLO.availability(99.999), 1, {}, id="five nines"),
    pytest.param(SLO.latency(99.9999), 1, {}, id="six nines"),
    pytest.param(SLO.availability(99.9, window="29d"), 1, {}, id="another window"),
    pytest.param(SLO.availability(99.5, window="7d"), 1, {}, id="a week"),
    pytest.param(AVAILABILITY, 1, {"least_failed": 0}, id="however few fail"),
    pytest.param(LATENCY, 240, {"least_failed": 40}, id="windows of four scrapes"),
]


def promtool_says(binary: Binary, folder: Path, rules: str, tests: str) -> tuple[int, str]:
    """Have promtool test rules; return its exit code and its words."""
    if binary.promtool is None:
        pytest.skip(f"no promtool of version {binary.version}")
    (folder / "slo.rules.yml").write_text(rules)
    (folder / "slo.test.yml").write_text(tests)
    done = subprocess.run(
        [binary.promtool, "test", "rules", "slo.test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("slo", "speed", "settings"), CASES)
def test_promtool_accepts_the_rules_and_their_tests_hold(
    prometheus_binary: Binary, tmp_path: Path, slo: SLO, speed: float, settings: dict[str, int]
) -> None:
    rules = slo.rules(speed, **settings)
    if prometheus_binary.promtool is not None:
        check(rules, "the rules", prometheus_binary.promtool)
    code, words = promtool_says(
        prometheus_binary, tmp_path, rules, slo.rule_tests("slo.rules.yml", speed, **settings)
    )
    assert code == 0, words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("14.4 * ", "25 * "),
        (" and slo", " or slo"),
        ("ratio_rate1d{", "ratio_rate6h{"),
        (">= 5", ">= 0"),
        (">= 5", ">= 50"),
    ],
)
def test_broken_rules_fail_their_tests(tmp_path: Path, old: str, new: str) -> None:
    """Tests that are not read, or assert nothing, would pass whatever the rules say."""
    rules = re.sub(r"\n +and slo", " and slo", AVAILABILITY.rules())
    assert old in rules
    tests = AVAILABILITY.rule_tests("slo.rules.yml")
    code, words = promtool_says(binaries()[-1], tmp_path, rules.replace(old, new), tests)
    assert code == 1, words
    assert "Availability" in words


def test_an_objective_in_which_no_page_can_fire_has_rules_and_tests_all_the_same(
    tmp_path: Path,
) -> None:
    low = SLO.availability(80)
    with pytest.warns(UserWarning, match="can't fire") as told:
        rules = low.rules()
    assert len(told) == 2
    assert told[0].filename == __file__
    assert "# The pair 1h/5m of AvailabilityFastBurn can't fire" in rules
    code, words = promtool_says(binaries()[-1], tmp_path, rules, low.rule_tests("slo.rules.yml"))
    assert code == 0, words


def test_records_and_alerts_are_named_and_worded_as_in_the_lab() -> None:
    (group,) = yaml.safe_load(AVAILABILITY.rules())["groups"]
    assert group["name"] == "slo-availability"
    every = [rule for rule in group["rules"] if "record" in rule]
    records = [rule for rule in every if "_rate" in rule["record"]]
    windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
    assert [rule["record"] for rule in records] == [
        f"slo:errors_per_request:ratio_rate{window}" for window in windows
    ]
    counts = [rule["record"] for rule in every if rule not in records]
    assert counts == [f"slo:failed_requests:increase{long}" for long in ("1h", "6h", "1d", "3d")]
    assert all(rule["labels"] == {"slo": "availability"} for rule in every)
    alerts = [rule for rule in group["rules"] if "alert" in rule]
    assert [rule["alert"] for rule in alerts] == ["AvailabilityFastBurn", "AvailabilitySlowBurn"]
    assert [rule["labels"]["severity"] for rule in alerts] == ["page", "ticket"]
    for rule in alerts:
        assert set(rule["annotations"]) == {"summary", "description", "next_step"}
        assert "{{" not in rule["annotations"]["summary"], "it is shown while nothing fires, too"
    assert group["rules"] == [*every, *alerts], "an alert sees the records of its evaluation"


def test_how_many_requests_have_to_fail_can_be_said() -> None:
    assert 'slo:failed_requests:increase1h{slo="availability"} >= 5' in AVAILABILITY.rules()
    assert ">= 20" in AVAILABILITY.rules(least_failed=20)
    for text in (AVAILABILITY.rules, partial(AVAILABILITY.rule_tests, "x.yml")):
        without = text(least_failed=0)
        assert "failed_requests" not in without
        assert "failures among" not in without
    for wrong in (-1, 2.5, 10_001, "5", None, True):
        with pytest.raises(ValueError, match=r"least_failed is .*; it is a whole number from 0"):
            AVAILABILITY.rules(least_failed=wrong)  # type: ignore[arg-type] # as people type it


def test_two_objectives_can_be_in_force_together() -> None:
    rules = Rules.parse(AVAILABILITY.rules()).rules + Rules.parse(LATENCY.rules()).rules
    assert len(set(rules)) == len(rules)
    own = SLO("slow-answers in EU", objective=99, good="good_total", total="all_total")
    assert "alert: SlowAnswersInEUFastBurn" in own.rules()


def test_speed_makes_windows_shorter_down_to_four_scrapes() -> None:
    assert "[5s]" in AVAILABILITY.rules(60)
    assert "for: 2s" in AVAILABILITY.rules(60)
    assert "ratio_rate72m" in AVAILABILITY.rules(60)
    slow = AVAILABILITY.rules(60, scrape_interval=5)
    assert "[5s]" not in slow
    assert "[20s]" in slow
    with pytest.warns(UserWarning, match="Both windows of a pair of AvailabilityFastBurn are 1m"):
        AVAILABILITY.rules(60, scrape_interval=15)
    for speed, interval, words in ((0.5, 1, "speed"), (9999, 1, "speed"), (1, 0, "scrape_int")):
        with pytest.raises(ValueError, match=words):
            AVAILABILITY.rules(speed, interval)


def test_series_are_made_up_that_meet_the_selectors() -> None:
    good, total = AVAILABILITY.good, AVAILABILITY.total
    assert series_of(good) == 'flask_requests_total{status="200"}'
    assert series_of(total, but_not=good) == 'flask_requests_total{status="500"}'
    assert series_of('a{b="x\\"y",c=~"p.q|r"}') == 'a{b="x\\"y", c="p0q"}'
    assert series_of(SLO.latency(seconds=2).good) == (
        'flask_request_duration_seconds_bucket{le="2"}'
    )
    assert series_of('a{le=~"(0[.]3|1)"}') == 'a{le="0.3"}'
    assert series_of("a", but_not='a{b!="x"}') == 'a{b="x"}'
    with pytest.raises(ValueError, match="no series came to mind"):
        series_of('a{b=~"[k-m]{7}"}')


@pytest.mark.slow
def test_a_page_that_takes_an_hour_fires_within_a_minute_at_speed_60(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))
    with Lab(seed=7, scrape_interval=0.25) as lab:
        lab.faults.preset("healthy")
        lab.add_rules(AVAILABILITY.rules(speed=60, scrape_interval=lab.scrape_interval))
        # An error ratio of 20 % would cross 14.4 * 0.5 % over an hour after 22 minutes.
        run = lab.traffic(requests=1200, seconds=30)
        lab.wait_for("sum(increase(flask_requests_total[1m])) > 80")
        lab.wait_for_alert("AvailabilityFastBurn", state="inactive", timeout=1)
        assert AVAILABILITY.report(lab).budget_left > 0
        lab.faults.health_failure_probability = 1.0
        begun = time.monotonic()
        row = lab.wait_for_alert("AvailabilityFastBurn", timeout=50)
        assert time.monotonic() - begun < 60
        run.stop()
        assert row["labels"] == {"slo": "availability", "severity": "page"}
        assert row["value"] > 14.4 * 0.005
        report = AVAILABILITY.report(lab)
        assert report.budget_left < 0
        assert "they reach back" in str(report)
        assert report.data_seconds < 120
