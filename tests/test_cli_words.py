"""What commands say: advice for a terminal, and nothing that a terminal would obey."""

from __future__ import annotations

import errno
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from labkit.checks import Finding
from labkit.cli import main
from labkit.cli.words import for_terminals, printable, told
from labkit.errors import LabError
from tests.cli_process import COMMAND, environment

NOTHING_LISTENS = "http://127.0.0.1:9"
CALL = re.compile(r"\blab\.\w|labkit\.\w")


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("LABKIT_APP_URL", "LABKIT_PROMETHEUS_URL", "LABKIT_PROMETHEUS_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("look at lab.logs('prometheus') to see", "look at `labkit logs prometheus` to see"),
        ("call labkit.start() first", "call `labkit up` first"),
        ("start one: lab = labkit.start()", "start one: `labkit up`"),
        ("lab.check() says it", "`labkit check` says it"),
        ('is up (lab.query("up")) and', "is up (`labkit query 'up'`) and"),
        (
            "start it first (labkit up, or the notebook's labkit.start()).",
            "start it first (labkit up).",
        ),
        (
            'read on with lab.logs("app") and lab.logs("traffic"), or `labkit logs app` and '
            "`labkit logs traffic` in a terminal.",
            "read on with `labkit logs app` and `labkit logs traffic`.",
        ),
        (
            "start it: lab.start_app() in the notebook, `labkit up` in a terminal; for an app",
            "start it: `labkit up`; for an app",
        ),
        ("see labkit up and lab.rules.yml", "see labkit up and lab.rules.yml"),
    ],
)
def test_calls_become_commands(text, expected):
    assert for_terminals(text) == expected


def test_the_evidence_of_an_error_stays_as_it_is():
    error = LabError("It failed.", evidence="lab.check()", next_step="see lab.check().")
    assert told(error) == "It failed.\n    lab.check()\nNext: see `labkit check`."


def test_what_a_terminal_obeys_is_escaped_and_words_are_left_alone():
    assert printable("\x1b]0;x\x07 \x9b2J\u202e") == r"\x1b]0;x\x07 \x9b2J\u202e"
    assert printable("größer → 5 s\n\tnext") == "größer → 5 s\n\tnext"


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "up", "--prometheus-url", NOTHING_LISTENS),
        ("explain", "up", "--prometheus-url", NOTHING_LISTENS),
        ("traffic", "-t", "--url", NOTHING_LISTENS, "--prometheus-url", NOTHING_LISTENS),
        ("check", "--url", NOTHING_LISTENS, "--prometheus-url", NOTHING_LISTENS),
        ("check",),
        ("background", "start", "--url", NOTHING_LISTENS),
    ],
)
def test_advice_is_for_a_terminal(arguments):
    done = invoke(*arguments)
    assert CALL.search(done.output) is None, done.output


def test_findings_and_errors_are_shown_without_control_codes():
    from labkit.cli import check

    finding = Finding("Logs", "warning", "seen \x1b[2J", "do \x1b[2J")

    assert check._words(finding).plain == "seen \\x1b[2J\n→ do \\x1b[2J"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("arguments", [("check",), ("prometheus",), ("background", "status")])
def test_a_full_standard_output_is_said_in_a_line(state, arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(state),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "The output cannot be written: No space left" in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room on the disk"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "allow writing there"),
    ],
)
def test_a_file_that_the_system_refuses_is_said_in_two_lines(monkeypatch, error, words):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("labkit.checks.check", refuse)
    done = invoke("check")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 2), (done.output, done.exception)
    assert str(error) in done.stderr
    assert words in done.stderr
