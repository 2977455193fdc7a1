"""Carrying out one run inside the worker: pacing, users, requests, and what came of each."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import yarl

from labkit.traffic import protocol, shapes
from labkit.traffic.connecting import open_session, reason
from labkit.traffic.mixes import Mix
from labkit.traffic.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

LATE_SECONDS = 0.010
"""A request sent more than this after its intended start counts as late."""

FAILURE_PAUSE_SECONDS = 0.1
"""How long a user waits at least after a failed connection, so as not to spin on a dead app."""

_FINE_SECONDS = 0.003
_MAX_MICROSECONDS = 2**32 - 1  # what the rows have room for: over an hour, a machine asleep
_MAX_ERROR_BODY = 16_384  # bytes of an error's JSON that are looked at
_MAX_ERROR_TYPES = 50  # a server that puts an id into each error must not fill the memory


class Ledger:
    """What came of the requests of one run: totals, and a row for each that ended."""

    def __init__(self) -> None:
        self.sent = 0
        self.in_flight = 0
        self.late = 0
        self.dropped = 0
        self.in_time = 0
        self.failed: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._rows: list[tuple[float, int, int, int, int]] = []

    def count_error(self, error_type: str) -> None:
        """Count an answer that carried an error type."""
        known = error_type in self.errors or len(self.errors) < _MAX_ERROR_TYPES
        self.errors[error_type[:100] if known else "other"] += 1

    def end(self, start: float, endpoint: int, code: int, late: float, seconds: float) -> None:
        """Note the end of a request.

        Args:
            start: when it was sent, in seconds from the start of the run.
            endpoint: the index of its path.
            code: the status, or the ``Outcome``.
            late: seconds between its intended start and the send.
            seconds: how long it took from the send.
        """
        self.in_flight -= 1
        late_us, us = (min(round(value * 1e6), _MAX_MICROSECONDS) for value in (late, seconds))
        self._rows.append((round(start, 6), endpoint, code, late_us, us))

    def take(self) -> dict[str, Any]:
        """Return the totals, and the rows since the last call."""
        rows, self._rows = self._rows, []
        return {
            "sent": self.sent,
            "in_flight": self.in_flight,
            "late": self.late,
            "dropped": self.dropped,
            "in_time": self.in_time,
            "failed": self.failed,
            "errors": self.errors,
            "rows": rows,
        }


class Sender:
    """One run: sends what its order says, and keeps the ledger.

    Args:
        order: what to do.

    Raises:
        ValueError: when the order makes no sense.
    """

    def __init__(self, order: protocol.Order) -> None:
        self.ledger = Ledger()
        self._order = order
        self._shape = shapes.from_dict(order.shape)
        self._mix = Mix("", tuple((path, weight) for path, weight in order.mix))
        self._urls = [yarl.URL(order.url + path) for path in self._mix.paths]
        self._draws = self._mix.draws(self._generator("mix"))
        self._session: aiohttp.ClientSession
        self._stop = asyncio.Event()
        self._requests: set[asyncio.Task[int]] = set()
        self._pacer: asyncio.Task[None] | None = None
        self._begin = time.perf_counter()
        self._last_start = 0.0
        self._slot = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._begin

    def stop(self) -> None:
        """End the run now; what is in flight is cancelled."""
        self._stop.set()

    async def run(self) -> str:
        """Send until the shape's end or ``stop``; return "finished" or "stopped"."""
        async with open_session(self._order) as self._session:
            self._begin = time.perf_counter()
            work = asyncio.create_task(self._work())
            stop = asyncio.create_task(self._stop.wait())
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            finished = work.done()
            await self._cancel(work, stop)
            if finished:
                work.result()
        return "finished" if finished else "stopped"

    def set_rate(self, rate: float) -> None:
        """Go on at another constant rate, from the next request on."""
        shape = self._shape
        if not isinstance(shape, shapes.Constant) or self._pacer is None or self._pacer.done():
            return
        first = max(self._last_start + 1 / rate, self.elapsed)
        left = shape.seconds - first
        following = shapes.Constant(rate, left).starts() if left > 0 else ()
        self._pacer.cancel()
        self._pacer = asyncio.create_task(self._pace(first + start for start in following))

    async def _work(self) -> None:
        if isinstance(self._shape, shapes.OpenLoop):
            await self._open_loop(self._shape)
        else:
            await self._closed_loop(self._shape)
        await self._until_end()
        if self._requests:
            await asyncio.wait(self._requests)

    def _end(self) -> float:
        duration = self._shape.duration
        return min(duration or self._order.max_seconds, self._order.max_seconds)

    async def _until_end(self) -> None:
        await asyncio.sleep(max(0.0, self._end() - self.elapsed))

    async def _cancel(self, *tasks: asyncio.Task[Any]) -> None:
        pacer = {self._pacer} if self._pacer else set()
        everything = {*tasks, *pacer, *self._requests}
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    # Open loop: a pacer launches requests at their intended starts.

    async def _open_loop(self, shape: shapes.OpenLoop) -> None:
        self._pacer = asyncio.create_task(self._pace(shape.starts()))
        while True:
            pacer = self._pacer
            await asyncio.wait({pacer})
            if pacer is self._pacer:  # not one that set_rate replaced
                return pacer.result()

    async def _pace(self, starts: Iterator[float]) -> None:
        for start in starts:
            await self._sleep_until(start)
            self._last_start = start
            self._launch(start)
        await self._until_end()  # set_rate may still ask for more

    async def _sleep_until(self, start: float) -> None:
        # epoll waits in whole milliseconds, and floating point makes nine of them ten: the last
        # few are slept on their own, where no length is rounded up twice.
        coarse = start - self.elapsed - _FINE_SECONDS
        if coarse > _FINE_SECONDS:
            await asyncio.sleep(coarse)
        # Zero when behind: that lets the launched requests go before the next one.
        await asyncio.sleep(max(0.0, start - self.elapsed))

    def _launch(self, start: float) -> None:
        endpoint = next(self._draws)
        if len(self._requests) >= self._order.max_in_flight:
            self.ledger.dropped += 1
            return
        request = asyncio.create_task(self._send(endpoint, start))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    # Closed loop: users send, and wait for the answer.

    async def _closed_loop(self, shape: shapes.ClosedLoop) -> None:
        async with asyncio.TaskGroup() as users:
            for number in range(shape.users):
                users.create_task(self._user(number, shape))

    async def _user(self, number: int, shape: shapes.ClosedLoop) -> None:
        draws = self._mix.draws(self._generator(f"mix {number}"))
        thinks = shape.think_seconds(self._generator(f"think {number}"))
        end, intended = self._end(), 0.0
        while (intended := max(intended, self._next_slot())) < end:
            if intended > self.elapsed:
                await asyncio.sleep(intended - self.elapsed)
            code = await self._send(next(draws), intended)
            pause = next(thinks)
            if code == Outcome.FAILED:
                pause = max(pause, FAILURE_PAUSE_SECONDS)
            intended = self.elapsed + pause

    def _next_slot(self) -> float:
        """Return the earliest start that keeps all users together under the highest rate."""
        slot = max(self._slot, self.elapsed)
        self._slot = slot + 1 / self._order.max_rate
        return slot

    def _generator(self, purpose: str) -> random.Random:
        return random.Random(f"{self._order.seed} {purpose}")  # noqa: S311 - load, not secrets

    # One request.

    async def _send(self, endpoint: int, intended: float) -> int:
        start = self.elapsed
        late = max(0.0, start - intended)
        self.ledger.sent += 1
        self.ledger.in_flight += 1
        self.ledger.late += late > LATE_SECONDS
        code: int = Outcome.CANCELLED
        try:
            code = await self._get(self._urls[endpoint])
        finally:
            now = self.elapsed
            self.ledger.end(start, endpoint, code, late, now - start)
            self.ledger.in_time += code >= protocol.FIRST_STATUS and now <= self._end()
        return code

    async def _get(self, url: yarl.URL) -> int:
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                body = b""
                while chunk := await response.content.readany():
                    if len(body) < _MAX_ERROR_BODY:
                        body += chunk
        except TimeoutError:
            return Outcome.TIMED_OUT
        except Exception as error:  # noqa: BLE001 - whatever the other end does is a result
            self.ledger.failed[reason(error)] += 1
            return Outcome.FAILED
        if response.status >= 400 and response.content_type == "application/json":  # noqa: PLR2004 - HTTP
            self._note_error_type(body)
        return response.status

    def _note_error_type(self, body: bytes) -> None:
        try:
            content = json.loads(body)
        except ValueError:
            return
        error_type = content.get("error_type") if isinstance(content, dict) else None
        if isinstance(error_type, str):
            self.ledger.count_error(error_type)
