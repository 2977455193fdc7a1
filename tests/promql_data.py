"""Samples for tests of asking: a past that is known exactly, and targets whose text is theirs."""

from __future__ import annotations

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from labkit.prometheus.binary import Binary

T = 1_700_000_000  # when the known past begins, in unix seconds
HOSTILE = '<b>"q"</b>\n$x^2$ \\ é日本'
KEEP = "--storage.tsdb.retention.time=100y"  # so that samples of the known past stay


def escape(value: str) -> str:
    """Write a label's value as the exposition formats do."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def past() -> str:
    """OpenMetrics of 61 s with a sample each second; what each series holds is in its line."""
    lines = ["# TYPE requests counter"]
    for labels, per_second in (
        ('endpoint="/",status="200"', 4),
        ('endpoint="/slow",status="200"', 1),
        ('endpoint="/slow",status="504"', 2),
    ):
        lines += [f"requests_total{{{labels}}} {per_second * i} {T + i}" for i in range(61)]
    lines += ["# TYPE hostile gauge"]
    lines += [f'hostile{{text="{escape(HOSTILE)}",value="v",time="t"}} 1.5 {T}']
    lines += ["# TYPE gappy gauge"]
    lines += [f"gappy {i} {T + i}" for i in (*range(10), *range(400, 411))]
    lines += ["# TYPE odd gauge"]
    lines += [f'odd{{is="{text}"}} {text} {T}' for text in ("NaN", "+Inf", "-Inf")]
    lines += ["# TYPE between gauge", f"between 7 {T}.250"]
    return "\n".join([*lines, "# EOF", ""])


def blocks(binary: Binary, folder: Path, text: str) -> Path:
    """Turn OpenMetrics text into a data folder that Prometheus starts on."""
    assert binary.promtool is not None
    source = folder / "past.om"
    source.write_text(text)
    data = folder / "blocks"
    command = [binary.promtool, "tsdb", "create-blocks-from", "--max-block-duration=768h"]
    done = subprocess.run(
        [*command, "openmetrics", source, data], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return data


class Target:
    """Something to scrape, or to take for a Prometheus: it answers every request alike.

    Each connection is closed after its answer, so that no thread of this server outlives it.
    """

    def __init__(self, body: str, *, status: int = 200, kind: str = "text/plain; version=0.0.4"):
        self.body, self.status, self.kind = body, status, kind
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                target.requests.append(f"{self.command} {self.path} {self.rfile.read(length)!r}")
                target.headers.append(dict(self.headers))
                self.send_response(target.status)
                self.send_header("Content-Type", target.kind)
                self.end_headers()
                self.wfile.write(target.body.encode())

            do_POST = do_GET  # noqa: N815 - http.server calls it by this name

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
