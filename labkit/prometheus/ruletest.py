"""Unit tests of rules, by promtool."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from labkit.errors import LabError

RULES_FILE = "rules.yml"
_TEST_SECONDS = 30.0


def run_test(test: str, rules: str, promtool: Path) -> str:
    """Have promtool test rules; return what it says, or nothing where the test passes.

    Args:
        test: the text of the test file; it names the rules ``rules.yml``.
        rules: the text of the rules file.
        promtool: the program.

    Raises:
        LabError: it does not run.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-rules-") as folder:
        path = Path(folder) / "test.yml"
        path.write_text(test, encoding="utf-8")
        (Path(folder) / RULES_FILE).write_text(rules, encoding="utf-8")
        try:
            done = subprocess.run(
                [str(promtool), "test", "rules", path.name],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TEST_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(
                "promtool could not run this test.",
                evidence=str(error),
                next_step="try again; `labkit prometheus` shows where promtool is.",
            ) from error
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    return said.strip() if done.returncode else ""
