"""What became worse than the last time by more than chance explains."""

import math
from collections.abc import Collection
from typing import NamedTuple

from benchmarks.quality.summary import Results, Value


class Watched(NamedTuple):
    """A measure that must not become worse."""

    higher_is_better: bool
    least: float
    """A change up to this is never called one, whatever the seeds say."""
    share: float = 0.0
    """Nor is a change up to this share of the old value."""


WATCHED = {
    "nab_best": Watched(True, 0.5),
    "nab_fixed": Watched(True, 0.5),
    "auc": Watched(True, 0.003),
    "auc_table": Watched(True, 0.003),
    "ap": Watched(True, 0.01),
    "new_alarm_recall": Watched(True, 0.02),
    "event_recall": Watched(True, 0.02),
    "normal_under_alarm": Watched(False, 0.01, 0.05),
    "alarms_per_1000": Watched(False, 0.1, 0.1),
}
DEVIATIONS = 3.0
"""So many standard errors of a difference are noise: hardly one measure in a hundred gets there."""


ONE_EVENT = 1.5
"""A recall that loses a single event says nothing, in sets with few of them."""


class Regression(NamedTuple):
    """One measure that became worse."""

    contender: str
    dataset: str
    measure: str
    before: float
    now: float
    noise: float

    def __str__(self) -> str:
        return (
            f"{self.contender} on {self.dataset}: {self.measure} {self.before:.4g} -> "
            f"{self.now:.4g}, noise {self.noise:.2g}"
        )


def noise(before: Value, now: Value, watched: Watched) -> float:
    """Return the change of a measure that says nothing.

    Three standard errors of the difference of two means over seeds, but not less than the measure's
    own least change.

    Examples:
        >>> noise(Value(66.0, 2.0, 4), Value(64.0, 2.0, 4), WATCHED["nab_best"]).__round__(2)
        4.24
        >>> noise(Value(0.9, 0.0, 1), Value(0.8, 0.0, 1), WATCHED["auc"])
        0.003
    """
    error = math.sqrt(before.deviation**2 / before.seeds + now.deviation**2 / now.seeds)
    return max(DEVIATIONS * error, watched.least, watched.share * abs(before.mean))


def regressions(before: Results, now: Results, contenders: Collection[str]) -> list[Regression]:
    """Return what became worse, of the contenders named and of what both results have."""
    found: list[Regression] = []
    for contender in contenders:
        for dataset, measures in now.get(contender, {}).items():
            old = before.get(contender, {}).get(dataset, {})
            for name, watched in WATCHED.items():
                if name not in measures or name not in old:
                    continue
                limit = noise(old[name], measures[name], watched)
                if name.endswith("recall") and "events" in measures:
                    limit = max(limit, ONE_EVENT / max(measures["events"].mean, 1.0))
                change = measures[name].mean - old[name].mean
                if (-change if watched.higher_is_better else change) > limit:
                    found.append(
                        Regression(
                            contender, dataset, name, old[name].mean, measures[name].mean, limit
                        )
                    )
    return found
