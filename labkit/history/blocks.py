"""A past as blocks of Prometheus's storage: written as OpenMetrics text, built by promtool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.errors import LabError
from labkit.history.openmetrics import spans, write
from labkit.processes import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from labkit.history.openmetrics import Piece
    from labkit.history.past import Chunk, Past
    from labkit.progress import Progress
    from labkit.prometheus.candidate import Binary

# A span is one of the lengths that promtool cuts blocks to, 2 h times powers of 3. Text of one span
# makes one block, so that promtool reads it twice (for its times, and for the block) where it reads
# a text of many blocks once for each; and it builds one while the next is simulated and written.
# The longest makes the fewest blocks; what is dense gets a shorter one, to bound memory and text.
SPAN_HOURS = (162, 54, 18)
MOST_SAMPLES = 2_600_000  # in a span: 20 MB of numbers, 300 MB of text
PATIENCE_SECONDS = 900.0  # for one span, on a machine that is busy with something else

_HOUR_MS = 3_600_000
_TAIL_LINES = 8
_NO_ROOM = ("no space left on device", "disk quota exceeded", "not enough space on the disk")


def require_promtool(binary: Binary) -> Path:
    """Return the promtool of a Prometheus.

    Raises:
        LabError: there is none; the message says how to get one.
    """
    if binary.promtool is not None:
        return binary.promtool
    raise LabError(
        "A history is built by promtool, and there is none of this Prometheus's version.",
        evidence=f"{binary.path} is version {binary.version} ({binary.source})",
        next_step="fetch Prometheus with its promtool by `labkit prometheus`; or, where it came "
        "from Debian or Ubuntu, `sudo apt install promtool`; or put promtool "
        f"{binary.version} beside that program.",
    )


def build(past: Past, data: Path, *, promtool: Path, progress: Progress | None = None) -> int:
    """Fill a data folder of Prometheus's with a past; return how many samples it holds.

    Text and blocks are made in turns, a span of some days at a time, so that neither all
    samples nor all text is there at once. What a build that fails has made by then stays in
    ``data``: give it a folder that can be thrown away.

    Args:
        past: the samples.
        data: an empty folder.
        promtool: the program; see `require_promtool`.
        progress: told how far it is.

    Raises:
        LabError: promtool fails, or there is no room; the evidence is what it says.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".work-", dir=data) as work:
            written = _build(past, data, Path(work), promtool, progress)
        stored = sum(samples_in(block) for block in blocks_in(data))
    except OSError as error:
        raise cannot_write(data, str(error)) from error
    if stored != written:
        raise LabError(
            f"promtool stored {stored:,} of {written:,} samples.",
            next_step="try again; if it stays so, use another version of Prometheus.",
        )
    return written


def _build(past: Past, data: Path, work: Path, promtool: Path, progress: Progress | None) -> int:
    written = 0
    told = _telling(past, progress)
    first = [*islice(told, 1)]
    hours = _span_hours(past, first)
    with ExitStack() as closing:
        previous: _Making | None = None
        for number, pieces in enumerate(spans(chain(first, told), hours * _HOUR_MS)):
            text = work / f"{number}.om"
            written += _write_text(text, pieces, past)
            if previous is not None:
                previous.wait()
            previous = closing.enter_context(_Making(promtool, text, data, hours))
        if previous is not None:
            _tell(progress, "Building the history: promtool stores the last of it …")
            previous.wait()
    return written


def _span_hours(past: Past, first: Sequence[Chunk]) -> int:
    """Return the longest span that does not hold too many samples, going by the first chunk."""
    an_hour = 3600 / past.interval * sum(len(chunk.series) for chunk in first)
    return next((h for h in SPAN_HOURS if h * an_hour <= MOST_SAMPLES), SPAN_HOURS[-1])


def _telling(past: Past, progress: Progress | None) -> Iterator[Chunk]:
    """Give the chunks, and say how far they are."""
    days = (past.end - past.start) / 86_400
    for chunk in past.chunks():
        if len(chunk.times_ms):
            at = (int(chunk.times_ms[-1]) / 1000 - past.start) / 86_400
            part = min(100, round(100 * at / days))
            _tell(progress, f"Building the history: {part} % of {days:.3g} days …")
            yield chunk


def _tell(progress: Progress | None, words: str) -> None:
    if progress is not None:
        progress.say(words)


def _write_text(path: Path, pieces: Iterable[Piece], past: Past) -> int:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        return write(file, pieces, past.families)


class _Making:
    """A promtool that turns one file into a block, and goes when it is done or given up."""

    def __init__(self, promtool: Path, text: Path, data: Path, hours: int) -> None:
        self._text = text
        self._data = data
        # The wide setting: by default it makes two-hour blocks and reads the file for each. It is
        # hidden, and belongs before the name of the format.
        wide = f"--max-block-duration={hours}h"
        command = [promtool, "tsdb", "create-blocks-from", wide, "openmetrics", text, data]
        self._child = ChildProcess(
            [str(part) for part in command],
            log=text.with_suffix(".log"),
            # It keeps what it gathers in a temporary folder, which stays if it is ended.
            env=os.environ | dict.fromkeys(("TMPDIR", "TMP"), str(text.parent)),
        )

    def wait(self) -> None:
        """Wait until the block is there; the text goes.

        Raises:
            LabError: promtool fails, with its words, or takes too long.
        """
        try:
            code = self._child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise LabError(
                f"promtool takes more than {PATIENCE_SECONDS:.0f} s for some days of samples.",
                evidence=self._child.tail(_TAIL_LINES),
                next_step="try again when the machine is less busy.",
            ) from error
        if code:
            said = self._child.tail(_TAIL_LINES)
            if any(words in said.lower() for words in _NO_ROOM):
                raise cannot_write(self._data, said)
            raise LabError(
                f"promtool could not build the history: it ended with exit code {code}.",
                evidence=said,
                next_step="try again; if it stays so, report this with the words above.",
            )
        self.close()
        self._text.unlink()

    def close(self) -> None:
        """End promtool if it still runs. Idempotent."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def blocks_in(data: Path) -> list[Path]:
    """Return the blocks of a data folder; what is being written there is none."""
    return sorted(meta.parent for meta in data.glob("*/meta.json") if "." not in meta.parent.name)


def samples_in(block: Path) -> int:
    """Return how many samples a block holds."""
    meta = json.loads((block / "meta.json").read_text(encoding="utf-8"))
    return int(meta["stats"]["numSamples"])


def cannot_write(folder: Path, said: str) -> LabError:
    """Return the error for a disk that has no room, or a folder that may not be written.

    Args:
        folder: one that is there.
        said: what the system or promtool said.
    """
    free = shutil.disk_usage(folder).free
    return LabError(
        "The history cannot be stored.",
        evidence=f"{said}\n{free / 1e6:,.0f} MB are free in {folder}",
        next_step="make room: up to 700 MB while it is built, 10 MB for a month of one instance "
        "afterwards; XDG_CACHE_HOME names another place for caches.",
    )
