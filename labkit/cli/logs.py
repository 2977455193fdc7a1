"""`labkit logs`: what the app, Prometheus and the sender of a running lab have logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from labkit.cli.options import Number

if TYPE_CHECKING:
    from collections.abc import Callable

# The app's requests and errors, and what its server warns of, are two files.
_FILES = {
    "app": ("app.log", "server.log"),
    "prometheus": ("prometheus/prometheus.log",),
    "traffic": ("traffic.log",),
}
_LOOK_SECONDS = 0.25
_LINES = Number(0, 1_000_000, whole=True, unit="of lines")


@click.command()
@click.argument("name", type=click.Choice(list(_FILES)))
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("-n", "--lines", type=_LINES, default=50, show_default=True, help="How many at most.")
def logs(*, name: str, follow: bool, lines: int) -> None:
    r"""Show the end of a log of the lab or `labkit up` that runs.

    The app's is JSON lines: time, route, status, duration, error_type, request id.

    \b
    Examples:
      labkit logs app -f
      labkit logs prometheus -n 20
      labkit logs app -n 1000 | jq .status
    """
    from labkit.cli.signals import noting
    from labkit.errors import LabError
    from labkit.registry import find_target

    entry = find_target()
    if entry.folder is None:
        raise LabError(f"{entry.name} keeps no logs here.", next_step="look where it runs.")
    folder = Path(entry.folder)
    with noting() as ending:
        followed = [Followed(folder / file) for file in _FILES[name]]
        found = [log.read_last(lines, _print) for log in followed]
        if not any(found):
            click.echo(f"The {name} log of {entry.name} is empty.", err=True)
        while follow and folder.is_dir() and not ending.event.wait(_LOOK_SECONDS):
            for log in followed:
                log.read_new(_print)
        if follow and not ending.asked:
            click.echo(f"{entry.name} has ended.", err=True)


class Followed:
    """A log that is read as it grows, over its rotation and its being cut.

    It is open only while it is read: on Windows an open file could not be rotated.

    Args:
        path: the log, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number, _ = self._state()
        self._position = 0
        self._rest = b""

    def read_last(self, lines: int, give: Callable[[str], None]) -> int:
        """Give the last lines of what is there, to be called first; return how many there are."""
        texts: list[str] = []
        self._read(self._path, texts.append)
        found = "".join(texts).splitlines()
        if lines and found:
            give("\n".join(found[-lines:]))
        return len(found)

    def read_new(self, give: Callable[[str], None]) -> None:
        """Give what was written since the last look, in whole lines."""
        number, size = self._state()
        if number != self._number:
            self._finish_rotated(give)
            self._number, self._position = number, 0
        elif size < self._position:  # cut: what is left of the old is not told apart from the new
            self._position = size
        self._read(self._path, give)

    def _finish_rotated(self, give: Callable[[str], None]) -> None:
        """Give the end of the file that was rotated away meanwhile."""
        older = self._path.with_name(f"{self._path.name}.1")
        try:
            if older.stat().st_ino == self._number:
                self._read(older, give)
        except FileNotFoundError:
            return

    def _read(self, path: Path, give: Callable[[str], None]) -> None:
        try:
            with path.open("rb") as log:
                log.seek(self._position)
                new = log.read()
        except FileNotFoundError:
            return
        self._position += len(new)
        whole, newline, self._rest = (self._rest + new).rpartition(b"\n")
        if newline:
            give(whole.decode("utf-8", "replace"))

    def _state(self) -> tuple[int, int]:
        """Return what identifies the file, and its size; zeros while there is none."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return status.st_ino, status.st_size


def _print(text: str) -> None:
    if text:
        click.echo(text)
