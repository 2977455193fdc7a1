"""The arguments of an objective: which make sense, and in which words the others are refused."""

from __future__ import annotations

import math
import re
from numbers import Real

from labkit.promql.steps import step_in_ms

LEAST_WINDOW, MOST_WINDOW = "7d", "90d"
MOST_FAILED = 10_000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]*")
_STRING = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`"
_SELECTOR = re.compile(rf"[A-Za-z_:][\w:]*\s*(?:\{{(?:{_STRING}|[^{{}}\"'`])*\}})?")


def is_number(value: object) -> bool:
    """Whether it can be compared with numbers: no text, and no bool, which is one by accident."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_name(name: str) -> None:
    """Check what an objective is called.

    Raises:
        ValueError: it can't be made into the name of an alert.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"name is {name!r}; it begins with a letter and has letters, digits, spaces, - and _"
        )


def check_objective(percent: float) -> None:
    """Check an objective.

    Raises:
        ValueError: it is no percentage between 1 and 100, such as 0.995.
    """
    if not is_number(percent) or not 1 < percent < 100:  # noqa: PLR2004 - percent
        raise ValueError(
            f"objective is {percent!r}; it is in percent, more than 1 and less than 100, "
            "such as 99.5"
        )


def check_window(window: str) -> None:
    """Check the window of a budget.

    Raises:
        ValueError: it is no duration, or one out of range.
    """
    words = f"window is {window!r}; it is a duration from {LEAST_WINDOW} to {MOST_WINDOW}: '30d'"
    try:
        length = step_in_ms(window) if isinstance(window, str) else 0
    except ValueError as error:
        raise ValueError(words) from error
    if not step_in_ms(LEAST_WINDOW) <= length <= step_in_ms(MOST_WINDOW):
        raise ValueError(words)


def check_selector(name: str, selector: str) -> None:
    """Check the selector of a counter.

    Raises:
        ValueError: it is an expression, or no PromQL at all.
    """
    if not isinstance(selector, str) or not _SELECTOR.fullmatch(selector.strip()):
        raise ValueError(
            f"{name} is {selector!r}; it is the selector of a counter, without rate() or a range, "
            'such as flask_requests_total{status!~"5.."}'
        )


def check_least_failed(count: int) -> None:
    """Check how many requests have to fail for an alert.

    Raises:
        ValueError: it is no whole number, or one out of range.
    """
    if not is_number(count) or not 0 <= count <= MOST_FAILED or count != int(count):
        raise ValueError(
            f"least_failed is {count!r}; it is a whole number from 0 to {MOST_FAILED:,}, such as 5"
        )


def boundary(seconds: float) -> str:
    """Write the matcher of a bucket; whole numbers are ``1`` or, on Prometheus 3, ``1.0``.

    Raises:
        ValueError: the seconds are not a positive number.
    """
    if not is_number(seconds) or not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"seconds is {seconds!r}; it is more than 0, such as 0.3")
    if float(seconds).is_integer():
        return f'le=~"{int(seconds)}([.]0)?"'
    return f'le="{seconds:.10g}"'
