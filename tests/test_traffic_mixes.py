"""Which paths are sent to, and which targets are refused."""

from __future__ import annotations

import random
import socket
from collections import Counter
from itertools import islice

import pytest

from labkit.errors import TargetRefused
from labkit.traffic.mixes import MIXES, Mix, find_mix
from labkit.traffic.target import find_target


def test_the_mixes_of_the_design():
    assert {name: dict(mix.weights) for name, mix in MIXES.items()} == {
        "everyday": {"/": 60, "/health": 20, "/slow": 10, "/error": 10},
        "errors": {"/error": 80, "/health": 20},
        "timeouts": {"/slow": 100},
    }


def test_draws_follow_the_weights_and_repeat_with_the_seed():
    mix = find_mix("everyday")
    draws = list(islice(mix.draws(random.Random(3)), 20_000))
    shares = {mix.paths[i]: n / 20_000 for i, n in Counter(draws).items()}
    assert shares == pytest.approx(
        {"/": 0.6, "/health": 0.2, "/slow": 0.1, "/error": 0.1}, abs=0.02
    )
    assert draws == list(islice(mix.draws(random.Random(3)), 20_000))
    assert draws != list(islice(mix.draws(random.Random(4)), 20_000))


def test_a_mapping_is_a_mix():
    mix = find_mix({"/a": 1, "/b?x=1": 3})
    assert mix.paths == ("/a", "/b?x=1")
    assert find_mix(mix) is mix


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        ("evreyday", "must be one of 'everyday', 'errors', 'timeouts'"),
        ({}, "from 1 to 100 paths"),
        ({"health": 1}, 'must start with "/"'),
        ({"/a b": 1}, "no space"),
        ({"/a\r\nX: y": 1}, "no space"),
        ({"/a": 0}, "the weight of /a must be more than 0"),
        ({"/a": "much"}, "the weight of /a must be a number"),
    ],
)
def test_a_mix_that_will_not_do_is_refused_in_words(mix, words):
    with pytest.raises(ValueError, match=words):
        find_mix(mix)


def test_a_mix_made_by_hand_is_checked_too():
    with pytest.raises(ValueError, match="more than 0"):
        Mix("mine", (("/", -1),))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:5000",
        "http://localhost:5000/",
        "http://127.8.9.1:5000/app/",
        "http://[::1]:5000",
        "http://[::ffff:127.0.0.1]:5000",
    ],
)
def test_this_machine_is_accepted(url):
    target = find_target(url)
    assert target.url == url.rstrip("/")
    assert target.addresses


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.7:80", "http://10.0.0.1", "http://0.0.0.0:5000", "http://[2001:db8::1]/"],
)
def test_other_machines_are_refused_unless_asked_for(url):
    with pytest.raises(TargetRefused, match="is not this machine") as caught:
        find_target(url)
    assert "allow_remote=True" in caught.value.next_step
    assert find_target(url, allow_remote=True).addresses is None


def test_a_name_is_judged_by_all_that_it_resolves_to(monkeypatch):
    def resolve(host, port, **_):
        addresses = {"both.test": ["127.0.0.1", "192.0.2.7"], "here.test": ["127.0.0.1"]}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    # Names that resolve to chosen addresses need a name server; this is the one stand-in.
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert find_target("http://here.test:1").addresses == ("127.0.0.1",)
    with pytest.raises(
        TargetRefused, match=r"both\.test is not this machine \(it is 192\.0\.2\.7\)"
    ):
        find_target("http://both.test:1")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:5000", "is not an http"),
        ("ftp://127.0.0.1", "is not an http"),
        ("http://", "is not an http"),
        ("http://127.0.0.1:0", "is not an http"),
        ("http://127.0.0.1:99999", "is not a URL"),
        ("http://127.0.0.1/?q=1", "more than a path"),
        ("http://nowhere.invalid:1", "leads nowhere"),
    ],
)
def test_what_is_not_a_target_is_refused_in_words(url, words):
    with pytest.raises(TargetRefused, match=words):
        find_target(url)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(TargetRefused) as caught:
        find_target("http://me:secret@127.0.0.1:5000")
    assert "secret" not in str(caught.value)
    assert "headers" in caught.value.next_step
