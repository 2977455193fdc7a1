"""The dashboard in JupyterLab: it moves, keeps its layout, and shows an alert that fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.browser.labpage import SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.labpage import LabPage

pytestmark = pytest.mark.browser

CELLS = (
    "import labkit\nlab = labkit.start(seed=1)\nlab.traffic(requests=400, seconds=80)",
    "lab.dashboard(refresh_seconds=1)",
    'lab.spike(threads=8, seconds=60, mix="errors")\nlab.faults.health_failure_probability = 0.6',
)
CALM_SECONDS = 3
FIRING = ".labkit-alert-firing"


@pytest.fixture
def notebook(notebooks: Path) -> str:
    """A notebook with a lab, its dashboard, and a spike of errors."""
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebooks / "dashboard.ipynb")
    return "dashboard.ipynb"


def test_dashboard_shows_a_spike_and_the_alert_that_it_sets_off(
    lab_page: LabPage, notebook: str
) -> None:
    lab_page.open(notebook, size="1920")
    for number in (0, 1):
        run(lab_page, number)
    dashboard = lab_page.page.locator(".labkit-dashboard")
    tiles = dashboard.locator("img")
    before = wait_for_pictures(lab_page)
    places = [tiles.nth(number).bounding_box() for number in range(6)]
    lab_page.page.wait_for_timeout(1000 * CALM_SECONDS)
    picture(lab_page, dashboard, "calm", "Light")

    run(lab_page, 2)

    lab_page.wait_for_new_picture(before)
    lab_page.resize("1920")
    alert = dashboard.get_by_text("HighErrorRate")
    lab_page.wait_until(lambda: "pending" in state(alert), 60)
    picture(lab_page, dashboard, "spike", "Dark")
    lab_page.wait_until(lambda: dashboard.locator(FIRING).count(), 60)
    assert "firing · true since" in state(alert)
    assert dashboard.get_by_text("health_failure_probability 0.2 → 0.6").is_visible()
    picture(lab_page, dashboard, "firing", "Dark", "Light")
    lab_page.resize("1920")
    scroll_to(dashboard)
    after = [tiles.nth(number).bounding_box() for number in range(6)]
    assert sizes(after) == sizes(places), "the layout has not moved"
    themes = dashboard.locator("select").nth(2)
    themes.select_option("dark")  # its own, on a light page
    dashboard.locator("xpath=self::*[contains(@class, 'labkit-dark')]").wait_for()
    lab_page.screenshot("dashboard-dark", dashboard)
    dashboard.get_by_role("button", name="Pause").click()
    lab_page.wait_until(lambda: dashboard.get_by_text("paused at").count(), 30)
    assert lab_page.raised() == []
    assert lab_page.errors == []
    assert lab_page.outside == []


def run(lab_page: LabPage, number: int) -> None:
    """Run a code cell, as Shift+Enter does, and wait until it has run."""
    lab_page.cell(number).locator(".jp-InputArea-editor").click()
    lab_page.page.keyboard.press("Shift+Enter")
    lab_page.wait_for_cell(number, 60)


def wait_for_pictures(lab_page: LabPage) -> str:
    """Wait until all six tiles have been drawn; return the address of the first picture."""
    blank = lab_page.picture_source()
    for number in range(6):
        lab_page.wait_for_new_picture(blank, number)
    return lab_page.picture_source()


def picture(lab_page: LabPage, dashboard: Locator, name: str, *themes: str) -> None:
    """Leave screenshots to look at, in both sizes; the dashboard alone in the last theme."""
    for theme in themes:
        lab_page.set_theme(theme)
        for size in sorted(SIZES):
            lab_page.resize(size)
            scroll_to(dashboard)
            lab_page.page.wait_for_timeout(150)  # the page lays itself out
            lab_page.screenshot(f"dashboard-{name}-{theme.lower()}-{size}")
    lab_page.screenshot(f"dashboard-{name}", dashboard)


def scroll_to(dashboard: Locator) -> None:
    dashboard.evaluate("dashboard => dashboard.scrollIntoView()")


def sizes(boxes: list) -> list[tuple[float, ...]]:
    """Return where each box is beside the first, and how big, in whole pixels."""
    x, y = boxes[0]["x"], boxes[0]["y"]
    return [
        tuple(round(v) for v in (box["x"] - x, box["y"] - y, box["width"], box["height"]))
        for box in boxes
    ]


def state(alert: Locator) -> str:
    """Return the words of an alert's chip."""
    return alert.locator("..").text_content() or ""
