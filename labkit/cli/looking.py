"""Looking at a target without sending traffic: what it counted, and whether it is reached."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from labkit.cli import output
from labkit.cli.finding import find_app, get_text
from labkit.cli.words import told
from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

_MILLISECONDS = 1000.0
# Loaded before the clock starts, so that what is timed is the connection.
_TO_LOAD = ("requests", "prometheus_client.parser", "labkit.attached", "labkit.promql.connection")


@dataclass(frozen=True)
class Connection:
    """One thing that was tried.

    Attributes:
        name: App or Prometheus.
        url: its address; None where it is not known.
        reached: whether it answered as it should.
        milliseconds: how long the answer took; None without one.
        advice: what went wrong and what to do; empty where all is well.
    """

    name: str
    url: str | None
    reached: bool
    milliseconds: float | None = None
    advice: str = ""


def show_statistics(url: str | None, *, as_json: bool) -> None:
    """Print what the app has counted, read from its own metrics.

    Raises:
        LabError: when nothing runs, it does not answer, or exposes other metrics.
    """
    from labkit.cli.summary import print_statistics
    from labkit.exposition import read

    target = find_app(url)
    reading = read(get_text(f"{target.url}/metrics"))
    if as_json:
        output.emit_json({"url": target.url, **reading.to_dict()})
    else:
        print_statistics(reading, target.url)


def test_connections(url: str | None, prometheus_url: str | None, *, as_json: bool) -> None:
    """Try the app and its Prometheus, and print which was reached and how fast.

    Raises:
        LabError: when nothing runs, or one of them was not reached.
    """
    for module in _TO_LOAD:
        import_module(module)
    target = find_app(url, prometheus_url)
    tried = [
        _try("App", target.url, lambda: _ask_app(target.url)),
        _try_prometheus(target.prometheus_url),
    ]
    if as_json:
        output.emit_json([asdict(connection) for connection in tried])
    else:
        _print(tried)
    missed = [c.name for c in tried if c.url and not c.reached]
    if missed:
        raise LabError(
            f"Not reached: {' and '.join(missed)}.",
            next_step="`labkit up` starts both here; `labkit check` looks at every part.",
        )


def _try_prometheus(url: str | None) -> Connection:
    if url is None:
        return Connection(
            "Prometheus", None, False, advice="its address is not known: give --prometheus-url"
        )
    return _try("Prometheus", url, lambda: _ask_prometheus(url))


def _try(name: str, url: str, ask: Callable[[], None]) -> Connection:
    begin = time.perf_counter()
    try:
        ask()
    except (LabError, ValueError) as error:
        words = (told(error) if isinstance(error, LabError) else str(error)).replace("\n", " ")
        return Connection(name, url, False, advice=words)
    return Connection(name, url, True, (time.perf_counter() - begin) * _MILLISECONDS)


def _ask_app(url: str) -> None:
    from labkit.exposition import read

    read(get_text(f"{url}/metrics"))  # which the app does not count


def _ask_prometheus(url: str) -> None:
    from labkit.attached import headers_from_environment
    from labkit.promql.client import Client

    with Client(url, headers=headers_from_environment(), timeout=3.0) as client:
        client.get("query", query="vector(1)")


def _print(tried: list[Connection]) -> None:
    rows = [
        (
            connection.name,
            _state(connection),
            connection.url or "",
            None if connection.milliseconds is None else f"{connection.milliseconds:.0f} ms",
            connection.advice,
        )
        for connection in tried
    ]
    output.console.print(output.table(["part", "state", "address", "latency", "what to do"], rows))


def _state(connection: Connection) -> Text:
    from rich.text import Text

    if connection.url is None:
        return Text("not known", "dim")
    return Text("reached", "green") if connection.reached else Text("not reached", "red")
