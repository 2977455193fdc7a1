"""Documents that cannot rot: what they name exists, and what exists is in them."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import labkit
from app.faults import Faults
from labkit.cli import main as labkit_command
from labkit.traffic import Stats, TrafficRun
from tests import reference
from tests.docstrings import parse
from tests.notebook_cells import NOTEBOOKS, prose

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
SOURCES = sorted([*(ROOT / "app").rglob("*.py"), *(ROOT / "labkit").rglob("*.py")])
MOST_LINES = 450  # about 350 is where a module is split
COMMANDS = dict(reference.commands())

LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def everything() -> str:
    """All pages, and the words of all notebooks."""
    return "\n".join([*map(read, PAGES), *(text for path in NOTEBOOKS for text in prose(path))])


# --- What exists is in the documents ------------------------------------------------------------


def test_reference_is_what_the_code_says() -> None:
    written = read(reference.PAGE)
    assert written == reference.page(), "run `python -m tests.reference` and commit its page"


@pytest.mark.parametrize("path", COMMANDS)
def test_command_has_help_and_a_place(path: str) -> None:
    command = COMMANDS[path]
    assert command.help, f"{path} has no help"
    assert command.get_short_help_str(limit=200).endswith("."), "one sentence"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts[0]} has no help"
    readme = {words for _, words in typed(ROOT / "README.md") if words[0] == "labkit"}
    assert any(words[: len(path.split())] == tuple(path.split()) for words in readme), (
        f"README.md does not show {path}"
    )


def test_groups_list_what_they_have() -> None:
    context = click.Context(labkit_command)
    listed = [f"labkit {name}" for name in labkit_command.list_commands(context)]
    assert [path for path in COMMANDS if path.count(" ") == 1] == listed
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("name", labkit.__all__)
def test_public_name_has_a_docstring_and_a_place(name: str) -> None:
    doc = parse(getattr(labkit, name).__doc__)
    assert doc.summary.endswith("."), "a sentence that says what it gives"
    assert f"labkit.{name}" in everything()


@pytest.mark.parametrize("kind", [labkit.Lab, TrafficRun, Stats, Faults])
def test_members_have_docstrings(kind: type) -> None:
    for name, value in reference.members(kind):
        assert reference.summary(value), f"{kind.__name__}.{name} has no docstring"


def test_readme_names_what_people_type() -> None:
    """The members of a lab and of a run: all of them in the README, not in the reference alone."""
    readme = read(ROOT / "README.md")
    missing = [
        f"{variable}.{name}"
        for variable, kind in (("lab", labkit.Lab), ("run", TrafficRun))
        for name, _ in reference.members(kind)
        if not re.search(rf"\b{variable}\.{name}\b", readme)
    ]
    # What a `with` block, a repr or the panel does for people.
    rarely_typed = {"lab.start", "lab.running", "run.name", "run.running"}
    assert set(missing) <= rarely_typed | {"run.seconds", "run.seconds_left"}


# --- What the documents name exists -------------------------------------------------------------


def typed(page: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Return the commands in a page's code: each as it stands, and its words."""
    text = read(page)
    lines = [line for block in FENCE.findall(text) for line in block.splitlines()[1:-1]]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    found = []
    for line in lines:
        for part in re.split(r" && |; ", line.partition(" #")[0].strip().removeprefix("$ ")):
            words = part.split()
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]  # a setting for this command alone
            if words:
                program = re.sub(
                    r"^(.*[/\\])?(labkit|make|python3?|pytest)(\.exe)?$", r"\2", words[0]
                )
                found += [(line, tuple(one)) for one in alternatives([program, *words[1:]])]
    return found


def alternatives(words: list[str]) -> Iterator[list[str]]:
    """Take `labkit background start|stop` for both."""
    if len(words) > 2 and re.fullmatch(r"[a-z]+(\\?\|[a-z]+)+", words[2]):
        for word in re.split(r"\\?\|", words[2]):
            yield [*words[:2], word, *words[3:]]
    else:
        yield words


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))


def is_there(words: tuple[str, ...]) -> bool:
    """Whether a command that a page shows exists, as far as its first words go."""
    program, *rest = words
    first = rest[0] if rest else ""
    if program == "make":
        return all(word in make_targets() for word in rest if re.fullmatch(r"[a-z-]+", word))
    if program == "labkit":
        return first.startswith(("-", "…", "[", "NAME")) or labkit_exists(rest)
    if program in {"python", "python3"} and first == "-m" and len(rest) > 1:
        if rest[1] == "labkit":
            return labkit_exists(rest[2:])
        return find_spec(rest[1]) is not None
    return all((ROOT / word).exists() for word in rest if re.fullmatch(r"[\w./-]+\.(py|yml)", word))


def labkit_exists(words: list[str]) -> bool:
    """Whether the words begin with a command, down to the last group's."""
    if not words or words[0].startswith("-"):
        return True
    command = COMMANDS.get(f"labkit {words[0]}")
    if isinstance(command, click.Group) and len(words) > 1 and words[1][0].islower():
        return f"labkit {words[0]} {words[1]}" in COMMANDS
    return command is not None


@every_page
def test_commands_in_code_exist(page: Path) -> None:
    known = {"make", "labkit", "python", "python3", "pytest"}
    wrong = [line for line, words in typed(page) if words[0] in known and not is_there(words)]
    assert wrong == []


def test_a_command_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `make labb`, `labkit prometeus` or `python -m labkit.reports`.\n\n"
        "```sh\n.venv/bin/labkit background explode   # no\npytest tests/test_no.py\n"
        "make lab && labkit query up\n```\n"
    )
    shown = [words for _, words in typed(page)]
    right = ("make", "lab"), ("labkit", "query", "up")
    assert [words for words in shown if is_there(words)] == [w for w in shown if w in right]
    assert len(shown) == 7


# --- Links --------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+?)\s*$", FENCE.sub("", read(page)), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.append(anchor if anchor not in found else f"{anchor}-{found.count(anchor)}")
    return set(found)


def broken_links(text: str, folder: Path, own: Path | None) -> list[str]:
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue  # elsewhere: not for a test without the network
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else own
        is_file = file is not None and file.exists() and file.is_relative_to(ROOT)
        if not is_file or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    return broken


@every_page
def test_links_resolve(page: Path) -> None:
    assert (
        broken_links(re.sub(r"`[^`\n]*`", "", FENCE.sub("", read(page))), page.parent, page) == []
    )


def test_a_broken_link_is_noticed() -> None:
    text = "[a](README.md) [b](NO.md) [c](README.md#what-runs) [d](README.md#no) [e](https://x.org)"
    assert broken_links(text, ROOT, None) == ["NO.md", "README.md#no"]


# --- Changelog ----------------------------------------------------------------------------------


def test_changelog_has_a_place_for_the_next_change() -> None:
    headings = re.findall(r"^## (.+)$", read(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", h) for h in headings[1:])
    kinds = set(re.findall(r"^### (.+)$", read(ROOT / "CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


# --- Docstrings ---------------------------------------------------------------------------------


@cache
def tree(source: Path) -> ast.Module:
    return ast.parse(read(source))


def documented(source: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef, set[str]]]:
    """Give the public functions and classes of a module, and the names they may document."""
    for node in ast.walk(tree(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("_"):
                yield node.name, node, arguments(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node, constructor(node) or inherited(node, source)


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    every = function.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    return {one.arg for one in named if one is not None} - {"self", "cls"}


def constructor(kind: ast.ClassDef) -> set[str]:
    """Return the arguments of a class: of its __init__, or the fields of a dataclass."""
    for node in kind.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return arguments(node)
    fields = [node for node in kind.body if isinstance(node, ast.AnnAssign)]
    return {node.target.id for node in fields if "ClassVar" not in ast.unparse(node.annotation)}


def inherited(kind: ast.ClassDef, source: Path) -> set[str]:
    """Return the arguments that a class has from another one, where it documents any."""
    if not parse(ast.get_docstring(kind)).entries("Args"):
        return set()
    module = import_module(name_of(source).removesuffix(".py").replace("/", "."))
    return set(inspect.signature(getattr(module, kind.name)).parameters)


def exists(error: str, source: Path) -> bool:
    """Whether a module knows an error by this name; one of another package is named with it."""
    package, _, name = error.rpartition(".")
    if package:
        return hasattr(import_module(package), name)
    nodes = list(ast.walk(tree(source)))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.name for node in nodes if isinstance(node, ast.alias | ast.ClassDef)}
    return name in used | set(dir(builtins)) | set(dir(labkit.errors))


def test_docstrings_document_the_arguments_there_are() -> None:
    wrong = []
    for source in SOURCES:
        for name, node, names in documented(source):
            told = set(parse(ast.get_docstring(node)).entries("Args"))
            left_out = {one for one in names - told if not one.startswith("_")} if told else set()
            if told - names or left_out:
                place = f"{name_of(source)}:{node.lineno} {name}"
                wrong.append(
                    f"{place}: not there {told - names or '-'}, left out {left_out or '-'}"
                )
    assert wrong == []


def test_docstrings_begin_with_a_sentence() -> None:
    wrong = []
    for source in SOURCES:
        docs = [(name, ast.get_docstring(node)) for name, node, _ in documented(source)]
        docs.append(("the module", ast.get_docstring(tree(source))))
        wrong += [
            f"{name_of(source)} {name}: {parse(doc).summary}"
            for name, doc in docs
            if doc and not re.search(r"[.:?]$", parse(doc).summary)
        ]
    assert wrong == []


def test_errors_that_docstrings_name_exist() -> None:
    wrong = [
        f"{name_of(source)}:{node.lineno} {name}: {error}"
        for source in SOURCES
        for name, node, _ in documented(source)
        for error in parse(ast.get_docstring(node)).entries("Raises")
        if not exists(error, source)
    ]
    assert wrong == []


def test_docstrings_taken_apart() -> None:
    doc = parse(
        """Give one
        sentence.

        Args:
            a: one, on
                two lines.
            *rest: others.

        Raises:
            sub.Error: never.
        Not a section: a sentence.
        """
    )
    assert doc.summary == "Give one sentence."
    assert doc.entries("Args") == {"a": "one, on two lines.", "rest": "others."}
    assert doc.entries("Raises") == {"sub.Error": "never."}
    assert parse(None).summary == ""


def test_modules_are_small() -> None:
    lines = {name_of(source): len(read(source).splitlines()) for source in SOURCES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
