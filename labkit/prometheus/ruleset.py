"""The rules that Prometheus evaluates: the lab's own, and those that people add while it runs."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labkit.prometheus.server import PrometheusServer

SHIPPED = Path(__file__).with_name("rules") / "lab.rules.yml"
CHECK_SECONDS = 30.0

_TEXT = re.compile(r"\n|\bgroups[\"']?\s*:")  # what a path does not have
_UNTOUCHED = "The rules are as they were."


def shipped() -> str:
    """Return the text of the rules that every lab has."""
    return SHIPPED.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Rule:
    """What tells a rule from another one.

    Attributes:
        name: of the alert or of the series that is recorded.
        alerts: whether it is an alert.
        labels: that it adds, sorted.
    """

    name: str
    alerts: bool
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Rules:
    """A rules file, as far as the lab has to understand it; the rest is for Prometheus.

    Attributes:
        text: the file.
        groups: the names of its groups.
        rules: what is in them.
    """

    text: str
    groups: frozenset[str]
    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, text: str) -> Rules:
        """Read the names in a rules file.

        Raises:
            LabError: when it is no YAML, or has no rule.
        """
        import yaml

        try:
            groups = list(_dicts(yaml.safe_load(text), "groups"))
        except yaml.YAMLError as error:
            raise LabError(
                "These rules are not YAML.",
                evidence=str(error),
                next_step=f"correct that line. {_UNTOUCHED}",
            ) from error
        rules = tuple(_rule(told) for group in groups for told in _dicts(group, "rules"))
        if not rules:
            raise LabError("There is no rule in this.", next_step=_EXAMPLE)
        return cls(text, frozenset(str(group.get("name")) for group in groups), rules)


class RuleSet:
    """The rules of a running Prometheus. Usable from several threads at once.

    Args:
        server: the Prometheus, started with the lab's own rules.
    """

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        self._own = Rules.parse(server.config.rules or shipped())
        self._added: list[Rules] = []
        self._lock = threading.Lock()

    def add(self, text_or_path: str | Path) -> None:
        """Add the rules of a file; they are in force when this returns.

        Added again, under the name of one of its groups, they take the place of the earlier ones.

        Args:
            text_or_path: the text of a rules file, or where one is.

        Raises:
            LabError: the file is not there, promtool or Prometheus refuses it (with its words),
                or a name is taken. The rules are as they were then.
        """
        text, name = _read(text_or_path)
        if self._server.binary.promtool is not None:
            check(text, name, self._server.binary.promtool)
        new = Rules.parse(text)
        with self._lock:
            added = _put(new, self._added)
            _refuse_taken(new, [self._own, *(one for one in added if one is not new)])
            config = replace(self._server.config, more_rules=tuple(one.text for one in added))
            self._server.reload(config)
            self._added = added


def check(text: str, name: str, promtool: Path) -> None:
    """Have promtool check a rules file.

    Args:
        text: the file.
        name: what to call it in promtool's words.
        promtool: the program.

    Raises:
        LabError: it refuses the file; the evidence is what it says.
    """
    with tempfile.TemporaryDirectory(prefix="labkit-rules-") as folder:
        path = Path(folder) / "rules.yml"
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(
                [str(promtool), "check", "rules", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LabError(
                "promtool could not check these rules.",
                evidence=str(error),
                next_step=f"try again; `labkit prometheus` shows where it is. {_UNTOUCHED}",
            ) from error
        words = done.stderr.decode("utf-8", "replace").replace(str(path), name)
    if done.returncode:
        raise LabError(
            "promtool refuses these rules.",
            evidence="\n".join(_plain(words)),
            next_step=f"correct what it names. {_UNTOUCHED}",
        )


_EXAMPLE = """write it as in
    groups:
      - name: mine
        rules:
          - alert: Busy
            expr: flask_requests_in_progress > 10
            for: 10s
            labels: {severity: ticket}
            annotations: {summary: "More than 10 requests at once."}"""


def _read(text_or_path: str | Path) -> tuple[str, str]:
    """Return the text of a rules file and what to call it."""
    if isinstance(text_or_path, str) and _TEXT.search(text_or_path):
        return text_or_path, "the rules"
    path = Path(text_or_path).expanduser()
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(
            f"There is no rules file to read at {path}.",
            evidence=str(error),
            next_step="give the path of one, or the text itself, which begins with `groups:`.",
        ) from error


def _dicts(parent: Any, key: str) -> Iterator[dict[str, Any]]:
    """Give the mappings in a list of a mapping; what is something else is for Prometheus."""
    children = parent.get(key) if isinstance(parent, dict) else None
    yield from (one for one in children or () if isinstance(one, dict))


def _rule(told: dict[str, Any]) -> Rule:
    labels = told.get("labels")
    pairs = sorted((str(k), str(v)) for k, v in labels.items()) if isinstance(labels, dict) else ()
    name = told.get("alert", told.get("record", "a rule without a name"))
    return Rule(str(name), "alert" in told, tuple(pairs))


def _put(new: Rules, added: list[Rules]) -> list[Rules]:
    """Return the list with the new rules: in place of those that share a group, or at its end."""
    places = [place for place, old in enumerate(added) if old.groups & new.groups]
    if not places:
        return [*added, new]
    first = places[0]
    return [
        new if place == first else old
        for place, old in enumerate(added)
        if place == first or place not in places
    ]


def _refuse_taken(new: Rules, others: list[Rules]) -> None:
    """Raise when a name is taken: then nobody could tell which of the two is meant."""
    twice = [rule for rule, count in Counter(new.rules).items() if count > 1]
    groups = sorted(new.groups & others[0].groups)
    taken = {_identity(rule) for other in others for rule in other.rules}
    known = [rule for rule in new.rules if _identity(rule) in taken]
    for names, words in (
        (twice, "These rules have {} more than once, with the same labels."),
        (groups, "The lab has a group {} of its own."),
        (known, "There is a rule {} already."),
    ):
        if names:
            raise LabError(
                words.format(_listed(names)),
                next_step=f"give yours another name. {_UNTOUCHED}",
            )


def _identity(rule: Rule) -> Rule:
    """Alerts of other files may not share a name; records may, where their labels differ."""
    return Rule(rule.name, alerts=True) if rule.alerts else rule


def _listed(names: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, names)))


def _plain(words: str) -> Iterator[str]:
    """Give promtool's words line by line, each once, without its headings."""
    lines = (line.strip() for line in words.splitlines())
    yield from dict.fromkeys(line for line in lines if line and line != "FAILED:")
