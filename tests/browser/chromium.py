"""The browser: the Chromium or Chrome that is installed, headless; none is downloaded."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # it refuses to run as root with one; it sees nothing but our own server
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the browser's path; without one skip the test, or fail where one is required."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    reason = f"there is no browser on the PATH: none of {', '.join(NAMES)}"
    if os.environ.get("LABKIT_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Run a browser of its own, whose processes are all gone afterwards."""
    browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
    try:
        yield browser
    finally:
        browser.close()
