"""What can be chosen at a dashboard, and what it says of itself, without a browser."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Enum, Float, HasTraits, TraitError, Unicode, validate

REFRESH_SECONDS = (1, 2, 5, 10)
THEMES = ("auto", "light", "dark")
WINDOWS = {"1 min": 1.0, "5 min": 5.0, "15 min": 15.0, "30 min": 30.0, "1 h": 60.0}
SHORTEST_MINUTES, LONGEST_MINUTES = 1.0, 60.0


class DashboardModel(HasTraits):
    """The choices of the person who looks at a dashboard."""

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
        if not SHORTEST_MINUTES <= minutes <= LONGEST_MINUTES:
            raise TraitError(f"a window of {minutes:g} minutes")
        return minutes

    @classmethod
    def choosing(cls, window_minutes: float, refresh_seconds: float, theme: str) -> DashboardModel:
        """Return a model with these choices.

        Raises:
            ValueError: one of them cannot be chosen; the message says what can.
        """
        given = {
            "window_minutes": (window_minutes, "a number from 1 to 60"),
            "refresh_seconds": (refresh_seconds, "1, 2, 5 or 10"),
            "theme": (theme, "auto, light or dark"),
        }
        model = cls()
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
