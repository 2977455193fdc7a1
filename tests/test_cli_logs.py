"""Following a log over its rotation and its being cut."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

import pytest

from labkit.cli.logs import Followed
from labkit.prometheus.logs import cut

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "app.log"


def new_lines(followed: Followed) -> list[str]:
    given: list[str] = []
    followed.read_new(given.append)
    return "\n".join(given).splitlines()


def test_only_whole_lines_are_given_and_each_once(path):
    path.write_text("old\n")
    followed = Followed(path)
    given: list[str] = []
    assert followed.read_last(10, given.append) == 1
    assert given == ["old"]
    with path.open("a") as log:
        log.write("first\nhal")
        log.flush()
        assert new_lines(followed) == ["first"]
        log.write("f\n")
        log.flush()
        assert new_lines(followed) == ["half"]
    assert new_lines(followed) == []


def test_the_last_lines_are_as_many_as_asked_for(path):
    path.write_text("1\n2\n3\n")
    for wanted, expected in ((2, ["2\n3"]), (0, []), (9, ["1\n2\n3"])):
        given: list[str] = []
        Followed(path).read_last(wanted, given.append)
        assert given == expected


def test_no_line_is_lost_or_repeated_over_rotations(path):
    """The app's handler rotates every few lines; we look at times that do not match."""
    logger = logging.Logger("test")
    handler = RotatingFileHandler(path, maxBytes=100, backupCount=1)
    logger.addHandler(handler)
    followed = Followed(path)
    seen: list[str] = []
    for number in range(200):
        logger.warning("line %d", number)
        if number % 7 == 0:  # a file holds twelve of these lines
            seen += new_lines(followed)
    handler.close()
    seen += new_lines(followed)
    assert seen == [f"line {number}" for number in range(200)]


def test_a_log_that_was_cut_is_followed_from_its_new_end(path):
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    followed = Followed(path)
    followed.read_last(0, lambda _: None)
    cut(path, most_bytes=1000, kept_bytes=200)
    assert new_lines(followed) == []
    with path.open("a") as log:
        log.write("after\n")
    assert new_lines(followed) == ["after"]


def test_a_log_that_is_not_there_yet_is_waited_for(path):
    followed = Followed(path)
    assert followed.read_last(10, lambda _: None) == 0
    assert new_lines(followed) == []
    path.write_text("begun\n")
    assert new_lines(followed) == ["begun"]
