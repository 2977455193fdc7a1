"""The course's notebooks as pages: nothing is wider than the page, and every picture has words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from labkit.notebook_files import read
from labkit.report import page as as_page
from tests.browser.chromium import chromium
from tests.notebook_cells import NOTEBOOKS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Playwright

pytestmark = pytest.mark.browser

WIDTHS = (1280, 800)
TOO_WIDE = """() => [
    ...document.querySelectorAll("main p, main li, main table, main pre, main img")]
  .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth)
  .map(each => each.textContent.slice(0, 80))"""
WORDLESS = "() => [...document.images].filter(image => !image.alt.trim()).length"
HEADINGS = "() => document.querySelectorAll('main h1').length"


def test_every_notebook_reads_as_a_page(playwright: Playwright, tmp_path: Path) -> None:
    with chromium(playwright) as browser:
        shown = browser.new_page()
        for notebook in NOTEBOOKS:
            path = tmp_path / f"{notebook.stem}.html"
            path.write_text(as_page(read(notebook), notebook.stem), encoding="utf-8")
            shown.goto(path.as_uri(), wait_until="domcontentloaded")
            assert shown.evaluate(HEADINGS) == 1, notebook.name
            assert shown.evaluate(WORDLESS) == 0, notebook.name
            for width in WIDTHS:
                shown.set_viewport_size({"width": width, "height": 900})
                assert shown.evaluate(TOO_WIDE) == [], f"{notebook.name} at {width}"
