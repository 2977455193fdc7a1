"""Faults: chances and latencies that change while the app runs."""

from __future__ import annotations

import math
import threading

import pytest

from app.faults import Faults

CLASSIC = {
    "health_failure_probability": 0.20,
    "slow_timeout_probability": 0.30,
    "slow_min_seconds": 0.5,
    "slow_max_seconds": 2.0,
    "slow_timeout_seconds": 2.0,
    "error_failure_probability": 1.0,
}
KINDS = ["a", "b", "c", "d"]


def _draws(faults: Faults, count: int = 50) -> list[object]:
    return [
        (faults.health_fails(), faults.slow_delay(), faults.error_kind(KINDS)) for _ in range(count)
    ]


def test_classic_is_the_default():
    assert Faults().to_dict() == CLASSIC


def test_healthy_keeps_every_endpoint_under_a_thousandth_of_5xx():
    faults = Faults("healthy")
    assert faults.health_failure_probability < 0.001
    assert faults.slow_timeout_probability < 0.001
    assert faults.error_failure_probability / 2 < 0.001  # two kinds of four are 5xx
    assert faults.slow_max_seconds < 0.3


def test_a_preset_replaces_everything_but_the_fields_given():
    faults = Faults()
    faults.update(health_failure_probability=0.9)
    faults.preset("classic", slow_min_seconds=0.01)
    assert faults.to_dict() == {**CLASSIC, "slow_min_seconds": 0.01}


def test_assigning_a_field_is_an_update():
    faults = Faults()
    faults.slow_timeout_probability = 1
    assert faults.slow_timeout_probability == 1.0
    assert faults.slow_delay() == (2.0, True)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf, True, "0.5", None, 10**400])
def test_a_value_out_of_range_is_refused_with_the_range(value):
    faults = Faults()
    with pytest.raises(ValueError, match="health_failure_probability must be a number from 0 to 1"):
        faults.health_failure_probability = value
    assert faults.to_dict() == CLASSIC


def test_seconds_have_a_cap():
    with pytest.raises(ValueError, match=r"from 0 to 60 \(seconds\)"):
        Faults().update(slow_max_seconds=61)


def test_an_unknown_field_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="there is no field 'helth'; there are health_failure"):
        Faults().update(helth=0.5)


def test_a_misspelt_field_is_refused_with_the_nearest_one():
    faults = Faults()
    with pytest.raises(AttributeError, match="'health_probability', perhaps health_failure_prob"):
        faults.health_probability = 0.9  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="there is no field 'rain'; there are health_failure"):
        faults.rain = 1  # type: ignore[attr-defined]
    assert faults.to_dict() == CLASSIC


@pytest.mark.parametrize("name", ["sunny", "", [], {}, None, 3])
def test_an_unknown_preset_is_refused(name):
    with pytest.raises(ValueError, match="there are classic, healthy"):
        Faults().preset(name)


def test_the_slowest_answer_cannot_be_faster_than_the_fastest():
    faults = Faults()
    with pytest.raises(ValueError, match="slow_min_seconds"):
        faults.update(slow_max_seconds=0.4)
    faults.update(slow_min_seconds=0.1, slow_max_seconds=0.4)
    assert faults.slow_max_seconds == 0.4


def test_nothing_changes_when_one_field_of_several_is_refused():
    faults = Faults()
    with pytest.raises(ValueError, match="slow_min_seconds"):
        faults.update(health_failure_probability=0.5, slow_min_seconds=-1)
    assert faults.to_dict() == CLASSIC


def test_what_to_dict_returns_is_a_copy_that_update_takes_back():
    faults = Faults("healthy")
    values = faults.to_dict()
    values["slow_min_seconds"] = 0.0
    assert faults.slow_min_seconds == 0.05
    faults.update(**values)
    assert faults.to_dict() == values


def test_the_same_seed_draws_the_same():
    assert _draws(Faults(seed=3)) == _draws(Faults(seed=3))
    assert _draws(Faults(seed=3)) != _draws(Faults(seed=4))


def test_reseeding_starts_the_sequence_again():
    faults = Faults(seed=3)
    first = _draws(faults)
    faults.reseed(3)
    assert _draws(faults) == first


def test_the_draws_follow_the_probabilities():
    faults, count = Faults(seed=1), 20_000
    fails = sum(faults.health_fails() for _ in range(count)) / count
    delays = [faults.slow_delay() for _ in range(count)]
    kinds = [faults.error_kind(KINDS) for _ in range(count)]
    assert fails == pytest.approx(0.20, abs=0.01)
    assert sum(d.timed_out for d in delays) / count == pytest.approx(0.30, abs=0.01)
    assert all(d.seconds == 2.0 for d in delays if d.timed_out)
    answered = [d.seconds for d in delays if not d.timed_out]
    assert (min(answered), max(answered)) == pytest.approx((0.5, 2.0), abs=0.01)
    assert sum(d.seconds for d in delays) / count == pytest.approx(1.475, abs=0.02)
    assert [kinds.count(kind) / count for kind in KINDS] == pytest.approx([0.25] * 4, abs=0.01)


def test_certain_and_impossible_are_exact():
    faults = Faults(seed=1)
    faults.update(health_failure_probability=1, error_failure_probability=0)
    assert all(faults.health_fails() for _ in range(1000))
    assert {faults.error_kind(KINDS) for _ in range(1000)} == {None}


def test_a_reader_never_sees_half_a_change():
    faults = Faults()
    stop, torn = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            values = faults.to_dict()
            if values["slow_min_seconds"] != values["slow_max_seconds"] - 1:
                torn.append(values)

    faults.update(slow_min_seconds=1, slow_max_seconds=2)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2000):
        low = number % 5
        faults.update(slow_min_seconds=low, slow_max_seconds=low + 1)
    stop.set()
    reader.join(5)
    assert not torn


def test_fields_carry_what_a_form_needs():
    fields = Faults.fields()
    assert [*fields] == [*CLASSIC]
    assert fields["slow_max_seconds"].unit == "seconds"
    assert fields["slow_max_seconds"].maximum == 60
    assert fields["health_failure_probability"].maximum == 1
    assert all(field.meaning for field in fields.values())
