"""Logs of bounded size, as JSON lines, that nothing of the lab shares with anyone."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LARGEST_LOG_BYTES = 4_000_000


def logger_to(path: Path | None) -> logging.Logger:
    """Return a logger that writes JSON lines to a file, or nowhere without a path.

    It is outside logging's tree, so nothing reaches the root logger, a cell or another part of
    the lab. The file holds at most 4 MB, with one older file beside it, and a message comes at
    most once a second.
    """
    logger = logging.Logger("labkit.server", logging.INFO)
    if path is None:
        logger.addHandler(logging.NullHandler())
        return logger
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(
        path, maxBytes=LARGEST_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(_JsonLine())
    handler.addFilter(_OncePerSecond())
    logger.addHandler(handler)
    return logger


class _LogFile(RotatingFileHandler):
    """A log of bounded size that is open only while a line is written.

    So the app may write to the same file, and rotate it, under this handler.
    """

    lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        lost = self.lost
        super().emit(record)
        stream, self.stream = self.stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError:  # it writes once more what the disk had no room for
                self.lost = lost + 1

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's
        self.lost += 1  # a full disk is not worth a traceback in a cell


class _OncePerSecond(logging.Filter):
    """Lets a message through once a second; an overloaded queue repeats itself every request."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._seen.get(record.msg, -1.0) < 1.0:
            return False
        if len(self._seen) > 100:  # noqa: PLR2004 - more messages than waitress has
            self._seen.clear()
        self._seen[record.msg] = now
        return True


class _JsonLine(logging.Formatter):
    """Time, level, message, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class ErrorStream:
    """What a WSGI app finds as ``wsgi.errors``: each write is a line of the log."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def write(self, text: str) -> None:
        """Log a text, white space apart."""
        if text.strip():
            self._log.error(text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        """Log each line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: every write is in the file when it returns."""
