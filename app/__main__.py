"""python -m app: serve the app alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import errno
import logging
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waitress.server import create_server
from waitress.wasyncore import close_all

from app import create_app
from app.faults import PRESETS, Faults

if TYPE_CHECKING:
    from flask import Flask


def main(arguments: list[str] | None = None) -> None:
    """Serve the app; end with one line on standard error if it cannot listen."""
    options = _parser().parse_args(arguments)
    app = create_app({"FAULTS": Faults(options.preset, seed=options.seed)})
    sockets: dict[int, object] = {}  # every one that waitress has open, by its number
    server = _listen(app, options, sockets)
    log = app.extensions["log"]
    if options.log == "-":
        log.attach(logging.StreamHandler(sys.stdout))
    elif options.log is not None:
        log.to_file(Path(options.log))
    # A service manager's SIGTERM ends it like Ctrl-C: answers first, then exit code 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _say(f"The app is at http://{options.host}:{server.effective_port} (Ctrl-C stops it)")
    with suppress(KeyboardInterrupt):  # a second Ctrl-C does not wait for the requests
        server.run()  # returns at Ctrl-C, when the requests in flight have been answered
    close_all(sockets)
    log.close()
    _say("Stopped.")


def _listen(app: Flask, options: argparse.Namespace, sockets: dict[int, object]) -> Any:
    # Its warnings about a queue come once a request; the gauge of requests in progress says it.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        return create_server(
            app,
            map=sockets,
            host=options.host,
            port=options.port,
            ipv6=False,  # localhost is one address
            threads=options.threads,
            connection_limit=1000,
            asyncore_use_poll=True,
        )
    except (OSError, ValueError) as error:  # ValueError: no such host
        raise SystemExit(
            f"{options.host} port {options.port} cannot be used ({error}): {_remedy(error)}"
        ) from error


def _remedy(error: OSError | ValueError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "stop the program that has it, or choose another with --port"
    if number == errno.EACCES:
        return "choose a port from 1024 on with --port"
    return "give an address of this machine with --host, such as 127.0.0.1"


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - a command talks to its terminal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="Serve the instrumented app alone. LABKIT_TOKEN in the environment is the "
        "secret that a PUT to /faults must carry in the header X-Lab-Token.",
        epilog="example: python -m app --port 5000 --preset healthy",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add("--port", type=_port, default=5000, help="0 takes a free one (default: %(default)s)")
    add("--threads", type=_threads, default=32, help="requests at a time (default: %(default)s)")
    add("--preset", choices=PRESETS, default="classic", help="the faults (default: %(default)s)")
    add("--seed", type=int, help="meet the same faults in the same order at every run")
    add("--log", metavar="FILE", help="log requests as JSON lines; - for standard output")
    return parser


def _port(text: str) -> int:
    return _whole_number(text, 0, 65535)


def _threads(text: str) -> int:
    return _whole_number(text, 1, 1000)


def _whole_number(text: str, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
    return number


if __name__ == "__main__":
    main()
