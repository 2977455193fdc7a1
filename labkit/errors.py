"""What can go wrong in the lab, in words that say what to do next."""

from __future__ import annotations


class LabError(Exception):
    """A failure with its evidence and the next step.

    Args:
        message: what failed, one sentence.
        evidence: what shows it (the tail of a log, a server's words, a caret under a query).
        next_step: what to do about it.
    """

    def __init__(self, message: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.message]
        if self.evidence:
            parts.append("\n".join(f"    {line}" for line in self.evidence.rstrip().splitlines()))
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return "\n".join(parts)

    def _render_traceback_(self) -> list[str]:
        """Give IPython the message instead of a traceback; the cell still counts as failed."""
        return [f"{type(self).__name__}: {self}"]


class PortInUse(LabError):
    """The port that was asked for is taken by another program."""


class PrometheusMissing(LabError):
    """No Prometheus binary was found, and none could be fetched."""


class PrometheusExited(LabError):
    """Prometheus started and ended by itself."""


class StartupTimeout(LabError):
    """Something was started but did not become ready in time."""


class WorkerDied(LabError):
    """The process that sends the traffic ended by itself."""


class TargetRefused(LabError):
    """The lab will not send traffic to this target, or the target does not answer."""


class QueryError(LabError):
    """Prometheus did not answer a query; the evidence carries its own words."""
