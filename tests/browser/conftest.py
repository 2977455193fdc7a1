"""JupyterLab as `make lab` starts it, on a copy of the notebooks, and a page that shows it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Playwright, sync_playwright

from labkit.jupyter import JupyterServer, notebooks_folder
from tests.browser.chromium import chromium, find_chromium
from tests.browser.labpage import LabPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver. It keeps an event loop in this thread, hence not for the session."""
    find_chromium()
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="package")
def jupyter_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what Jupyter and IPython keep for a person; empty, as for a newcomer."""
    home = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "DATA", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(home / name.lower()))
        patch.setenv("IPYTHONDIR", str(home / "ipython"))
        for name in ("JUPYTER_CONFIG_PATH", "JUPYTER_PATH", "JUPYTER_TOKEN"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="package")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the notebooks, which the browser may change."""
    return notebooks_folder(copy_to=tmp_path_factory.mktemp("notebooks"))


@pytest.fixture(scope="package")
def jupyter(jupyter_home: Path, notebooks: Path) -> Iterator[JupyterServer]:
    """JupyterLab on that copy, started as for a person."""
    find_chromium()
    with JupyterServer(notebooks) as server:
        yield server


@pytest.fixture
def lab_page(
    playwright: Playwright, jupyter: JupyterServer, jupyter_home: Path
) -> Iterator[LabPage]:
    """A browser that has never seen this JupyterLab; its kernels are gone afterwards."""
    with chromium(playwright) as browser:
        page = LabPage(browser.new_page(), jupyter)
        try:
            yield page
        finally:
            browser.close()
            page.end_kernels()
            # The tabs and settings it kept, which the next test's page would bring back.
            shutil.rmtree(jupyter_home / "config" / "lab", ignore_errors=True)
