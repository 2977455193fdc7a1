"""Asking in JupyterLab: the magic, its completions, explanations, empty results, comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.browser.labpage import LabPage

pytestmark = pytest.mark.browser

WAIT = 'lab.wait_for("sum(flask_requests_total) >= 120")'
CELLS = (
    "%load_ext labkit\nimport labkit\n\nlab = labkit.start(seed=1, name='live')\n"
    f"run = lab.traffic(requests=120, seconds=6)\n{WAIT};",
    "%promql sum by (endpoint) (rate(flask_requests_total[30s]))",
    "%%promql --range 1m\nhistogram_quantile(0.95, sum by (le) "
    "(rate(flask_request_duration_seconds_bucket[30s])))",
    "%promql flask_request_total",
    "lab.explain('histogram_quantile(0.95, sum by (endpoint) "
    "(rate(flask_request_duration_seconds_bucket[30s])))')",
    "lab.compare(run)",
    "from labkit.history import ErrorBurst, History\n\n"
    "day = History(days=1, seed=3, incidents=[ErrorBurst('6h', '1h')])\n"
    "past = labkit.open_history(day, name='a day')\n"
    "past.dashboard()",
    "%promql --on 'a day' sum(increase(flask_requests_total[1h]))",
    "",
)
TABLE, CHART, EMPTY, EXPLAIN, COMPARE, PAST, ON, TYPED = range(1, 9)
SHOWN = {  # what is photographed, and words in it
    TABLE: ("ask-table", ["live", "/health"]),
    CHART: ("ask-chart", ["live", "every 1 s"]),
    EMPTY: ("ask-empty", ["live", "Did you mean flask_requests_total?"]),
    EXPLAIN: ("ask-explain", ["sum", "series"]),
    COMPARE: ("ask-compare", ["p95", "the sender"]),
    ON: ("ask-past", ["a day", "2026-01-31 00:00"]),
}
WIDE, HIGH = 1280, 1900  # so high that the longest answer is seen whole


@pytest.fixture
def notebook(notebooks: Path) -> str:
    """A notebook that asks in each way there is."""
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebooks / "ask.ipynb")
    return "ask.ipynb"


def test_asking_reads_well_and_completes_from_the_server(lab_page: LabPage, notebook: str) -> None:
    lab_page.open(notebook, size="1280")
    lab_page.run_all()
    for number in range(TYPED):
        lab_page.wait_for_cell(number, 90)

    for number, (name, words) in SHOWN.items():
        cell = lab_page.cell(number)
        cell.scroll_into_view_if_needed()  # what is far from view has no text
        lab_page.page.set_viewport_size({"width": WIDE, "height": HIGH})
        lab_page.screenshot(name, cell)
        said = cell.locator(".jp-OutputArea-output").all_inner_texts()
        assert all(word in " ".join(said) for word in words), said
        assert all(fits(output) for output in cell.locator(".jp-OutputArea-output").all())
        for picture in cell.locator(".jp-OutputArea-output img").all():
            assert picture.get_attribute("alt")
            assert picture.evaluate("image => image.naturalWidth") > 0
    assert lab_page.cell(CHART).locator("img").count() == 1
    assert lab_page.cell(COMPARE).locator("img").count() == 1

    scrub(lab_page)

    lab_page.resize("1280")
    offered = complete(lab_page, TYPED, "%promql sum(rate(flask_requests_total{sta")
    assert offered == ["status"]
    lab_page.screenshot("ask-completion")
    lab_page.page.keyboard.press("Escape")
    assert lab_page.raised() == []
    assert lab_page.errors == []


def scrub(lab_page: LabPage) -> None:
    """Go back through a past with the button, and look at it."""
    dashboard = lab_page.page.locator(".labkit-dashboard")
    dashboard.scroll_into_view_if_needed()
    lab_page.wait_until(dashboard.get_by_text("Sat 31 Jan 2026, 00:00").count, 60)
    before = dashboard.locator("img").first.get_attribute("src")
    dashboard.get_by_text("◀").click()
    lab_page.wait_until(dashboard.get_by_text("Fri 30 Jan 2026, 12:00").count, 60)
    lab_page.wait_until(lambda: dashboard.locator("img").first.get_attribute("src") != before, 60)
    lab_page.screenshot("dashboard-past", dashboard)


def fits(output: Locator) -> bool:
    """Whether nothing of an output is cut off at the side."""
    return output.evaluate("each => each.scrollWidth - each.clientWidth") <= 1


def complete(lab_page: LabPage, number: int, text: str) -> list[str]:
    """Type into a cell and press Tab; return what is offered."""
    editor = lab_page.cell(number).locator(".cm-content")
    editor.click()
    lab_page.page.keyboard.type(text)
    lab_page.page.keyboard.press("Escape")  # what was offered while typing
    editor.click()
    lab_page.page.keyboard.press("End")
    lab_page.page.keyboard.press("Tab")
    items = lab_page.page.locator(".jp-Completer-item .jp-Completer-match")
    lab_page.wait_until(items.count, 30)
    return items.all_inner_texts()
