"""What happens in the histories that exercises are about, and in their hidden twins.

What a query is to find differs from twin to twin, so that a name typed in is wrong on one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.teaching.part import Part

if TYPE_CHECKING:
    from labkit.history.past import Past

END = "2026-01-31T00:00Z"
AFTERNOON = "2026-01-30T15:00Z"  # a Friday's, when traffic hardly changes
SEED, HIDDEN_SEED = 7, 4711
_HISTOGRAM = "flask_request_duration_seconds"


def days(hidden: bool) -> Past:
    """Two days of three instances in which something is always a little wrong.

    One instance is sick, but for five hours of the first day that differ from one another: none
    is, two are, one is a little and one less, two endpoints fail now and then, and none is again.
    """
    from labkit.history import (
        BadEndpoint,
        BadInstance,
        ErrorBurst,
        History,
        SlowDependency,
        TrafficSpike,
    )

    more = 1.4 if hidden else 1.0
    sick, other = ("app-2", "app-3") if hidden else ("app-3", "app-2")
    spikes = [
        TrafficSpike(before, "6m", factor=4.0 if hidden else 6.0)
        for before in ("50m", "6h", "12h10m", "18h30m", "23h40m")
    ]
    incidents = [
        ErrorBurst("47h", "47h", ratio=0.03 * more),
        ErrorBurst("47h", "47h", ratio=0.02 * more, error_types=("validation_error",)),
        BadInstance("46h", "5h", instance=sick, ratio=0.45 / more),
        SlowDependency("46h", "46h", factor=3.0 * more, share=0.5),
        *spikes,
        BadInstance("40h", "1h", instance=sick, ratio=0.45 / more),
        BadInstance("40h", "1h", instance=other, ratio=0.3),
        BadInstance("39h", "1h", instance=sick, ratio=0.25),
        BadInstance("39h", "1h", instance="app-1", ratio=0.07),
        BadEndpoint("38h", "1h", endpoint="/health", ratio=0.025),
        BadEndpoint("38h", "1h", endpoint="/slow", ratio=0.04),
        BadInstance("36h", "36h", instance=sick, ratio=0.45 / more),
    ]
    if hidden:  # a bug, until the restart after it
        incidents.append(BadEndpoint("34h", "1h", endpoint="/", ratio=0.002))
    return History(
        days=2,
        seed=HIDDEN_SEED if hidden else SEED,
        end=END,
        instances=3,
        # One in the hour before each moment at which exercises are marked.
        deploys=["1d20h", "1d8h", "23h25m", "18h15m", "11h55m", "5h45m", "35m"],
        incidents=incidents,
        gaps_per_day=0.0,
        crashes_per_day=2.0,
    )


def incident(hidden: bool) -> Past:
    """Two days, calm but for what goes wrong in the last hours of a busy afternoon."""
    from labkit.history import (
        BadEndpoint,
        BadInstance,
        ErrorBurst,
        History,
        Leak,
        RisingErrorType,
    )

    more = 1.3 if hidden else 1.0
    # Other times and culprits on the twin: one that was typed in is wrong there.
    first, failing, sick, rising = (
        ("115m", "95m", "85m", "50m") if hidden else ("130m", "110m", "100m", "58m")
    )
    endpoint, part = ("/", 0.7) if hidden else ("/health", 0.15)
    instance = "app-2" if hidden else "app-3"
    kind = "permission_error" if hidden else "database_error"
    return History(
        days=2,
        seed=HIDDEN_SEED + 1 if hidden else SEED + 1,
        end=AFTERNOON,
        instances=3,
        deploys=["1d14h", "20h10m", "10h40m"],
        incidents=[
            ErrorBurst("46h", "46h", ratio=0.001, error_types=("timeout_error",)),
            ErrorBurst("46h", "46h", ratio=0.006, error_types=("validation_error",)),
            ErrorBurst("36h", "30m", ratio=0.05),  # not of the past day
            BadEndpoint("3h", "3h", endpoint=endpoint, ratio=0.003 / part),
            # So slight at first that a longer window than asked for sees it minutes later.
            BadEndpoint(first, first, endpoint=endpoint, ratio=0.011 / part),
            BadEndpoint(failing, failing, endpoint=endpoint, ratio=0.045 * more / part),
            BadInstance(sick, sick, instance=instance, ratio=0.6, traffic_share=0.12),
            RisingErrorType(rising, rising, error_type=kind, ratio=0.015 * more),
            Leak("260m", "260m", factor=8.0 * more),
        ],
        gaps_per_day=0.0,
        crashes_per_day=0.0,
    )


def month(hidden: bool) -> Past:
    """A month of one instance for budgets, a scrape every two minutes, without the histogram."""
    from labkit.history import BudgetDrip, ErrorBurst, History, Outage, TrafficSpike

    more = 1.5 if hidden else 1.0
    five = ("database_error", "timeout_error")
    whole = History(
        days=30,
        seed=HIDDEN_SEED + 2 if hidden else SEED + 2,
        end=END,
        requests_per_second=5.0,
        incidents=[
            ErrorBurst("27d11h", "3h", ratio=0.08 * more, error_types=five),
            Outage("22d5h", "20m"),
            ErrorBurst("16d14h", "1h30m", ratio=0.15 / more, error_types=five),
            TrafficSpike("12d3h", "5h", factor=3.0 * more),
            BudgetDrip("9d", "4d", ratio=0.003 * more),
            ErrorBurst("2d9h", "2h", ratio=0.12 * more, error_types=five),
            ErrorBurst("50m", "49m", ratio=0.11 * more, error_types=five),
        ],
    )
    return Part(whole, hours=30 * 24, every=2, without=[_HISTOGRAM])


def live(hidden: bool) -> Past:
    """Four hours with a scrape every ten seconds, for queries that are meant for a live lab."""
    from labkit.history import (
        BadEndpoint,
        BadInstance,
        ErrorBurst,
        History,
        Outage,
        SlowDependency,
    )

    more = 1.3 if hidden else 1.0
    if hidden:  # a little slow, very slow, well, slow, and very slow until an hour ago
        apart = [
            SlowDependency("4h", "10m", factor=2.2),
            SlowDependency("3h50m", "10m", factor=6.0 * more),
            SlowDependency("3h30m", "10m", factor=3.2),
            SlowDependency("3h20m", "2h19m40s", factor=6.0 * more),
        ]
    else:
        apart = [SlowDependency("4h", "3h", factor=6.0 * more)]
    whole = History(
        days=1,
        seed=HIDDEN_SEED + 3 if hidden else SEED + 3,
        end=END,
        interval=10,
        deploys=["3h10m"],
        incidents=[
            ErrorBurst("2h30m", "30m", ratio=0.35 * more),
            BadEndpoint("4h", "3h", endpoint="/health", ratio=0.2 * more),
            *apart,
            Outage("50m", "30m"),
            ErrorBurst("12m", "11m", ratio=0.3 * more),
            # Hardly anyone asks for anything.
            BadInstance("17m", "4m", instance="app-1", ratio=0.001, traffic_share=1e-9),
        ],
        gaps_per_day=0.0,
        crashes_per_day=0.0,
    )
    return Part(whole, hours=4)


def own(hidden: bool) -> Past:
    """Two hours of a small app of someone's own; on the twin another metric has most series."""
    from labkit.teaching.own_app import OwnApp

    if hidden:
        return OwnApp(HIDDEN_SEED, workers=17, versions=("2.1.0", "1.9.3"))
    return OwnApp(SEED)
