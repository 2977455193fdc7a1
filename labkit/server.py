"""AppServer: any WSGI app on waitress, in a thread, on this machine's own address."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher, WSGITask

from labkit.errors import LabError, PortInUse
from labkit.logs import ErrorStream, logger_to
from labkit.ports import holder_of

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

T = TypeVar("T")

# poll() takes any number; select(), all that Windows has, ends at 512 sockets.
MOST_CONNECTIONS = 450 if sys.platform == "win32" else 1000
LAST_PORT = 65535
LOOP_SECONDS = 5.0  # how long the loop's thread may take for one small thing
LEAVE_SECONDS = 0.5  # how long the threads may take to end once nothing holds them
READY_SECONDS = 2.0  # how long they may take to begin, before requests are let in all the same

_TAKEN = {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}
if sys.platform == "win32":
    _TAKEN.add(errno.WSAEACCES)  # a port that another program has for itself


class AppServer:
    """A WSGI app served by waitress in a thread; it answers once this object exists.

    Nothing reaches logging's tree or the standard error: waitress's warnings and what the app
    writes to ``wsgi.errors`` go to the log, as JSON lines.

    Example:
        >>> with AppServer(create_app()) as server:
        ...     requests.get(server.url + "/health", timeout=5)

    Args:
        wsgi_app: the application.
        host: the address to listen on; this machine only, by default.
        port: 0 takes a free one.
        threads: how many requests are worked on at a time; others wait in a queue.
        log: the file for warnings and errors, at most 4 MB and one older file. Without it
            waitress's warnings are dropped, and ``wsgi.errors`` is the standard error.

    Raises:
        PortInUse: when another program has the port; the evidence says which, if it can be seen.
        LabError: when the address cannot be listened on for another reason.
    """

    def __init__(
        self,
        wsgi_app: WSGIApplication,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        threads: int = 32,
        log: Path | None = None,
    ) -> None:
        self._log = logger_to(log)
        listener = _listen(host, port)
        self.host, self.port = listener.getsockname()[:2]
        self._closing = threading.Lock()
        self._closed = False
        self._map: dict[int, Any] = {}  # what the loop watches; it runs until this is empty
        self._dispatcher = _Dispatcher(self._log, f"app-server-{self.port}")
        self._thread = threading.Thread(
            target=self._run, name=f"app-server-{self.port}", daemon=True
        )
        try:
            self._dispatcher.set_thread_count(threads)
            self._dispatcher.wait_until_idle(READY_SECONDS)
            self._server = create_server(
                wsgi_app if log is None else _with_errors_in(self._log, wsgi_app),
                map=self._map,
                _dispatcher=self._dispatcher,
                sockets=[listener],
                connection_limit=_connection_limit(),
                asyncore_use_poll=True,
            )
            self._server.channel_class = _Channel
            self._server.draining = False
            self._server.logger = self._server.trigger.logger = self._log
            self._thread.start()
        except BaseException:
            listener.close()
            self._end()
            raise

    @property
    def url(self) -> str:
        """Where the app answers, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server still takes connections."""
        return not self._closed and self._thread.is_alive()

    def close(self, timeout: float = 5.0) -> None:
        """Answer the requests in flight, then end the threads and free the port. Idempotent.

        Args:
            timeout: seconds for the requests in flight; those that take longer lose their
                connection, which the log says, and their threads end when they do.
        """
        with self._closing:
            if self._closed:
                return
            try:
                if self._thread.is_alive():
                    self._drain(time.monotonic() + timeout)
            finally:  # an interrupt while requests drain still closes everything
                self._end()
                self._closed = True

    def _run(self) -> None:
        try:
            self._server.run()
        except Exception:  # noqa: BLE001 - a thread's last words belong in the log
            self._log.exception("the server's loop ended")

    def _in_loop(self, work: Callable[[], T]) -> T:
        """Run a function in the loop's thread, the only one that may touch the sockets."""
        result: Future[T] = Future()

        def thunk() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # noqa: BLE001 - for the caller, not for the loop
                result.set_exception(error)

        self._server.trigger.pull_trigger(thunk)
        return result.result(LOOP_SECONDS)

    def _drain(self, deadline: float) -> None:
        self._in_loop(self._stop_accepting)
        # One more turn of the loop reads what had arrived on the connections by then.
        self._in_loop(lambda: None)
        while (busy := self._in_loop(self._close_idle)) and time.monotonic() < deadline:
            time.sleep(0.005)
        if busy:
            self._log.warning("closed with %d requests unanswered", busy)

    def _stop_accepting(self) -> None:
        server = self._server
        waiting = -1
        while len(server.active_channels) > waiting:  # clients whom the kernel let in already
            waiting = len(server.active_channels)
            server.handle_accept()
        server.accepting = False
        server.del_channel()
        server.socket.close()

    def _close_idle(self) -> int:
        """Read no more, close the connections that wait for nothing, count the others."""
        self._server.draining = True
        channels = list(self._server.active_channels.values())
        busy = [channel for channel in channels if channel.busy]
        for channel in set(channels) - set(busy):
            channel.handle_close()
        return len(busy)

    def _end(self) -> None:
        self._dispatcher.shutdown(timeout=LEAVE_SECONDS)
        if self._thread.is_alive():
            self._in_loop(self._close_all)
            self._thread.join(LOOP_SECONDS)
        else:
            self._close_all()
        self._dispatcher.join(LEAVE_SECONDS)
        for handler in self._log.handlers:
            handler.close()

    def _close_all(self) -> None:
        members = list(self._map.values())
        for member in members:
            if isinstance(member, _Channel):
                # A request that outlives its connection must not wake a loop that is gone: the
                # number of its pipe may be another file's by then.
                member.server.pull_trigger = _nothing
                member.handle_close()
        for member in members:
            if not isinstance(member, _Channel):
                member.close()
        self._map.clear()

    def __enter__(self) -> AppServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AppServer {self.url} {'running' if self.running else 'closed'}>"


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that can be told to read no more, and logs to its server's log."""

    def __init__(self, server: Any, *args: Any, **kwargs: Any) -> None:
        self.logger = server.logger
        super().__init__(server, *args, **kwargs)

    def task_class(self, channel: _Channel, request: Any) -> WSGITask:
        task = WSGITask(channel, request)
        task.logger = self.logger
        return task

    @property
    def busy(self) -> bool:
        """Whether a request is waiting or worked on, or an answer not yet sent."""
        return bool(self.requests or self.total_outbufs_len)

    def readable(self) -> bool:
        return not self.server.draining and bool(super().readable())


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]  # waitress has no types
    """The worker threads, which can be joined, and log to their server's log."""

    def __init__(self, log: logging.Logger, name: str) -> None:
        super().__init__()
        self.logger = self.queue_logger = log
        self._name = name
        self._started: list[threading.Thread] = []

    def start_new_thread(self, target: Callable[[int], None], thread_no: int) -> None:
        thread = threading.Thread(
            target=target, name=f"{self._name}-{thread_no}", args=(thread_no,), daemon=True
        )
        thread.start()
        self._started.append(thread)

    def wait_until_idle(self, seconds: float) -> None:
        """Wait for every thread to wait for work: until then waitress takes it for busy.

        A request that comes sooner would be logged as one that queues.
        """
        deadline = time.monotonic() + seconds
        while self._any_active() and time.monotonic() < deadline:
            time.sleep(0.001)

    def _any_active(self) -> bool:
        with self.lock:
            return bool(self.active_count > 0)

    def join(self, seconds: float) -> None:
        """Wait for the threads to be gone; a request that never ends keeps its own."""
        deadline = time.monotonic() + seconds
        for thread in self._started:
            thread.join(max(0.0, deadline - time.monotonic()))


def _nothing() -> None:
    """Take the place of the wake-up call of a loop that has ended."""


def _connection_limit() -> int:
    """Return how many connections fit the limit on open files, some left for everything else."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(50, soft - 150))


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Made here rather than by waitress, which has started its threads by the time it finds a
    port taken.
    """
    if not 0 <= port <= LAST_PORT:  # some systems take a larger one modulo 65536
        raise _refusal(host, port, OverflowError(f"there is no port {port}"))
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refusal(host, port, error) from error
    try:
        if sys.platform == "win32":  # where SO_REUSEADDR would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, error) from error
    return listener


def _refusal(host: str, port: int, error: OSError | OverflowError) -> LabError:
    if isinstance(error, OSError) and error.errno in _TAKEN:
        return PortInUse(
            f"Port {port} on {host} is taken.",
            evidence=holder_of(port),
            next_step="stop the program that has it, or choose another port; 0 takes a free one.",
        )
    return LabError(
        f"The app cannot listen on {host} port {port}.",
        evidence=str(error),
        next_step='use an address of this machine, such as host="127.0.0.1", and a port from '
        "1024 to 65535, or 0 for a free one.",
    )


def _with_errors_in(log: logging.Logger, wsgi_app: WSGIApplication) -> WSGIApplication:
    errors = ErrorStream(log)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.errors"] = errors
        return wsgi_app(environ, start_response)

    return application
