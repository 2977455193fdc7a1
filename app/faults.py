"""Faults: how often and how slowly the app misbehaves, changeable while it runs."""

from __future__ import annotations

import difflib
import random
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PRESETS = ("classic", "healthy")
LONGEST_SECONDS = 60.0


class Delay(NamedTuple):
    """What one request to /slow gets: so many seconds, and a time-out or an answer."""

    seconds: float
    timed_out: bool


class Field:
    """One number of `Faults`: its meaning, unit and range, and its value in each preset.

    A descriptor: reading gives the number, assigning checks it.
    """

    name: str

    def __init__(
        self, meaning: str, *, unit: str, classic: float, healthy: float, maximum: float
    ) -> None:
        self.meaning = meaning
        self.unit = unit
        self.maximum = maximum
        self.presets = {"classic": classic, "healthy": healthy}

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, faults: None, owner: type) -> Field: ...
    @overload
    def __get__(self, faults: Faults, owner: type) -> float: ...
    def __get__(self, faults: Faults | None, owner: type) -> Field | float:
        return self if faults is None else faults.to_dict()[self.name]

    def __set__(self, faults: Faults, value: float) -> None:
        faults.update(**{self.name: value})

    def check(self, value: Any) -> float:
        """Return the value as a float.

        Raises:
            ValueError: when it is not a number in the range, NaN included.
        """
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and 0 <= value <= self.maximum:
            return float(value)
        raise ValueError(
            f"{self.name} must be a number from 0 to {self.maximum:g} ({self.unit}), "
            f"not {str(value)[:40]!r}"
        )


def _probability(meaning: str, *, classic: float, healthy: float) -> Field:
    return Field(meaning, unit="probability", classic=classic, healthy=healthy, maximum=1.0)


def _seconds(meaning: str, *, classic: float, healthy: float) -> Field:
    return Field(meaning, unit="seconds", classic=classic, healthy=healthy, maximum=LONGEST_SECONDS)


class Faults:
    """The probabilities and latencies that the routes follow, and the one source of chance.

    Safe to read and change from any thread; a change of several fields is seen as a whole.

    Example:
        >>> faults = Faults(seed=7)
        >>> faults.health_failure_probability
        0.2
        >>> faults.update(slow_min_seconds=0.01, slow_max_seconds=0.02)
        >>> faults.preset("healthy", slow_timeout_probability=0.1)

    Args:
        preset: the values to begin with: ``"classic"`` or ``"healthy"``.
        seed: makes the same requests, in the same order, meet the same faults.
    """

    health_failure_probability = _probability(
        "how often /health answers 503", classic=0.20, healthy=0.0005
    )
    slow_timeout_probability = _probability(
        "how often /slow answers 504", classic=0.30, healthy=0.0005
    )
    slow_min_seconds = _seconds("the fastest that /slow answers 200", classic=0.5, healthy=0.05)
    slow_max_seconds = _seconds("the slowest that /slow answers 200", classic=2.0, healthy=0.25)
    slow_timeout_seconds = _seconds("after how long /slow answers 504", classic=2.0, healthy=2.0)
    # A healthy day keeps every endpoint under 0.1 % 5xx, whatever the mix: half of the four
    # kinds that /error chooses from are 5xx.
    error_failure_probability = _probability(
        "how often /error fails, each kind equally likely", classic=1.0, healthy=0.001
    )

    def __init__(self, preset: str = "classic", *, seed: int | None = None) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrets
        self._values: dict[str, float] = {}
        self._listeners: list[Callable[[], object]] = []
        self.preset(preset)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field; a misspelt one would change nothing, so it is refused."""
        if not (name.startswith("_") or hasattr(type(self), name)):
            raise AttributeError(self._unknown(name))
        super().__setattr__(name, value)

    @classmethod
    def fields(cls) -> Mapping[str, Field]:
        """Return the fields by name, in order, for forms, sliders and documents."""
        return {name: field for name, field in vars(cls).items() if isinstance(field, Field)}

    def preset(self, name: str, /, **fields: float) -> None:
        """Set every field to a preset's value, except the fields given.

        Raises:
            ValueError: when there is no such preset, or a field is unknown or out of range.
        """
        if name not in PRESETS:
            raise ValueError(f"there is no preset {str(name)[:40]!r}; there are {_list(PRESETS)}")
        values = {field.name: field.presets[name] for field in self.fields().values()}
        self._replace(values, fields)

    def update(self, /, **fields: float) -> None:
        """Change the fields given and keep the others; nothing changes if one is refused.

        Raises:
            ValueError: when a field is unknown or out of range, in words that name the range.
        """
        self._replace(None, fields)

    def _replace(self, base: Mapping[str, float] | None, changes: Mapping[str, float]) -> None:
        checked = {name: self._field(name).check(value) for name, value in changes.items()}
        with self._lock:
            values = {**(self._values if base is None else base), **checked}
            if values["slow_min_seconds"] > values["slow_max_seconds"]:
                raise ValueError(
                    f"slow_min_seconds ({values['slow_min_seconds']:g}) must not be above "
                    f"slow_max_seconds ({values['slow_max_seconds']:g})"
                )
            self._values = values  # readers without the lock see the old or the new, never both
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call something after each change, in the thread that made it."""
        self._listeners.append(listener)

    def _field(self, name: str) -> Field:
        fields = self.fields()
        if name not in fields:
            raise ValueError(self._unknown(name))
        return fields[name]

    def _unknown(self, name: str) -> str:
        """Return that there is no such field, and the nearest one where one is near."""
        names = [*self.fields()]
        near = difflib.get_close_matches(name, names, 1)
        meant = f", perhaps {near[0]}" if near else ""
        return f"there is no field {name[:40]!r}{meant}; there are {_list(names)}"

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers; `update` takes them back."""
        return dict(self._values)

    def reseed(self, seed: int | None) -> None:
        """Start the chances anew from a seed; None makes them unpredictable."""
        with self._lock:
            self._random.seed(seed)

    def health_fails(self) -> bool:
        """Draw whether this request to /health fails."""
        with self._lock:
            return self._random.random() < self._values["health_failure_probability"]

    def slow_delay(self) -> Delay:
        """Draw what this request to /slow gets."""
        with self._lock:
            values = self._values
            # Both are drawn each time, so that one field does not shift the other's sequence.
            chance, share = self._random.random(), self._random.random()
        if chance < values["slow_timeout_probability"]:
            return Delay(values["slow_timeout_seconds"], timed_out=True)
        low, high = values["slow_min_seconds"], values["slow_max_seconds"]
        return Delay(low + (high - low) * share, timed_out=False)

    def error_kind(self, kinds: Sequence[str]) -> str | None:
        """Draw which of the kinds this request to /error fails with, or None if it does not."""
        with self._lock:
            chance, share = self._random.random(), self._random.random()
            fails = chance < self._values["error_failure_probability"]
        return kinds[int(share * len(kinds))] if fails else None

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:g}" for name, value in self._values.items())
        return f"<Faults {values}>"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
