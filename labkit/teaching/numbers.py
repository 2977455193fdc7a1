"""Numbers as people write them: as one, or worked out; with their unit or without."""

from __future__ import annotations

import ast
import math
import operator
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST = 60
_ARITHMETIC = re.compile(r"[0-9.eE+*/() -]+")
_SIGNS = str.maketrans({",": ".", "×": "*", "·": "*", "÷": "/", "−": "-"})
# How many of an exercise's unit each of these is, by that unit.
_UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "s": {
            **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
            **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
            **dict.fromkeys(("min", "minute", "minutes"), 60.0),
        },
        "req/s": {
            **dict.fromkeys(("req/s", "requests/s", "/s", "rps"), 1.0),
            **dict.fromkeys(("requests per second", "per second"), 1.0),
            **dict.fromkeys(("req/min", "requests/min", "/min", "per minute"), 1 / 60),
        },
        "%": dict.fromkeys(("%", "percent", "per cent"), 1.0),
        "times": dict.fromkeys(("times", "x"), 1.0),
    }
)
_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
    }
)


def read(answer: str, unit: str = "") -> float | None:
    """Return the number in an answer, in a unit, or None where it is none.

    Args:
        answer: such as ``12.5``, ``12,5``, ``5 / 1.475`` or ``900 ms``.
        unit: the one that is asked for; an answer without any is in it.
    """
    text = answer.strip().lower().lstrip("≈~ ")
    units = _UNITS.get(unit, {unit.lower(): 1.0} if unit else {})
    name = max((each for each in units if text.endswith(each)), key=len, default="")
    text = text.removesuffix(name).translate(_SIGNS).strip()
    if len(text) > _LONGEST or not _ARITHMETIC.fullmatch(text):
        return None
    try:
        value = units.get(name, 1.0) * _value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError):
        return None
    return value if math.isfinite(value) else None


def _value(node: ast.expr) -> float:
    """Work out a sum, difference, product or quotient of numbers; nothing else is one."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.UnaryOp(op=ast.UAdd()):
            return _value(node.operand)
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("this is no number")
