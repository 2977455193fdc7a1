"""The files that Prometheus reads: which targets to scrape, how often, and which rules."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOB = "flask"
LEAST_INTERVAL_SECONDS = 0.1
MOST_INTERVAL_SECONDS = 3600.0

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MOST_PORT = 65535
_MOST_TIMEOUT_SECONDS = 10.0  # Prometheus's own default


@dataclass(frozen=True)
class Config:
    """What to scrape and which rules to evaluate.

    Args:
        targets: ``host:port`` of each target under its instance label, such as ``app-1``.
        scrape_interval: seconds between two scrapes, and between two evaluations of a rule.
        rules: the text of a rules file, or None for no rules.
        more_rules: the texts of further ones, each a file of its own.

    Raises:
        ValueError: when a value is out of range; the text says which values are accepted.
    """

    targets: Mapping[str, str]
    scrape_interval: float = 1.0
    rules: str | None = None
    more_rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not LEAST_INTERVAL_SECONDS <= self.scrape_interval <= MOST_INTERVAL_SECONDS:
            raise ValueError(
                f"scrape_interval is {self.scrape_interval!r}; it is in seconds, from "
                f"{LEAST_INTERVAL_SECONDS:g} to {MOST_INTERVAL_SECONDS:g}"
            )
        for instance, address in self.targets.items():
            _check(instance, address)

    def render(self, *rules_files: Path) -> str:
        """Return the text of ``prometheus.yml``.

        Args:
            rules_files: where the rules are, if there are any.
        """
        interval = duration(self.scrape_interval)
        timeout = duration(min(self.scrape_interval, _MOST_TIMEOUT_SECONDS))
        lines = [
            "global:",
            f"  scrape_interval: {interval}",
            f"  scrape_timeout: {timeout}",
            f"  evaluation_interval: {interval}",
        ]
        if rules_files:
            lines += ["rule_files:", *(f"  - {_quoted(_pattern(file))}" for file in rules_files)]
        lines += ["scrape_configs:", f"  - job_name: {_quoted(JOB)}", "    static_configs:"]
        for instance, address in self.targets.items():
            lines.append(f"      - targets: [{_quoted(address)}]")
            lines.append(f"        labels: {{instance: {_quoted(instance)}}}")
        if not self.targets:
            lines[-1] += " []"
        return "\n".join(lines) + "\n"


class ConfigFiles:
    """The configuration and rules of one server, on disk.

    Args:
        folder: where ``prometheus.yml``, ``rules.yml`` and ``rules-1.yml``, … go.
    """

    def __init__(self, folder: Path) -> None:
        self.main = folder / "prometheus.yml"
        self.rules = folder / "rules.yml"

    def write(self, config: Config) -> None:
        """Write all files, each as a whole or not at all."""
        _write(self.rules, config.rules or "")
        files = [self.rules] if config.rules is not None else []
        for number, text in enumerate(config.more_rules, 1):
            files.append(self.rules.with_name(f"rules-{number}.yml"))
            _write(files[-1], text)
        _write(self.main, config.render(*(file.absolute() for file in files)))


def duration(seconds: float) -> str:
    """Return seconds as Prometheus writes a duration, whole milliseconds: ``1500ms``, ``1s``."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000 == 0:
        return f"{milliseconds // 1000}s"
    return f"{milliseconds}ms"


def _check(instance: str, address: str) -> None:
    if not instance:
        raise ValueError("an instance label is empty; use a name such as app-1")
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) <= _MOST_PORT:
        raise ValueError(
            f"the target of {instance} is {address!r}; it must be host:port without a scheme "
            "or a path, such as 127.0.0.1:5000"
        )


def _quoted(text: str) -> str:
    """A JSON string is a double-quoted YAML string too, but for what YAML calls unprintable."""
    return _UNPRINTABLE.sub(
        lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def _pattern(path: Path) -> str:
    """Return the path as a pattern, which is what a rule file is named by; `?` is any character."""
    return re.sub(r"[*?\[]" if os.name == "nt" else r"[*?\[\\]", "?", str(path))


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
