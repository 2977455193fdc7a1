"""Write docs/reference.md from the docstrings and the commands' help.

    python -m tests.reference

A test fails as long as the page differs from what this would write.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import labkit
import labkit.history
import labkit.traffic
from app.faults import Faults, Field
from labkit.attached import AttachedLab
from labkit.cli import main as labkit_command
from labkit.comparing import Comparison
from labkit.historical import HistoryLab
from labkit.history import History, Incident, Truth
from labkit.magic import PromQL
from labkit.promql.explain import Explanation
from labkit.slo import SLO
from labkit.traffic import Stats, TrafficRun
from tests.docstrings import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"
HEAD = """\
# Reference

Every public name and every command, from their docstrings and help. `python -m tests.reference`
writes this page; a test fails while it is behind. The [README](../README.md) is the place to start.
"""
# Of labkit.traffic: the two classes have sections of their own, the others are data or inside.
NO_SHAPES = {"MIXES", "Shape", "Stats", "TrafficRun", "Worker"}
SHAPES = [name for name in labkit.traffic.__all__ if name not in NO_SHAPES]
# What the worker's handle calls, in a module of its own.
INSIDE = {"TrafficRun": {"end", "take", "wait_begun"}, "Lab": {"come_forward"}}


def page() -> str:
    """Return the page."""
    functions = [name for name in labkit.__all__ if inspect.isfunction(getattr(labkit, name))]
    others = [name for name in labkit.__all__ if name not in {*functions, "Lab", *errors()}]
    parts = [
        HEAD,
        "## In a notebook\n",
        "### labkit\n",
        names((f"labkit.{name}", getattr(labkit, name)) for name in [*functions, *others]),
        class_part("Lab", labkit.Lab, "lab"),
        class_part("AttachedLab", AttachedLab, "lab", beyond=labkit.Lab),
        class_part("TrafficRun", TrafficRun, "run"),
        class_part("Stats", Stats, "run.stats"),
        class_part("Faults", Faults, "lab.faults"),
        "### The magic: %load_ext labkit\n",
        f"```\n{inspect.cleandoc(PromQL.promql.__doc__ or '')}\n```\n",
        class_part("Explanation", Explanation, "explanation"),
        class_part("Comparison", Comparison, "comparison"),
        class_part("History", History, "history"),
        class_part("Truth", Truth, "history.truth"),
        "### Incidents: labkit.history\n",
        names((name, getattr(labkit.history, name)) for name in incidents()),
        class_part("HistoryLab", HistoryLab, "lab", beyond=labkit.Lab),
        class_part("SLO", SLO, "slo"),
        "### Shapes and mixes: labkit.traffic\n",
        names((name, getattr(labkit.traffic, name)) for name in SHAPES),
        "### Errors\n\nEach is a `labkit.LabError`, with `message`, `evidence` and `next_step`.\n",
        names((f"labkit.{name}", getattr(labkit, name)) for name in errors()),
        "## In a terminal\n",
        *(command_part(path, command) for path, command in commands()),
    ]
    return "\n".join(parts)


def incidents() -> list[str]:
    """Return the names of the incidents."""
    found = [name for name in labkit.history.__all__ if name != "Incident"]
    return [name for name in found if issubclass(getattr(labkit.history, name), Incident)]


def errors() -> list[str]:
    """Return the errors' names."""
    return [
        name
        for name in labkit.__all__
        if inspect.isclass(value := getattr(labkit, name)) and issubclass(value, Exception)
    ]


def names(items: Iterator[tuple[str, Any]]) -> str:
    """Return a table of names and what they are."""
    return table(
        ("Name", "Gives"),
        [(f"`{name}{signature(value)}`", parse(value.__doc__).summary) for name, value in items],
    )


def class_part(title: str, kind: type, name: str, *, beyond: type | None = None) -> str:
    """Return a class's section: what it is, its arguments, its attributes and methods.

    Args:
        title: the heading.
        kind: the class.
        name: the variable that a person has it in.
        beyond: a class whose members are not told again.
    """
    doc = parse(kind.__doc__)
    rows = [(member, summary(value), value) for member, value in members(kind)]
    rows += [(entry, text, None) for entry, text in doc.entries("Attributes").items()]
    told = set(dir(beyond)) if beyond else set()
    rows = [row for row in sorted(rows, key=lambda row: row[0]) if row[0] not in told]
    parts = [f"### {title}\n", f"{plain(doc.summary)}\n"]
    if beyond:
        parts.append(f"It has what `{beyond.__name__}` has where it makes sense, and:\n")
    if doc.entries("Args"):
        settings = [(f"`{entry}`", text) for entry, text in doc.entries("Args").items()]
        parts.append(table(("Argument", "Is"), settings))
    if rows:
        listed = [(f"`{name}.{member}{signature(value)}`", text) for member, text, value in rows]
        parts.append(table(("Name", "Gives"), listed))
    return "\n".join(parts)


def members(kind: type) -> list[tuple[str, Any]]:
    """Return a class's public methods and properties, inherited ones too."""
    found = ((name, inspect.getattr_static(kind, name)) for name in dir(kind))
    inside = INSIDE.get(kind.__name__, set())
    return [
        (name, value)
        for name, value in found
        if not name.startswith("_")
        and name not in inside
        and (callable(value) or is_described(value))
    ]


def summary(value: Any) -> str:
    """Return what a member is."""
    if isinstance(value, Field):
        presets = ", ".join(f"{name} {number:g}" for name, number in value.presets.items())
        return f"{value.meaning}; {value.unit}, 0 to {value.maximum:g} ({presets})"
    return parse(inspect.getdoc(value)).summary


def is_described(value: object) -> bool:
    """Whether it is a property, a class method or the like, and not a plain default."""
    return inspect.isdatadescriptor(value) or isinstance(value, classmethod | staticmethod)


def signature(value: Any) -> str:
    """Return how it is called, without types; empty for what is not called."""
    value = getattr(value, "__func__", value)  # of a class method
    if isinstance(value, property) or not callable(value):
        return ""
    if inspect.isclass(value) and issubclass(value, Exception):
        return ""
    parameters = inspect.signature(value).parameters.values()
    own = [p for p in parameters if p.name not in {"self", "cls"}]
    shown, star = [], False
    for parameter in own:
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown.append("*")
        star = star or parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL}
        shown.append(str(parameter.replace(annotation=parameter.empty)))
    return f"({', '.join(shown)})"


def commands(
    group: click.Group = labkit_command, path: str = "labkit"
) -> Iterator[tuple[str, click.Command]]:
    """Give every command with the words that call it, groups before their commands."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def command_part(path: str, command: click.Command) -> str:
    """Return a command's section: how it is called, its help, its options."""
    words = [f"[{p.human_readable_name}]" for p in command.params if isinstance(p, click.Argument)]
    parts = [f"### {path}\n", f"`{' '.join([path, *words])}`\n"]
    parts += [f"{paragraph}\n" for paragraph in paragraphs(command.help or "")]
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    if options:
        rows = [(f"`{option(p)}`", f"{p.help or ''}{default(p)}") for p in options]
        parts.append(table(("Option", "Does"), rows))
    return "\n".join(parts)


def paragraphs(text: str) -> Iterator[str]:
    """Give the paragraphs of a help text; those that click keeps as they are, as code."""
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text).partition("\f")[0].strip()):
        if paragraph.startswith("\b"):
            yield "```text\n" + paragraph.removeprefix("\b").strip("\n") + "\n```"
        else:
            yield " ".join(paragraph.split())


def option(parameter: click.Option) -> str:
    """Return an option as it is typed."""
    typed = ", ".join(parameter.opts)
    if parameter.secondary_opts:
        typed += " / " + ", ".join(parameter.secondary_opts)
    if parameter.is_flag or parameter.count:
        return typed
    if isinstance(parameter.type, click.Choice):
        return f"{typed} {'|'.join(map(str, parameter.type.choices))}"
    return f"{typed} {parameter.metavar or parameter.type.name.split()[0].upper()}"


def default(parameter: click.Option) -> str:
    """Return what an option's help says of its default."""
    if parameter.is_flag or not parameter.show_default or parameter.default is None:
        return ""
    return f" Default: {parameter.default}."


def table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---", "---"), *rows]
    return "".join(f"| {cell(left)} | {cell(right)} |\n" for left, right in lines)


def cell(text: str) -> str:
    """Return a text for a table's cell."""
    return plain(text[:1].upper() + text[1:]).replace("|", r"\|")


def plain(text: str) -> str:
    """Return a docstring's words in Markdown: code in single backticks, without roles."""
    return re.sub(r":\w+:`", "`", text.replace("``", "`"))


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
