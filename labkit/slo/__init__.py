"""Objectives: error budgets, burn rates, and the alerts of the SRE workbook."""

from labkit.slo.slo import SLO

__all__ = ["SLO"]
