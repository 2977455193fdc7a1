"""A notebook run without a browser, as one HTML page with its charts; `make demo` calls it.

python -m labkit.report [NOTEBOOK] [--output demo.html]
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labkit.errors import LabError
from labkit.jupyter import notebooks_folder
from labkit.notebook_files import FIRST_NOTEBOOK, read, save
from labkit.processes import tail
from labkit.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbformat import NotebookNode

CELL_SECONDS = 120
_STATE = "application/vnd.jupyter.widget-state+json"
_VIEW = "application/vnd.jupyter.widget-view+json"
_PICTURES = {"png": "image/png", "jpeg": "image/jpeg"}
_LIVE = "The last picture of what this cell shows while its kernel runs."
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block data_png -%}{{ super() | described(output, 'image/png') }}{%- endblock -%}
{%- block data_jpg -%}{{ super() | described(output, 'image/jpeg') }}{%- endblock -%}
"""
_REFERENCE = re.compile(r"IPY_MODEL_(\w+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MOST_LINES = 15
_INTERRUPTED = 130  # what shells give for Ctrl-C


def run(notebook: NotebookNode, folder: Path, tell: Callable[[str], None]) -> None:
    """Run a notebook's cells in a kernel of its own, in place.

    Args:
        notebook: what to run; its outputs are replaced.
        folder: the folder the kernel works in.
        tell: takes a line for each code cell, and one before the first.

    Raises:
        LabError: a cell failed, took more than two minutes, or lost its kernel.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the kernel and all it started are gone.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    # With no folders to look in, "python3" is this Python, and not a kernel of the person's own.
    specs = KernelSpecManager(kernel_dirs=[])
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(folder)}},
    )
    with tempfile.TemporaryDirectory() as place:
        try:
            asyncio.run(_run(client, kernel, Path(place), tell))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _run(
    client: NotebookClient, kernel: AsyncKernelManager, place: Path, tell: Callable[[str], None]
) -> None:
    log = place / "kernel.log"
    # The solutions in a notebook are not what the person has solved.
    env = {**os.environ, "LABKIT_PROGRESS": str(place / "progress.json")}
    code = [index for index, cell in enumerate(client.nb.cells) if _is_code(cell)]
    tell(f"Running {len(code)} cells in a kernel of their own ...")
    with log.open("wb") as output:
        options = {"stdout": output, "stderr": output, "env": env}
        async with client.async_setup_kernel(cleanup_kc=True, **options):
            with _cancelled_by_signals(), Progress() as progress:
                for number, index in enumerate(code, 1):
                    title = _title(client.nb.cells[index].source)
                    progress.say(f"[{number:2}/{len(code)}] {title} ...")
                    seconds = await _run_cell(client, kernel, index, log)
                    progress.close()
                    tell(f"[{number:2}/{len(code)}] {title:60} {seconds:5.1f} s")
            client.set_widgets_metadata()


async def _run_cell(
    client: NotebookClient, kernel: AsyncKernelManager, index: int, log: Path
) -> float:
    """Run one cell and return how many seconds it took."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    cell = client.nb.cells[index]
    begun = time.monotonic()
    try:
        await client.async_execute_cell(cell, index)
    except CellExecutionError as error:
        raise _failed(cell, _COLOUR.sub("", error.traceback)) from error
    except CellTimeoutError as error:
        raise _failed(cell, f"It did not end within {client.timeout} s.") from error
    except DeadKernelError as error:
        if not _is_cancelled():  # to nbclient the two are one
            raise _failed(cell, f"Its kernel died.\n{tail(log, _MOST_LINES)}") from error
        with contextlib.suppress(RuntimeError):  # the kernel is gone already
            await kernel.interrupt_kernel()  # so that it ends by itself, and its lab with it
        raise asyncio.CancelledError from None
    return time.monotonic() - begun


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_code(cell: NotebookNode) -> bool:
    return bool(cell.cell_type == "code" and cell.source.strip())


def _title(source: str) -> str:
    """Return the line that a cell is known by: not an import, nor where a long text begins."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    skipped = re.compile(r"(import|from) |.*(\'\'\'|\"\"\")$")
    return next((line for line in lines if not skipped.match(line)), lines[0])[:60]


def _failed(cell: NotebookNode, why: str) -> LabError:
    return LabError(
        f"This cell failed: {_title(cell.source)}",
        evidence="\n".join(why.rstrip().splitlines()[-_MOST_LINES:]),
        next_step="open the notebook and run it there: make lab, or labkit lab.",
    )


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM cancel this task, instead of nbclient's pulling of the kernel."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    if sys.platform == "win32":  # asyncio itself cancels the task on Ctrl-C
        yield
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def still(notebook: NotebookNode) -> None:
    """Put the last picture of each widget in the place of the widget, which needs a kernel."""
    widgets = notebook.metadata.pop("widgets", {}).get(_STATE, {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            view = output.get("data", {}).pop(_VIEW, None)
            if view is not None:
                pictures = _pictures(view["model_id"], widgets)
                output["data"].update(pictures)
                output["metadata"].update({kind: {"alt": _LIVE} for kind in pictures})


def _pictures(model: str, widgets: dict[str, Any]) -> dict[str, str]:
    """Return the picture of the first image inside a widget, as a cell's output has it."""
    for name in _inside(model, widgets, set()):
        widget = widgets[name]
        values = [b for b in widget.get("buffers", []) if b["path"] == ["value"] and b["data"]]
        if widget["model_name"] == "ImageModel" and values:
            return {_PICTURES[widget["state"].get("format", "png")]: values[0]["data"]}
    return {}


def _inside(model: str, widgets: dict[str, Any], seen: set[str]) -> Iterable[str]:
    """Give a widget and those in it, in the order of the page."""
    if model in seen or model not in widgets:
        return
    seen.add(model)
    yield model
    for child in _REFERENCE.findall(str(widgets[model]["state"].get("children", []))):
        yield from _inside(child, widgets, seen)


def page(notebook: NotebookNode, title: str) -> str:
    """Return a notebook as an HTML page that needs nothing from the network.

    Args:
        notebook: with its outputs.
        title: what the browser's tab says.
    """
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        require_js_url="",
        mathjax_url="",
        template_file="described.html.j2",
        extra_loaders=[DictLoader({"described.html.j2": _TEMPLATE})],
    )
    exporter.register_filter("described", _described)  # type: ignore[no-untyped-call]
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(text)


def _described(picture: str, output: NotebookNode, kind: str) -> str:
    """Give a picture the words of its output's metadata, which nbconvert's template leaves out."""
    words = output.get("metadata", {}).get(kind, {}).get("alt")
    if not words or " alt=" in picture.replace(output["data"][kind], ""):
        return picture
    return picture.replace("<img ", f'<img alt="{html.escape(words)}" ', 1)


def write(source: Path, output: Path, tell: Callable[[str], None]) -> None:
    """Run a notebook and write its page, as a whole or not at all.

    Args:
        source: the notebook; it is left as it is.
        output: the page.
        tell: takes each line for the person at the terminal.

    Raises:
        LabError: there is no such notebook, a cell failed, or the page cannot be written.
        PrometheusMissing: there is none, and none could be fetched.
        KeyboardInterrupt: Ctrl-C or SIGTERM came.
    """
    from labkit.prometheus.binary import find_prometheus
    from labkit.teaching.copies import without_answers

    notebook = read(source)
    without_answers(notebook)
    if not output.absolute().parent.is_dir():
        raise LabError(f"There is no folder {output.parent}.", next_step="name another --output.")
    with Progress() as progress:
        find_prometheus(progress=progress.stage)
    run(notebook, source.absolute().parent, tell)
    still(notebook)
    save(output, page(notebook, source.stem), next_step="name another --output.")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("notebook", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--output",
    default=Path("demo.html"),
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page to write.",
)
def main(notebook: Path | None, output: Path) -> None:
    """Run NOTEBOOK without a browser and write it as an HTML page with its charts.

    By default it is the first one, 00-open-the-lab.ipynb.
    """
    source = notebook or notebooks_folder() / FIRST_NOTEBOOK
    try:
        write(source, output, click.echo)
    except LabError as error:
        click.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nInterrupted; what it had started is stopped.", err=True)
        sys.exit(_INTERRUPTED)
    click.echo(f"Written: {output.absolute()}")


if __name__ == "__main__":
    main(prog_name="python -m labkit.report")
