"""%%check in IPython: a right answer is shown, and what is not right makes the cell fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from labkit.errors import LabError
from labkit.teaching import NotYet, Unanswered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import ExecutionResult

NUMBER = "open-5"  # 100 requests in a minute, seen over five: 0.333 a second


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.run_line_magic("load_ext", "labkit")
    yield shell
    shell.run_line_magic("unload_ext", "labkit")
    assert "check" not in shell.magics_manager.magics["cell"]


def run(shell: InteractiveShell, cell: str) -> tuple[ExecutionResult, str]:
    """Run a cell; return what came of it, and what it showed as text."""
    with capture_output() as captured:
        result = shell.run_cell(cell)
    shown = [str(output.data.get("text/plain")) for output in captured.outputs]
    return result, "\n".join([*shown, captured.stdout])


def test_a_right_answer_is_shown_as_such(shell: InteractiveShell):
    result, shown = run(shell, f"%%check {NUMBER}\n0.33")
    assert result.success
    assert NUMBER in shown


@pytest.mark.parametrize(
    ("cell", "error", "words"),
    [
        (f"%%check {NUMBER}\n1.67", NotYet, "300"),
        (f"%%check {NUMBER}\n# your number", Unanswered, f"{NUMBER} waits for your answer"),
        (f"%%check {NUMBER}", Unanswered, f"{NUMBER} waits for your answer"),
        (f"%%check\n{NUMBER}", LabError, "takes one exercise"),
        ("%%check open-55\n1", LabError, "open-55"),
    ],
)
def test_what_is_not_right_fails_the_cell_without_a_traceback(
    shell: InteractiveShell, cell: str, error: type[Exception], words: str
):
    result, shown = run(shell, cell)
    assert type(result.error_in_exec) is error
    assert words in shown
    assert "Traceback" not in shown


def test_an_answer_is_completed_as_promql(shell: InteractiveShell):
    cell = "%%check errors-1\nsum(histogram_q"
    with provisionalcompleter():
        found = {each.text for each in shell.Completer.completions(cell, len(cell))}
    assert found == {"histogram_quantile"}
