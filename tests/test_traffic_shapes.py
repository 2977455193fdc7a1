"""Load shapes: exact schedules, honest ranges, and the way to the worker and back."""

from __future__ import annotations

import json
import math
import random
from itertools import islice

import pytest

from labkit.traffic.caps import Caps
from labkit.traffic.shapes import (
    Chain,
    Constant,
    Continuous,
    Controlled,
    Ramp,
    Spike,
    Wave,
    from_dict,
    to_dict,
)

OPEN = [
    Controlled(7, 3),
    Constant(2.5, 10),
    Ramp(0, 20, 10),
    Ramp(20, 0, 10),
    Ramp(5, 5, 4),
    Wave(0, 20, 5, 12),
    Wave(3, 3, 5, 12),
    Controlled(10, 1).then(Ramp(0, 5, 4)),
]


def test_controlled_starts_request_i_of_n_at_i_times_s_over_n():
    assert list(Controlled(4, 2).starts()) == [0.0, 0.5, 1.0, 1.5]
    assert list(Controlled(100, 60).starts()) == [i * 60 / 100 for i in range(100)]


@pytest.mark.parametrize("shape", OPEN, ids=repr)
def test_schedules_are_ordered_complete_and_inside_the_duration(shape):
    starts = list(shape.starts())
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert len(starts) == shape.count
    assert starts[-1] < shape.duration


def test_constant_rate_is_kept_and_a_part_of_a_request_counts_as_one():
    assert list(Constant(2, 2).starts()) == [0.0, 0.5, 1.0, 1.5]
    assert Constant(0.1, 60).count == 6
    assert list(Constant(0.1, 5).starts()) == [0.0]


def test_ramp_starts_where_the_area_under_the_line_is_whole():
    starts = list(Ramp(2, 6, 10).starts())
    areas = [2 * t + (6 - 2) / 10 * t**2 / 2 for t in starts]
    assert areas == pytest.approx(range(40))


def test_wave_is_slow_at_the_ends_of_its_period_and_fast_in_the_middle():
    wave = Wave(0, 20, period=10, seconds=10)
    starts = list(wave.starts())
    assert len(starts) == 100
    thirds = [sum(low <= t < low + 2 for t in starts) for low in (0, 4, 8)]
    assert thirds[1] > 5 * max(thirds[0], thirds[2])
    turn = math.tau / 10
    areas = [10 * t - 10 / turn * math.sin(turn * t) for t in starts]
    assert areas == pytest.approx(range(100), abs=1e-4)


def test_then_puts_one_schedule_after_the_other_and_stays_flat():
    joined = Controlled(2, 1).then(Constant(1, 2)).then(Controlled(1, 1))
    assert list(joined.starts()) == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert joined.duration == 4
    assert joined.peak_rate == 2
    assert len(joined.parts) == 3
    assert repr(Controlled(2, 1).then(Constant(1, 2))) == (
        "Controlled(requests=2, seconds=1.0).then(Constant(rate=1.0, seconds=2.0))"
    )


def test_then_refuses_users_in_words():
    with pytest.raises(ValueError, match="has users instead"):
        Controlled(2, 1).then(Spike(5, 10))


def test_closed_loops_have_users_and_waits():
    assert Spike().users == 5
    assert Spike().duration == 30
    assert list(islice(Spike().think_seconds(random.Random(1)), 3)) == [0, 0, 0]
    low = list(islice(Continuous("low").think_seconds(random.Random(1)), 200))
    assert 2 <= min(low) < 2.2
    assert 4.8 < max(low) <= 5
    assert low == list(islice(Continuous("low").think_seconds(random.Random(1)), 200))
    assert Continuous().duration is None


@pytest.mark.parametrize("shape", [*OPEN, Spike(3, 9), Continuous("high")], ids=repr)
def test_shapes_survive_the_way_to_the_worker(shape):
    assert from_dict(json.loads(json.dumps(to_dict(shape)))) == shape


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Controlled(0, 60), "requests must be a whole number from 1 up, not 0"),
        (lambda: Controlled(2.5, 60), "whole number"),
        (lambda: Controlled(True, 60), "whole number"),
        (lambda: Controlled(10, -1), "seconds must be more than 0, not -1"),
        (lambda: Spike("5", 1), "threads must be a whole number"),
        (lambda: Spike(5, math.nan), "seconds must be a number, not nan"),
        (lambda: Constant(math.inf, 1), "rate must be a number"),
        (lambda: Ramp(0, 0, 10), "must not both be 0"),
        (lambda: Wave(9, 3), r"high must be at least low \(9\), not 3"),
        (lambda: Continuous("huge"), "one of 'low', 'normal', 'high', not 'huge'"),
        (lambda: from_dict({"kind": "burst"}), "not a shape"),
        (lambda: from_dict({"kind": "spike", "users": 3}), "not a shape"),
    ],
)
def test_bad_numbers_are_refused_with_the_accepted_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_caps_are_those_of_the_documentation_and_name_the_range():
    caps = Caps()
    assert (caps.requests_per_second, caps.users, caps.seconds) == (2000, 500, 86400)
    caps.check_rate(2000)
    with pytest.raises(ValueError, match="at most 2,000 requests per second"):
        caps.check_rate(2001)
    with pytest.raises(ValueError, match="from 1 to 500"):
        caps.check_users(501)
    with pytest.raises(ValueError, match="at most 86,400"):
        caps.check_seconds(90_000)
    Caps(users=1000).check_users(1000)


def test_a_long_schedule_is_made_as_it_is_needed():
    shape = Constant(2000, 86400).then(Wave(1, 2000, 60, 86400))
    assert list(islice(shape.starts(), 3)) == [0, 1 / 2000, 2 / 2000]
    assert isinstance(shape, Chain)
    assert shape.count > 200_000_000
