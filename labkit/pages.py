"""The course as web pages with outputs, to read on paper or the web; `make course` writes them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit import report
from labkit.errors import LabError
from labkit.notebook_files import read, save
from labkit.progress import Progress
from labkit.teaching import copies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nbformat import NotebookNode

INDEX = "index.html"
_OURS = '<meta name="generator" content="labkit course">'
_NEXT = "name another folder."
_TITLE = re.compile(r"^# +(.+?)\s*$", re.MULTILINE)
_CAN = re.compile(r"^(?:[-*]|\d\.) +(.+?)[;.,]?\s*$", re.MULTILINE)
_STYLE = """\
<style>
.course-nav { display: flex; justify-content: space-between; gap: 1em; max-width: 60em;
  margin: 0 auto; padding: .8em 1em; font: 14px/1.4 system-ui, sans-serif; }
.course-nav a { text-decoration: underline; }
.course-nav span { flex: 1; text-align: center; }
.course-nav span:first-child { text-align: left; }
.course-nav span:last-child { text-align: right; }
main { max-width: 72em; margin: 0 auto; }
img { max-width: 100%; }
@media print {
  .course-nav { display: none; }
  .jp-Cell, img, table, blockquote { break-inside: avoid; }
  h1, h2, h3 { break-after: avoid; }
  pre, code { white-space: pre-wrap !important; overflow-wrap: anywhere; }
}
</style>
"""
_INDEX_STYLE = """\
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }
h2 { font-size: 1.1em; margin: 1.4em 0 .2em; } ul { margin: .2em 0; }
small { opacity: .75; }
@media print { section { break-inside: avoid; } a { color: inherit; } }
</style>
"""


@dataclass(frozen=True)
class _Chapter:
    """A notebook of the course: its file, its title, and what one can do after it."""

    source: Path
    title: str
    can: tuple[str, ...]
    notebook: NotebookNode

    @property
    def file(self) -> str:
        return f"{self.source.stem}.html"


def write(
    sources: Sequence[Path],
    folder: Path,
    tell: Callable[[str], None],
    *,
    solutions: bool = False,
    force: bool = False,
) -> Path:
    """Run the notebooks and write each as a page with its outputs, and an index.

    Cells that wait for an answer are left out. A notebook that fails is named, and the others
    are written all the same.

    Args:
        sources: the notebooks; they are left as they are.
        folder: where the pages go; it is made.
        tell: takes each line for the person at the terminal.
        solutions: whether the solutions are run and stay.
        force: whether files that are not pages of a course are replaced.

    Returns:
        The index.

    Raises:
        LabError: some notebook failed; its message names it and the cell. Or a file is in the
            way, or cannot be written.
        PrometheusMissing: there is none, and none could be fetched.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; pages so far stay.
    """
    from labkit.prometheus.binary import find_prometheus

    chapters = [_chapter(source, {path.name for path in sources}, solutions) for source in sources]
    _make(folder, [*(chapter.file for chapter in chapters), INDEX], force=force)
    with Progress() as progress:
        find_prometheus(progress=progress.stage)
    failed: dict[str, LabError] = {}
    for number, chapter in enumerate(chapters):
        tell(f"\n{chapter.source.name}, {number + 1} of {len(chapters)}")
        try:
            report.run(chapter.notebook, chapter.source.absolute().parent, tell)
        except LabError as error:
            failed[chapter.source.name] = error
            tell(f"{chapter.source.name} failed, it gets no page: {error.message}")
            (folder / chapter.file).unlink(missing_ok=True)
            continue
        report.still(chapter.notebook)
        save(folder / chapter.file, _page(chapters, number), next_step=_NEXT)
    written = [each for each in chapters if each.source.name not in failed]
    save(folder / INDEX, _index(written, solutions=solutions), next_step=_NEXT)
    if failed:
        raise _summed_up(failed, len(written))
    return folder / INDEX


def _chapter(source: Path, present: set[str], solutions: bool) -> _Chapter:
    notebook = read(source)
    copies.strip(notebook)
    copies.without_answers(notebook)
    copies.link(notebook, present, ".html")
    if not solutions:
        copies.without_solutions(notebook)
    for cell in notebook.cells:
        if copies.HIDDEN in copies.tags(cell):
            cell.metadata["transient"] = {"remove_source": True}  # as nbconvert's own tags do
    first = notebook.cells[0].source if notebook.cells else ""
    title = _TITLE.search(first)
    return _Chapter(
        source,
        _plain(title[1]) if title else source.stem,
        tuple(_CAN.findall(first)),
        notebook,
    )


def _make(folder: Path, names: Sequence[str], *, force: bool) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = [name for name in names if _is_strange(folder / name)]
    except OSError as error:
        raise LabError(
            f"No pages can be written to {folder}.", evidence=str(error), next_step=_NEXT
        ) from error
    if strange and not force:
        raise LabError(
            f"Files in {folder} are no pages of a course; nothing was written.",
            evidence="\n".join(strange),
            next_step="name another folder; or --force, which overwrites them.",
        )


def _is_strange(path: Path) -> bool:
    return path.exists() and _OURS.encode() not in path.read_bytes()


def _page(chapters: Sequence[_Chapter], number: int) -> str:
    chapter = chapters[number]
    text = report.page(chapter.notebook, f"{chapter.source.stem[:2]} {chapter.title}")
    around = [
        f"← {_to(chapters[number - 1])}" if number else "",
        f'<a href="{INDEX}">All notebooks</a>',
        f"{_to(chapters[number + 1])} →" if number + 1 < len(chapters) else "",
    ]
    nav = f'<nav class="course-nav">{"".join(f"<span>{each}</span>" for each in around)}</nav>'
    text = text.replace("</head>", f"{_OURS}\n{_STYLE}</head>", 1)
    text = re.sub(r"<body[^>]*>", lambda body: body[0] + nav, text, count=1)
    return text.replace("</body>", f"{nav}</body>")


def _to(chapter: _Chapter) -> str:
    return f'<a href="{html.escape(chapter.file)}">{html.escape(chapter.title)}</a>'


def _index(chapters: Sequence[_Chapter], *, solutions: bool) -> str:
    from labkit import __version__

    sections = "".join(
        f"<section><h2>{chapter.source.stem[:2]} · {_to(chapter)}</h2><ul>"
        + "".join(f"<li>{_inline(each)}</li>" for each in chapter.can)
        + "</ul></section>\n"
        for chapter in chapters
    )
    kind = "with the solutions of the exercises" if solutions else "without solutions"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n{_OURS}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Observability lab: the course</title>\n{_INDEX_STYLE}</head>\n"
        f"<body><h1>Observability lab: the course</h1>\n<p>{len(chapters)} notebooks as they "
        f"came out of a run, {kind}. To run them yourself: <code>labkit lab</code>.</p>\n"
        f"{sections}<p><small>labkit {html.escape(__version__)}</small></p></body></html>\n"
    )


def _inline(markdown: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(markdown, quote=False))


def _plain(markdown: str) -> str:
    """Return one line of Markdown as plain words."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"[`*]", "", markdown))


def _summed_up(failed: dict[str, LabError], written: int) -> LabError:
    words = [f"{name}: {error.message}\n{error.evidence}" for name, error in failed.items()]
    names = "one notebook" if len(failed) == 1 else f"{len(failed)} notebooks"
    return LabError(
        f"{names.capitalize()} failed; {written} pages were written.",
        evidence="\n\n".join(words),
        next_step="open the notebook that is named and run it there: labkit lab.",
    )
