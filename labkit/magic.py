"""``%promql`` and ``%%promql``: PromQL in a cell, with its answer below; ``%load_ext labkit``."""

from __future__ import annotations

import re
from collections import ChainMap
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.display import display

from labkit import opening
from labkit.answers import Answer
from labkit.errors import LabError
from labkit.notes import Note
from labkit.promql import completion, options
from labkit.promql.names import NoNames, ServerNames
from labkit.promql.steps import step_in_ms
from labkit.promql.syntax import variables
from labkit.promql.syntax.tokens import queries, query_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from labkit.lab import Lab
    from labkit.promql.client import Client
    from labkit.promql.completion import Names

COMPLETER = "labkit.promql"
_RANGE_MINUTES = 5.0
_OVER_TIME = {"line", "stacked"}
_AGO = re.compile(r"(?:now)?-(?P<duration>\S+)")


class PromQL:
    """The magic and its completion, for one IPython.

    Args:
        shell: where the cells run.
        completed: the magics whose text is PromQL, to be completed as such.
    """

    def __init__(self, shell: InteractiveShell, completed: Sequence[str] = ("promql",)) -> None:
        self._shell = shell
        names = "|".join(map(re.escape, completed))
        self._cell_magic = re.compile(rf"\s*%%(?:{names})(?=\s|$)")
        self._line_magic = re.compile(rf"\s*(?:[^=%\n]*=\s*)?%(?:{names})(?=\s)")
        self._names: dict[Client, ServerNames] = {}

    @needs_local_scope
    @no_var_expand
    def promql(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> None:
        """Ask PromQL and show the answer: a table, or with --range a chart.

        %promql up
        %promql --range 5m sum by (endpoint) (rate(flask_requests_total[$__rate_interval]))

        %%promql --as frames
        # a query a line; it goes on while a bracket is open, and at an operator
        sum(rate(flask_requests_total[1m]))
        histogram_quantile(0.95, sum by (le) (rate(flask_request_duration_seconds_bucket[1m])))

        Options come before the query, as typed:

        --range DURATION  over a range that ends now (or at --at), as a chart: 5m, 1h30m
        --step DURATION   the distance of its points; chosen by the range's length
        --plot KIND       bar, line, stacked or table
        --as NAME         put the DataFrame in this variable; a list, for several queries
        --on NAME         the lab to ask, where several run; the one opened last by default
        --at TIME         the moment (or --time): unix seconds, 2026-01-31T12:00, or -5m for ago

        $name and ${name} are Python's variables: a number or a text as it is, a list as a regular
        expression (a|b) between quotes, and with commas elsewhere. $__rate_interval,
        $__interval and $__range are filled in as in Grafana.
        """
        text = line if cell is None else f"{line}\n{cell}"
        known = ChainMap(self._own(local_ns or {}), self._variables())
        asked = options.parse(text)
        if cell is not None and not queries(cell):
            _check_line(line)
        values = {name: variables.expand(value, known) for name, value in asked.values.items()}
        found = [part.text for part in queries(text[asked.length :])]
        if not found:
            raise LabError(
                "There is no query to ask.", next_step=f"write one:\n  {options.usage()}"
            )
        lab = opening.named(values["on"]) if "on" in values else opening.current()
        frames = [
            self._show(lab, variables.expand(promql, known), values, several=len(found) > 1)
            for promql in found
        ]
        if "as" in values:
            self._shell.user_ns[values["as"]] = frames[0] if len(frames) == 1 else frames

    @context_matcher(identifier=COMPLETER, priority=1000)  # type: ignore[untyped-decorator]
    def complete(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete what is being typed in the magic; elsewhere, leave it to the others."""
        place = self._place(context)
        if place is None:
            return {"completions": []}
        text, cursor = place
        found = self._completion(text, cursor)
        fragment = text[found.start : cursor]
        completions = [SimpleCompletion(s.text, type=s.kind) for s in found.suggestions]
        return {
            # The others are only held back by a completion: without any, what is there stays.
            "completions": completions or [SimpleCompletion(fragment, type="nothing else")],
            "matched_fragment": fragment,
            "ordered": True,
            "suppress": True,
        }

    def _show(
        self, lab: Lab, promql: str, values: Mapping[str, str], *, several: bool
    ) -> pd.DataFrame:
        """Ask one query, show its answer, and return the frame."""
        if misplaced := options.misplaced(promql):
            raise LabError(
                f"{misplaced} comes after the query has begun.",
                evidence=promql,
                next_step=f"put it before the query: {options.USAGE}",
            )
        from labkit.promql.emptiness.nan import why_nan

        client = lab.client
        with _in_plain_words():
            frame = _ask(client, promql, values)
            answer = Answer(
                frame,
                lab=lab.name,
                kind=values.get("plot", "" if "range" in values else "table"),
                past=client.at is not None,
                why=_why(client, promql, frame),
                with_query=several,
                coloured=self._coloured(),
            )
            bundle = answer.bundle()  # here, where an error makes the cell fail
        display(bundle, raw=True)  # type: ignore[no-untyped-call]
        if why := why_nan(client, frame):
            display(Note(why))  # type: ignore[no-untyped-call]
        return frame

    def _coloured(self) -> bool:
        simple = getattr(self._shell, "simple_prompt", True)  # a terminal's trait
        return not simple and str(self._shell.colors).lower() != "nocolor"

    def _variables(self) -> dict[str, Any]:
        return self._own(self._shell.user_ns)

    def _own(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names without those that IPython brings: ``In``, ``exit`` and the like."""
        theirs = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in names.items()
            if name not in theirs or theirs[name] is not value
        }

    # --- Completion -------------------------------------------------------------------------

    def _place(self, context: CompletionContext) -> tuple[str, int] | None:
        """Return the text of a magic that the cursor is in, and the place in it."""
        lines = context.full_text.split("\n")
        place = sum(len(line) + 1 for line in lines[: context.cursor_line])
        place += context.cursor_position
        if found := self._cell_magic.match(context.full_text):
            begin, text = found.end(), context.full_text
        elif found := self._line_magic.match(context.line_with_cursor):
            begin, text, place = found.end(), context.line_with_cursor, context.cursor_position
        else:
            return None
        return (text[begin:], place - begin) if place >= begin else None

    def _completion(self, text: str, cursor: int) -> completion.Completion:
        typed = options.typed(text[:cursor])
        if typed.open is not None:
            return self._options(typed, cursor)
        begin = typed.length
        query = query_at(text[begin:], cursor - begin)
        if query is None:
            return completion.Completion(cursor, [])
        known = variables.suitable(self._variables())
        promql, place = query
        found = completion.complete(promql, place, self._server_names(typed.values), known)
        return found._replace(start=found.start + cursor - place)

    def _options(self, typed: options.Typed, cursor: int) -> completion.Completion:
        """Complete an option's name or its value."""
        labs = [lab.name for lab in opening.opened()]
        return completion.of_option(typed, cursor, labs)

    def _server_names(self, values: Mapping[str, str]) -> Names:
        """Return the names of the server that the magic will ask; none, where no lab runs."""
        try:
            lab = opening.named(values["on"]) if "on" in values else opening.current()
        except LabError:
            return NoNames()
        # Not _client_now(): it raises what happened in the background, once, and a query shall.
        clients = [each._client for each in opening.opened()]  # noqa: SLF001 - as said
        self._names = {client: names for client, names in self._names.items() if client in clients}
        client = lab._client  # noqa: SLF001 - as said
        return NoNames() if client is None else self._names.setdefault(client, ServerNames(client))


def register(shell: InteractiveShell, completed: Sequence[str] = ("promql",)) -> None:
    """Add the magic and its completion to an IPython; again, it takes the earlier one's place.

    Args:
        shell: where the cells run.
        completed: the magics whose text is PromQL, to be completed as such.
    """
    unregister(shell)
    magic = PromQL(shell, completed)
    shell.register_magic_function(magic.promql, "line_cell", "promql")  # type: ignore[arg-type] # IPython is typed in part
    shell.Completer.custom_matchers.append(magic.complete)
    shell.input_transformers_cleanup.append(Body(completed))


class Body:
    """What gives a cell magic without a body one: IPython would not call it otherwise.

    IPython's own error passes for none under nbval, and does not say what to write.

    Args:
        names: the magics.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._header = re.compile(rf"%%(?:{'|'.join(map(re.escape, names))})(?=\s|$)")

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell; a lone one of such a magic with a comment below it.

        On a terminal a blank line would end what is being typed.
        """
        alone = len(lines) == 1 and self._header.match(lines[0])
        return [*lines, "#\n"] if alone else lines


def unregister(shell: InteractiveShell) -> None:
    """Take the magic and its completion out of an IPython again."""
    transformers = shell.input_transformers_cleanup
    transformers[:] = [each for each in transformers if type(each).__name__ != Body.__name__]
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("promql", None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [m for m in matchers if getattr(m, "matcher_identifier", None) != COMPLETER]


def _check_line(line: str) -> None:
    """Refuse a query that stands beside ``%%promql``, where the options do.

    Raises:
        LabError: there is one, and nothing below.
    """
    query = line[options.parse(line).length :].strip()
    if queries(query):
        raise LabError(
            "The query stands on the line of %%promql.",
            next_step="write it in the lines below, or ask with one percent sign: "
            f"%promql {line.strip()}",
        )


def _ask(client: Client, promql: str, values: Mapping[str, str]) -> pd.DataFrame:
    span, step, plot = (values.get(name) for name in ("range", "step", "plot"))
    at = _moment(client, values.get("at"))
    if span is None and plot not in _OVER_TIME:
        if step is not None:
            raise ValueError("--step goes with --range, such as --range 5m --step 15s")
        return client.query(promql, time=at)
    minutes = _RANGE_MINUTES if span is None else step_in_ms(_duration("range", span)) / 60_000
    return client.query_range(
        promql, minutes, None if step is None else _duration("step", step), end=at
    )


def _duration(name: str, text: str) -> float | str:
    """Return plain numbers as seconds, and anything else as Prometheus's duration."""
    try:
        seconds: float | str = float(text)
    except ValueError:
        seconds = text
    try:
        step_in_ms(seconds)
    except ValueError as error:
        raise ValueError(
            f"--{name} takes a duration above 0, such as 5m, 1h30m or seconds, not {text!r}"
        ) from error
    return seconds


def _moment(client: Client, text: str | None) -> float | datetime | None:
    if text is None:
        return None
    try:
        return float(text) if not (ago := _AGO.fullmatch(text)) else _before(client, ago)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise ValueError(
            "--at takes unix seconds, a time such as 2026-01-31T12:00 (local) or "
            f"2026-01-31T12:00Z, or -5m for five minutes ago, not {text!r}"
        ) from error


def _before(client: Client, ago: re.Match[str]) -> float:
    return client.now() - step_in_ms(_duration("at", ago["duration"])) / 1000


def _why(client: Client, promql: str, frame: pd.DataFrame) -> str:
    """Return why there is nothing in an answer; nothing where there is something."""
    from labkit.promql.emptiness import why_empty, why_empty_range

    attrs = frame.attrs
    if "start" in attrs:
        none = frame.columns.empty
        return why_empty_range(client, promql, attrs["start"], attrs["end"]) if none else ""
    return why_empty(client, promql, attrs["time"]) if frame.empty else ""


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Let what makes no sense be a message rather than a traceback."""
    try:
        yield
    except ValueError as error:
        words = str(error)
        message = f"{words[:1].upper()}{words[1:]}."
        raise LabError(message, next_step=f"the options are {options.USAGE}") from error
