"""Commands where the lab's own files cannot be kept, and what a dead worker leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from app import create_app
from labkit.cli import main
from labkit.server import AppServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[AppServer]:
    with AppServer(create_app({"SEED": 3})) as server:
        yield server


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture
def no_state(tmp_path, monkeypatch) -> None:
    """A state folder that cannot be made, as in a home that is read-only."""
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(in_the_way))


@pytest.mark.parametrize("arguments", [("5", "0.1"), ("-s",), ("-t",)])
def test_traffic_to_an_address_needs_no_state_folder(server, no_state, arguments):
    done = invoke("traffic", *arguments, "--url", server.url)
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query", "up"), "Nothing is running"),
        (("logs", "app"), "Nothing is running"),
        (("background", "status"), "XDG_STATE_HOME"),
        (("up", "--app-port", "0", "--prometheus-port", "0"), "XDG_STATE_HOME"),
    ],
)
def test_without_a_state_folder_a_command_says_so_in_a_line(no_state, arguments, words):
    done = invoke(*arguments)
    assert (done.exit_code, words in done.stderr) == (1, True), (done.output, done.exception)
