"""What can be chosen at a dashboard, and what it says of itself, without a browser."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Enum, Float, HasTraits, TraitError, Unicode, validate

REFRESH_SECONDS = (1, 2, 5, 10)
THEMES = ("auto", "light", "dark")
WINDOWS = {"1 min": 1.0, "5 min": 5.0, "15 min": 15.0, "30 min": 30.0, "1 h": 60.0}
PAST_WINDOWS = {"1 h": 60.0, "3 h": 180.0, "12 h": 720.0, "1 d": 1440.0, "7 d": 10_080.0}
SHORTEST_MINUTES, LONGEST_MINUTES = 1.0, 60.0
_SHORTEST_OF_A_PAST = 10.0


class DashboardModel(HasTraits):
    """The choices of the person who looks at a dashboard.

    Attributes:
        past: where a past begins and ends, in unix seconds; None where it shows what is now.
        moment: the end of the window in a past, in unix seconds.
    """

    past: tuple[float, float] | None = None
    moment = Float(0.0)
    window_minutes = Float(5.0)
    refresh_seconds = Enum(REFRESH_SECONDS, 2)
    theme = Enum(THEMES, "auto")
    paused = Bool(False)

    status = Unicode("The first picture is being drawn …")
    failed = Bool(False)
    open = Bool(True)

    @validate("window_minutes")
    def _in_range(self, proposal: Any) -> float:
        minutes = float(proposal["value"])
        shortest, longest = self._limits()
        if not shortest <= minutes <= longest:
            raise TraitError(f"a window of {minutes:g} minutes")
        return minutes

    @validate("moment")
    def _in_the_past(self, proposal: Any) -> float:
        moment = float(proposal["value"])
        if self.past is None:
            return moment
        return min(max(moment, self.past[0]), self.past[1])

    def _limits(self) -> tuple[float, float]:
        """Return the shortest and the longest window, in minutes."""
        if self.past is None:
            return SHORTEST_MINUTES, LONGEST_MINUTES
        whole = (self.past[1] - self.past[0]) / 60
        return min(_SHORTEST_OF_A_PAST, whole), whole

    @property
    def windows(self) -> dict[str, float]:
        """The windows to choose from, in minutes by name, with the one that is chosen."""
        shortest, longest = self._limits()
        known = WINDOWS if self.past is None else PAST_WINDOWS
        found = {name: minutes for name, minutes in known.items() if shortest <= minutes <= longest}
        if self.window_minutes not in found.values():
            found[f"{self.window_minutes:.3g} min"] = self.window_minutes
        return found

    @classmethod
    def choosing(
        cls,
        window_minutes: float,
        refresh_seconds: float,
        theme: str,
        past: tuple[float, float] | None = None,
    ) -> DashboardModel:
        """Return a model with these choices.

        Raises:
            ValueError: one of them cannot be chosen; the message says what can.
        """
        model = cls()
        if past is not None:
            model.past, model.moment = past, past[1]
        shortest, longest = model._limits()
        given = {
            "window_minutes": (window_minutes, f"a number from {shortest:g} to {longest:g}"),
            "refresh_seconds": (refresh_seconds, "1, 2, 5 or 10"),
            "theme": (theme, "auto, light or dark"),
        }
        for name, (value, accepted) in given.items():
            try:
                setattr(model, name, value)
            except (TraitError, TypeError, ValueError) as error:
                raise ValueError(f"{name} must be {accepted}, not {value!r}") from error
        return model

    def tell(self, text: str) -> None:
        """Show a line that is no failure."""
        self.failed = False
        self.status = text

    def fail(self, error: BaseException) -> None:
        """Show a failure in its own words."""
        self.failed = True
        self.status = str(error)

    def close(self, text: str) -> None:
        """Refuse all choices from now on, saying why."""
        self.open = False
        self.tell(text)
