"""The process that sends the traffic: ``python -m labkit.traffic.worker``.

It reads orders from its standard input and reports on its standard output, one JSON object a
line, as ``protocol.py`` has it. End-of-file on the input ends it at once.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import queue
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from labkit.traffic import protocol
from labkit.traffic.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("labkit.traffic")
_WANTED_DESCRIPTORS = 8192
_GC_THRESHOLD = 20_000  # young objects; the default of 700 pauses the pacing all the time


class Output:
    """Writes lines in a thread of its own, so that a parent who is slow to read delays nothing."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._done = threading.Event()
        threading.Thread(target=self._write, name="output", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether lines still wait for the parent to read them."""
        return not self._lines.empty()

    def send(self, event: str, **fields: Any) -> None:
        """Queue one message."""
        self._lines.put(protocol.encode(event=event, **fields))

    def finish(self, timeout: float) -> None:
        """Wait until everything is written, for so many seconds at most."""
        self._lines.put(b"")
        self._done.wait(timeout)

    def _write(self) -> None:
        # An empty line is the end.
        while line := self._lines.get():
            try:
                self._stream.write(line)
                self._stream.flush()
            except OSError:
                os._exit(0)  # nobody reads any more
        self._done.set()


class Dispatcher:
    """Starts, changes and stops runs as the lines on the input say."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._senders: dict[int, Sender] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shutdown = asyncio.Event()

    async def serve(self) -> None:
        """Report four times a second until told to shut down, then stop all runs."""
        self._output.send("ready", pid=os.getpid())
        while not self._shutdown.is_set():
            try:
                async with asyncio.timeout(protocol.REPORT_SECONDS):
                    await self._shutdown.wait()
            except TimeoutError:
                self._report()
        for sender in self._senders.values():
            sender.stop()
        await asyncio.gather(*self._tasks)

    def handle(self, line: bytes) -> None:
        """Do what one line says; a line that makes no sense is logged and otherwise ignored."""
        try:
            message = protocol.decode(line)
            actions: dict[Any, Callable[[dict[str, Any]], None]] = {
                "start": self._start,
                "stop": self._stop,
                "set_rate": self._set_rate,
                "shutdown": lambda _: self._shutdown.set(),
            }
            actions[message.pop("do")](message)
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("not understood: %r (%s: %s)", line[:200], type(error).__name__, error)

    def _start(self, message: dict[str, Any]) -> None:
        run = int(message["run"])
        try:
            sender = Sender(protocol.Order(**message))
        except (ValueError, TypeError, KeyError) as error:
            self._output.send("ended", run=run, state="failed", why=str(error))
            raise
        _log.info("run %d: %s to %s", run, message["shape"], message["url"])
        self._senders[run] = sender
        task = asyncio.create_task(self._carry_out(run, sender))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop(self, message: dict[str, Any]) -> None:
        if sender := self._senders.get(message["run"]):  # it may have ended meanwhile
            sender.stop()

    def _set_rate(self, message: dict[str, Any]) -> None:
        if sender := self._senders.get(message["run"]):
            sender.set_rate(float(message["rate"]))

    async def _carry_out(self, run: int, sender: Sender) -> None:
        self._output.send("started", run=run)
        state, why = "failed", ""
        try:
            state = await sender.run()
        except Exception as error:  # noqa: BLE001 - the lab's process tells the user
            _log.exception("run %d failed", run)
            why = f"{type(error).__name__}: {error}"
        finally:
            self._senders.pop(run)
        totals = sender.ledger.take()
        _log.info("run %d %s: %d sent in %.1f s", run, state, totals["sent"], sender.elapsed)
        self._output.send(
            "ended", run=run, state=state, why=why, elapsed=sender.elapsed, totals=totals
        )

    def _report(self) -> None:
        if self._output.busy:
            return  # the next report has it all
        for run, sender in self._senders.items():
            self._output.send(
                "report", run=run, elapsed=sender.elapsed, totals=sender.ledger.take()
            )


def _listen(loop: asyncio.AbstractEventLoop, handle: Callable[[bytes], None]) -> None:
    """Pass the lines of the input on to the loop; a thread, as Windows cannot wait for a pipe."""
    with open(0, "rb", closefd=False) as stream:
        for line in stream:
            loop.call_soon_threadsafe(handle, line)
    os._exit(0)


def _raise_descriptor_limit() -> None:
    """Let many connections be open at once, where the system has such a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (
        _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _main(output: Output) -> None:
    dispatcher = Dispatcher(output)
    arguments = (asyncio.get_running_loop(), dispatcher.handle)
    threading.Thread(target=_listen, args=arguments, name="input", daemon=True).start()
    gc.collect()
    gc.freeze()  # what was imported is not looked at again: full collections stay short
    gc.set_threshold(_GC_THRESHOLD)
    await dispatcher.serve()


def main() -> None:
    """Serve until told to shut down or until the input ends."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    _raise_descriptor_limit()
    # Whatever a library prints belongs in the log, not between the reports.
    output = Output(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    asyncio.run(_main(output))
    output.finish(timeout=2.0)
    os._exit(0)  # the input thread still waits in a read


if __name__ == "__main__":
    main()
