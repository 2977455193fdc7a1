"""``%%check``: an answer to an exercise in a cell, marked by its result; ``%load_ext labkit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.magic import no_var_expand
from IPython.display import display

from labkit.errors import LabError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@no_var_expand
def check(line: str, cell: str) -> None:
    """Check the answer to an exercise, which stands in the lines below, and show the verdict.

    %%check errors-1
    sum(rate(flask_requests_total{status=~"5.."}[10m])) / sum(rate(flask_requests_total[10m]))

    An answer that is missing, or not right yet, makes the cell fail, with what helps.
    """
    from labkit.teaching import check_cell

    names = line.split()
    if len(names) != 1:
        raise LabError(
            f"%%check takes one exercise, not {line.strip()!r}.",
            next_step="name it, as in %%check errors-1, with the answer in the lines below.",
        )
    display(check_cell(names[0], cell))  # type: ignore[no-untyped-call] # IPython is typed in part


def register(shell: InteractiveShell) -> None:
    """Add the magic to an IPython."""
    shell.register_magic_function(check, "cell", "check")  # type: ignore[arg-type] # as above


def unregister(shell: InteractiveShell) -> None:
    """Take the magic out of an IPython again."""
    shell.magics_manager.magics["cell"].pop("check", None)
