"""Arguments and options that commands share, and usage errors that name the accepted range."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Command = Callable[..., Any]
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic before click 8.5

# The caps of labkit.traffic.caps, which takes too long to load for `--help`.
_MOST_REQUESTS = 172_800_000  # the highest rate for the longest time
_MOST_USERS = 500
_MOST_SECONDS = 86_400
_MOST_TIMEOUT_SECONDS = 3_600
_MIXES = ("everyday", "errors", "timeouts")


class Number(_ParamType):
    """A number in a range; what is not gets an error that names the range.

    Args:
        low: the least; for a whole number it is itself accepted, for others it is not.
        high: the most.
        whole: whether it must be a whole number.
        least: whether the least is accepted for a number that is not whole, too.
        unit: what is counted, for the message.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        whole: bool = False,
        least: bool = False,
        unit: str = "",
    ) -> None:
        self.name = "integer" if whole else "number"
        self._low, self._high, self._whole = low, high, whole
        self._least = whole or least
        self._unit = f" {unit}" if unit else ""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | int:
        """Return the number."""
        try:
            number = int(value) if self._whole else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        above = self._low <= number if self._least else self._low < number
        if not (above and number <= self._high):
            self.fail(f"{value!r} is not {self.words}.", param, ctx)
        return number

    @property
    def words(self) -> str:
        """The accepted range."""
        if self._whole:
            return f"a whole number{self._unit} from {self._low:,.0f} to {self._high:,.0f}"
        if self._least:
            return f"a number{self._unit} from {self._low:,g} to {self._high:,.0f}"
        least = f"above {self._low:,g}"
        return f"a number{self._unit} {least} and up to {self._high:,.0f}"


REQUESTS = Number(1, _MOST_REQUESTS, whole=True, unit="of requests")
USERS = Number(1, _MOST_USERS, whole=True, unit="of users")
SECONDS = Number(0, _MOST_SECONDS, unit="of seconds")
PORT = Number(0, 65535, whole=True)


class NumbersCommand(click.Command):
    """A command whose arguments are numbers: it takes -1 for one that is out of range."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; where a negative number looks like an option, name the ranges."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not error.option_name.lstrip("-")[:1].isdigit():
                raise
            ranges = [
                f"{parameter.human_readable_name} is {parameter.type.words}"
                for parameter in self.params
                if isinstance(parameter, click.Argument) and isinstance(parameter.type, Number)
            ]
            raise click.UsageError(f"{error.option_name}…: {'; '.join(ranges)}.", ctx) from error


class MixType(_ParamType):
    """The name of a mix, or paths and weights such as ``/=3,/slow=1``."""

    name = "mix"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Mapping[str, float]:
        """Return the name, or weights by path."""
        if not isinstance(value, str) or value in _MIXES:
            return value  # type: ignore[no-any-return] # a default, or a value converted before
        weights = {}
        for pair in value.split(","):
            path, _, weight = pair.strip().rpartition("=")
            try:
                weights[path] = float(weight)
            except ValueError:
                weights[path] = 0.0
            if not path.startswith("/") or not 0 < weights[path] < float("inf"):
                self.fail(
                    f"{value!r} is none of {', '.join(_MIXES)}, nor paths with weights above 0 "
                    "such as /=3,/slow=1.",
                    param,
                    ctx,
                )
        return weights


@dataclass(frozen=True)
class Sending:
    """Where traffic goes and how: the values of the options that traffic commands share.

    Attributes:
        url: the app's address; None means the lab that runs.
        mix: to which endpoints.
        seed: what makes the run repeat.
        allow_remote: whether the target may be another machine.
        timeout: seconds until a request counts as timed out.
    """

    url: str | None
    mix: str | Mapping[str, float]
    seed: int | None
    allow_remote: bool
    timeout: float

    def of(self, mix: str, number: int) -> Sending:
        """Return the same for another mix, and for the run of that number after the first."""
        seed = None if self.seed is None else self.seed + number
        return replace(self, mix=mix, seed=seed)


_TARGET_OPTIONS = (
    click.option(
        "--url",
        envvar="LABKIT_APP_URL",
        show_envvar=True,
        help="The app's address; by default that of the lab or `labkit up` that runs.",
    ),
    click.option("--seed", type=int, help="Makes the draws of endpoints and waits repeat."),
    click.option(
        "--allow-remote", is_flag=True, help="Let the target be another machine; only your own."
    ),
    click.option(
        "--timeout",
        type=Number(0, _MOST_TIMEOUT_SECONDS, unit="of seconds"),
        default=10.0,
        show_default=True,
        help="Seconds until a request counts as timed out.",
    ),
)
_MIX_OPTION = click.option(
    "--mix",
    type=MixType(),
    default="everyday",
    show_default=True,
    help="To which endpoints: everyday, errors, timeouts, or paths and weights: /=3,/slow=1.",
)


def traffic_options(command: Command) -> Command:
    """Add --url, --mix, --seed, --allow-remote and --timeout, given together as ``sending``."""
    return _gathered(command, (_TARGET_OPTIONS[0], _MIX_OPTION, *_TARGET_OPTIONS[1:]))


def target_options(command: Command) -> Command:
    """Add what `traffic_options` adds, without --mix."""
    return _gathered(command, _TARGET_OPTIONS)


def _gathered(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    def called(
        url: str | None,
        seed: int | None,
        allow_remote: bool,
        timeout: float,
        mix: str | Mapping[str, float] = "everyday",
        **others: Any,
    ) -> Any:
        return command(sending=Sending(url or None, mix, seed, allow_remote, timeout), **others)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    # Options that were added below this decorator are noted on the function it replaces.
    called.__click_params__ = list(getattr(command, "__click_params__", ()))  # type: ignore[attr-defined]
    wrapped: Command = called
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


prometheus_option = click.option(
    "--prometheus-url",
    envvar="LABKIT_PROMETHEUS_URL",
    show_envvar=True,
    help="Prometheus's address; by default that of the lab or `labkit up` that runs.",
)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a number that is out of range, as the library says it, into a usage error."""
    try:
        yield
    except ValueError as error:
        words = str(error)
        raise click.UsageError(words[:1].upper() + words[1:] + ".") from error
