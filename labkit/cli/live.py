"""One run of traffic in a terminal: progress while it goes on, then what came of it."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from labkit.cli import output
from labkit.cli.finding import check_reachable, find_app
from labkit.cli.options import usage_errors
from labkit.cli.signals import noting
from labkit.cli.summary import print_summary, run_to_dict
from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from labkit.cli.finding import Found
    from labkit.cli.options import Sending
    from labkit.cli.signals import Ending
    from labkit.traffic.handle import TrafficRun
    from labkit.traffic.run import Worker
    from labkit.traffic.shapes import Shape

LOOK_SECONDS = 0.1
_SILENT_LOOKS = 150  # of a process that reports four times a second; looks, as Ctrl-Z stops us only
_STOP_SECONDS = 2.0
PLAIN_SECONDS = 10.0  # without a terminal a line now and then, so that a log shows life


def send_and_tell(
    make_shape: Callable[[], Shape], sending: Sending, *, what: str, as_json: bool
) -> int:
    """Send one run, show how it goes, print what came of it; return the exit code.

    Args:
        make_shape: gives the shape, or raises ValueError where a number is out of range.
        sending: where to and how.
        what: the run in words.
        as_json: print JSON instead of tables.

    Raises:
        click.UsageError: when a number is out of range.
        LabError: when the target is refused or not reached, or the worker died.
    """
    with usage_errors():
        shape = make_shape()
    target = find_app(sending.url)
    check_reachable(target.url, allow_remote=sending.allow_remote)
    with noting(last=True) as ending, worker() as sender:
        run = start(sender, target, sending, shape)
        try:
            watch(run, ending, what=f"{what} to {target.url}")
        finally:
            ending.finish()
            show(run, what=what, as_json=as_json)
    require_answers(run)
    return ending.exit_code if shape.duration is not None else 0


@contextmanager
def worker() -> Iterator[Worker]:
    """Give a process that sends, with a folder for its log; both are gone afterwards.

    Raises:
        WorkerDied: it ended by itself; the end of its log is in the error, as the log is gone.
    """
    from labkit.errors import WorkerDied
    from labkit.traffic.run import Worker

    with ExitStack() as closing:
        sender = closing.enter_context(Worker(log=_log_folder(closing) / "traffic.log"))
        try:
            yield sender
        except WorkerDied as error:
            next_step = "send the traffic again."
            raise WorkerDied(error.message, evidence=error.evidence, next_step=next_step) from error


def _log_folder(closing: ExitStack) -> Path:
    """Return a folder that goes away at the end, in the state folder if one can be made there."""
    from labkit.runfolder import RunFolder

    try:
        folder = RunFolder()
    except LabError:  # nobody looks for this log: any folder will do
        return Path(closing.enter_context(TemporaryDirectory(prefix="labkit-")))
    closing.callback(folder.close)
    return folder.path


def start(sender: Worker, target: Found, sending: Sending, shape: Shape) -> TrafficRun:
    """Start a run as the options say; a number that is out of range is a usage error."""
    with usage_errors():
        return sender.start(
            target.url,
            shape,
            mix=sending.mix,
            seed=sending.seed,
            allow_remote=sending.allow_remote,
            timeout=sending.timeout,
        )


def watch(run: TrafficRun, ending: Ending, *, what: str) -> None:
    """Show how a run goes until it has ended, or stop it when the command is to end.

    Raises:
        WorkerDied: when the sending process ended by itself, or does not report any more.
    """
    heard, silent = -1.0, 0
    try:
        with showing(what) as tell:
            while run.running and not ending.asked and silent < _SILENT_LOOKS:
                tell(run)
                ending.event.wait(LOOK_SECONDS)
                before, heard = heard, run.stats.seconds
                silent = silent + 1 if heard == before else 0
    finally:
        if run.running:
            _stop(run)
    if run.error is not None:
        raise run.error


def _stop(run: TrafficRun) -> None:
    """Stop a run; where its process does not confirm it, break it off here: it is ended next."""
    from labkit.errors import WorkerDied
    from labkit.traffic.handle import StillRunning

    try:
        run.stop(_STOP_SECONDS)
    except StillRunning:
        words = "The process that sends the traffic does not report any more."
        run.end("failed", WorkerDied(words))


def show(run: TrafficRun, *, what: str, as_json: bool) -> None:
    """Print what came of a run."""
    if as_json:
        output.emit_json(run_to_dict(run))
    else:
        print_summary(run, what)


def require_answers(run: TrafficRun) -> None:
    """Raise where a run of requests had not a single answer: it is a failure, whatever was sent."""
    stats = run.stats
    if stats.sent > stats.cancelled and not stats.responses:
        raise LabError(
            stats.problem or "No request was answered.",
            next_step="see that the app runs: `labkit traffic -t` tries the connection.",
        )


@contextmanager
def showing(what: str) -> Iterator[Callable[[TrafficRun], None]]:
    """Give a function that shows how a run goes: a live line, or plain ones now and then."""
    if not output.notes.is_terminal:
        yield _Plain(what)
        return
    with _bar() as progress:
        task = progress.add_task(what, total=None, figures="", left="")
        yield lambda run: progress.update(
            task,
            total=run.shape.duration,
            completed=run.seconds,
            figures=figures(run),
            left=_left(run),
        )


def figures(run: TrafficRun) -> str:
    """Return the counts so far, in a few words."""
    stats = run.stats
    bad = sum(count for status, count in stats.by_status.items() if status >= 400)  # noqa: PLR2004
    bad += stats.timed_out + stats.failed
    return f"{stats.sent:,} sent, {stats.rate:.1f}/s, {bad:,} failed"


class _Plain:
    """Says how a run goes every ten seconds, in a line without control codes."""

    def __init__(self, what: str) -> None:
        self._next = time.monotonic() + PLAIN_SECONDS
        output.notes.print(what)

    def __call__(self, run: TrafficRun) -> None:
        if time.monotonic() >= self._next:
            self._next += PLAIN_SECONDS
            output.notes.print(f"{figures(run)}, {_left(run)}")


def _bar() -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    def text(template: str, **settings: Any) -> TextColumn:
        return TextColumn(template, markup=False, **settings)

    return Progress(
        SpinnerColumn(),
        text("{task.description}"),
        BarColumn(bar_width=20),
        text("{task.fields[figures]}"),
        text("{task.fields[left]}", style="dim"),
        console=output.notes,
        transient=True,
        refresh_per_second=8,
    )


def _left(run: TrafficRun) -> str:
    if run.seconds_left is None:
        return f"{_clock(run.seconds)} so far; Ctrl-C ends it"
    if run.seconds_left == 0:
        return "waiting for the last answers"
    return f"{_clock(run.seconds_left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
