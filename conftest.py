"""For the notebooks' tests and all others: whose files they are not, and what begins first."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# What takes longest begins first: begun last, it would keep one worker busy and the others idle.
FIRST = (
    "tests/browser/",
    "tests/test_course.py",
    "tests/test_bundle.py",
    "tests/test_lab.py",
    "tests/test_teaching_exercises.py",
    "tests/test_jupyter.py",
    "tests/test_panels.py",
    "tests/test_slo_rules.py",
    "tests/test_report.py",
    "notebooks/",
)

_folder = tempfile.TemporaryDirectory(prefix="labkit-tests-", ignore_cleanup_errors=True)
atexit.register(_folder.cleanup)
os.environ["LABKIT_PROGRESS"] = str(Path(_folder.name) / "progress.json")
# A lab that starts removes what killed ones left: not what another process's tests look at.
os.environ["XDG_STATE_HOME"] = str(Path(_folder.name) / "state")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, and leave everything else in its order."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    ranks = (rank for rank, start in enumerate(FIRST) if nodeid.startswith(start))
    return next(ranks, len(FIRST))
