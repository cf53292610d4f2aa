"""The numbers that the default detector has to reach, and those it would be proud of."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from benchmarks.quality.injected import FAULTS, SOURCES
from benchmarks.quality.sets import INTEL_FAULTS
from benchmarks.quality.summary import Results, mean_of


class Goal(NamedTuple):
    """One number of a contender with its gate and its stretch; NaN: none, shown for honesty."""

    what: str
    gate: float
    stretch: float
    value: Callable[[Results, str], float]
    """Of the results and a contender's name; NaN where a set is missing."""

    @property
    def higher_is_better(self) -> bool:
        """Whether more is better; a stretch lies on the better side of its gate."""
        return self.stretch > self.gate

    def reached(self, value: float) -> bool:
        """Whether a value passes the gate; NaN does not.

        Examples:
            >>> Goal("alarms a day", 0.45, 0.1, lambda results, name: 0.0).reached(0.5)
            False
        """
        return value >= self.gate if self.higher_is_better else value <= self.gate


def _mean(measure: str, *datasets: str) -> Callable[[Results, str], float]:
    def value(results: Results, contender: str) -> float:
        return mean_of(results, contender, datasets, measure)

    return value


def _table(dataset: str) -> Callable[[Results, str], float]:
    """Of a set whose rows have no times: by the score for tables, of detectors that have one."""

    def value(results: Results, contender: str) -> float:
        found = mean_of(results, contender, (dataset,), "auc_table")
        return mean_of(results, contender, (dataset,), "auc") if math.isnan(found) else found

    return value


INTEL = tuple(f"intel/{fault}" for fault in INTEL_FAULTS)
INJECTED = tuple(f"injected/{source}/{fault}" for source in SOURCES for fault in FAULTS)
EASY = ("intel/random", "intel/bias", "intel/drift", "intel/mixed")

_auc = partial(_mean, "auc")
_recall = partial(_mean, "event_recall")
_chance = partial(_mean, "chance")
_on = partial(_mean, "normal_under_alarm")
_alarms = partial(_mean, "alarms_a_day")

GOALS = (
    Goal("NAB standard, best threshold", 66.0, 75.0, _mean("nab_best", "nab")),
    Goal("NAB standard, the fixed threshold", 64.0, 70.0, _mean("nab_fixed", "nab")),
    Goal("Intel faults, mean AUC", 0.905, 0.93, _auc(*INTEL)),
    Goal("Intel malfunction, AUC", 0.88, 0.92, _auc("intel/malfunction")),
    Goal("Intel polydrift, AUC", 0.745, 0.85, _auc("intel/polydrift")),
    Goal("HTTP in true order, AUC", 0.99, 0.997, _table("hst/http")),
    Goal("SMTP, AUC", 0.97, 0.98, _table("hst/smtp")),
    Goal("mammography, AUC", 0.93, 0.94, _table("hst/mammography")),
    Goal("cover, AUC", 0.62, 0.75, _table("hst/cover")),
    Goal("event recall: Intel spike, bias, drift, mixed", 0.99, 1.0, _recall(*EASY)),
    Goal("event recall: Intel malfunction", 0.88, 0.95, _recall("intel/malfunction")),
    Goal("event recall: Intel polydrift", 0.72, 0.85, _recall("intel/polydrift")),
    Goal("chance hits there: malfunction", 0.41, 0.15, _chance("intel/malfunction")),
    Goal("chance hits there: polydrift", 0.32, 0.12, _chance("intel/polydrift")),
    Goal("normal rows under alarm: Intel", 0.18, 0.05, _on(*INTEL)),
    Goal("normal rows under alarm: asnx", 0.09, 0.02, _on("asnx")),
    Goal("normal rows under alarm: eno_box", 0.11, 0.02, _on("eno_box")),
    Goal("injected faults, mean event recall", 0.42, 0.7, _recall(*INJECTED)),
    Goal("chance hits there: injected faults", math.nan, math.nan, _chance(*INJECTED)),
    Goal("alarms a device-day: asnx", 0.45, 0.1, _alarms("asnx")),
    Goal("alarms a device-day: eno_box", 0.15, 0.05, _alarms("eno_box")),
    Goal("alarms a device-day: env_telemetry, healthy", 6.0, 1.0, _alarms("env_telemetry/healthy")),
)
