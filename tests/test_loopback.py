"""What is on this machine is told from what is not."""

from __future__ import annotations

import pytest

from labkit.loopback import is_loopback, open_session


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_known_by_each_of_its_names(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "192.0.2.1", "fe80::1%eth0", "localhost.example.org"])
def test_other_machines_are_not_taken_for_this_one(host: str):
    assert not is_loopback(host)


def test_proxies_are_for_other_machines_alone():
    with open_session("http://[::1]:9090/x") as here, open_session("https://example.org") as there:
        assert (here.trust_env, there.trust_env) == (False, True)
