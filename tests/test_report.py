"""A notebook run without a browser: its page, its failures, and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner

from labkit.report import main, page, still
from tests.prometheus_lines import binaries
from tests.waiting import alive, wait_for

COMMAND = [sys.executable, "-m", "labkit.report"]
LAB = (
    "import labkit\nlab = labkit.start()",
    'lab.wait_for("rate(flask_uptime_seconds[5s])")\nlab.plot("flask_uptime_seconds", minutes=1)',
    "panel = lab.panel()\npanel",
    "import threading\nwhile not panel.view._chart.value:\n    threading.Event().wait(0.1)",
    "lab.stop()",
)
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]{5000}")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LABKIT_PROMETHEUS", str(binaries()[-1].path))


def pictures(text: str) -> list[dict[str, str]]:
    """Return the attributes of each picture on a page."""
    return [image.attrs for image in BeautifulSoup(text, "html.parser").find_all("img")]


def write_notebook(path: Path, *cells: str) -> Path:
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=cwd)


def test_the_page_has_the_charts_of_a_lab_and_needs_no_network(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "lab.ipynb", *LAB)
    before = notebook.read_bytes()

    done = run(notebook, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\[ *(\d)/5\] .* \d+\.\d s$", done.stdout, re.MULTILINE) == list("12345")
    assert done.stdout.splitlines()[-1] == f"Written: {tmp_path / 'demo.html'}"
    text = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert len(PICTURE.findall(text)) == 2, "one of lab.plot(), one of lab.panel()"
    assert not re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=.https?:", text)
    assert notebook.read_bytes() == before


def test_a_failing_cell_is_named_with_its_error(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "bad.ipynb", "a = 1", "import os\na + b", "a = 3")
    (tmp_path / "demo.html").write_text("the page of another run")

    done = run(notebook, cwd=tmp_path)

    assert done.returncode == 1
    assert "This cell failed: a + b" in done.stderr
    assert "NameError: name 'b' is not defined" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr.splitlines()[0]
    assert "[ 2/3]" not in done.stdout
    assert (tmp_path / "demo.html").read_text() == "the page of another run"


def test_a_dead_kernel_is_said(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "dead.ipynb", "import os\nos._exit(3)")
    done = run(notebook, cwd=tmp_path)
    assert done.returncode == 1
    assert "This cell failed: os._exit(3)" in done.stderr
    assert "kernel died" in done.stderr


def test_what_cannot_work_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "text.ipynb").write_text("not JSON")
    good = write_notebook(tmp_path / "one.ipynb", "1")
    refused = {
        "none.ipynb is not a notebook": [tmp_path / "none.ipynb"],
        "text.ipynb is not a notebook": [tmp_path / "text.ipynb"],
        f"There is no folder {tmp_path / 'no'}.": [good, "--output", tmp_path / "no" / "page.html"],
    }
    for words, arguments in refused.items():
        done = CliRunner().invoke(main, list(map(str, arguments)))
        assert done.exit_code == 1
        assert words in done.output
        assert "Running" not in done.output


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    child = (
        "import os, sys, pathlib, threading\nfrom labkit.processes import ChildProcess\n"
        "sleeper = ChildProcess([sys.executable, '-c', 'import time; time.sleep(600)'], "
        "log=pathlib.Path('sleeper.log'))\n"
        "while sleeper.pid is None:\n    threading.Event().wait(0.01)\n"
        "pathlib.Path('ready').write_text(str(os.getpid()))\nthreading.Event().wait(600)"
    )
    notebook = write_notebook(tmp_path / "long.ipynb", child, "1")
    with subprocess.Popen(
        [*COMMAND, str(notebook)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as report:
        wait_for(lambda: (tmp_path / "ready").exists() or report.poll() is not None, 60)
        started = [process.pid for process in psutil.Process(report.pid).children(recursive=True)]
        os.kill(report.pid, signal.SIGINT)
        _, errors = report.communicate(timeout=30)

    assert report.returncode == 130, errors
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert int((tmp_path / "ready").read_text()) in started
    assert len(started) == 3, "kernel, guard, sleeper"
    wait_for(lambda: not any(map(alive, started)))
    assert not (tmp_path / "demo.html").exists()


def test_a_widget_becomes_its_last_picture() -> None:
    view, state = "widget-view+json", "widget-state+json"
    output = nbformat.v4.new_output(
        "display_data",
        {f"application/vnd.jupyter.{view}": {"model_id": "box"}, "text/plain": "VBox()"},
    )
    cell = nbformat.v4.new_code_cell("panel", outputs=[output])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    image = {"path": ["value"], "encoding": "base64", "data": "iVBORw0K"}
    widgets = {
        "box": {
            "model_name": "VBoxModel",
            "state": {"children": ["IPY_MODEL_box", "IPY_MODEL_text", "IPY_MODEL_chart"]},
        },
        "text": {"model_name": "HTMLModel", "state": {"value": "<b>1</b>"}},
        "chart": {"model_name": "ImageModel", "state": {"format": "png"}, "buffers": [image]},
        "other": {"model_name": "ImageModel", "state": {}, "buffers": [image | {"data": "bad"}]},
    }
    notebook.metadata["widgets"] = {f"application/vnd.jupyter.{state}": {"state": widgets}}

    still(notebook)

    assert output["data"] == {"text/plain": "VBox()", "image/png": "iVBORw0K"}
    assert "widgets" not in notebook.metadata
    (picture,) = pictures(page(notebook, "a title"))
    assert picture["src"] == "data:image/png;base64,iVBORw0K"
    assert picture["alt"] == "The last picture of what this cell shows while its kernel runs."
    json.dumps(notebook)


def test_the_page_says_what_its_charts_show() -> None:
    """For those who cannot see them: the words are in the output, next to its size."""
    told = {"image/png": {"alt": 'Chart: "5xx" > 0', "width": 800}}
    data = {"text/plain": "<Axes>", "image/png": "iVBORw0K"}
    outputs = [
        nbformat.v4.new_output("display_data", data, metadata=told),
        nbformat.v4.new_output("display_data", data),
    ]
    cell = nbformat.v4.new_code_cell("lab.plot('up')", outputs=outputs)
    first, second = pictures(page(nbformat.v4.new_notebook(cells=[cell]), "a title"))
    assert (first["alt"], first["width"]) == ('Chart: "5xx" > 0', "800")
    assert second["alt"] == "No description has been provided for this image", "nbconvert's words"


def test_the_page_says_what_a_chart_of_labkit_shows(tmp_path: Path) -> None:
    drawing = "from labkit.plots.picture import figure\nfigure().axes[0].set_title('up')\n"
    notebook = write_notebook(tmp_path / "chart.ipynb", drawing + "figure()")
    done = CliRunner().invoke(main, [str(notebook), "--output", str(tmp_path / "x.html")])
    assert done.exit_code == 0, done.output
    (picture,) = pictures((tmp_path / "x.html").read_text(encoding="utf-8"))
    assert picture["alt"].startswith("Chart")
