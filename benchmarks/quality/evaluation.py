"""One contender on one set with one seed: run it over every device and judge what it said."""

import math
import time
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.quality import nab
from benchmarks.quality.contenders import CONTENDERS, Outputs
from benchmarks.quality.injected import FAULTS, SOURCES, injected
from benchmarks.quality.metrics import alarm_measures, average_precision, judge_alarms, roc_auc
from benchmarks.quality.sets import CATALOG, DataSet

FIRST = 250
"""Rows of a device before this one are for learning and not judged."""

SETS = CATALOG | {
    f"injected/{source}/{fault}": partial(injected, source, fault)
    for source in SOURCES
    for fault in FAULTS
}
"""Every set by name, in the order of the tables."""


class Task(NamedTuple):
    """What to run."""

    contender: str
    dataset: str
    seed: int


class Measured(NamedTuple):
    """What came out, by the name of the measure; measures that have no value are left out."""

    task: Task
    measures: dict[str, float]


def judge(dataset: DataSet, outputs: list[Outputs]) -> dict[str, float]:
    """Return the measures that a set's kind allows.

    Windows are judged by novelty, the labels of rows by the condition score ("auc_table": by what
    the detector says of rows without order), both by what it does at its fixed threshold.

    Args:
        dataset: The set.
        outputs: What a detector said, one item a device, in their order.
    """
    if dataset.judged == "windows":
        windows = [device.windows for device in dataset.devices]
        events = [nab.Scored(said.novelty, w) for said, w in zip(outputs, windows, strict=True)]
        told = [
            nab.Scored(said.detection.astype(np.float64), w)
            for said, w in zip(outputs, windows, strict=True)
        ]
        best = nab.optimum(events)
        found = {
            "nab_best": best.score,
            "nab_best_threshold": best.threshold,
            "nab_fixed": nab.at_threshold(told, 1.0),
        }
    else:
        both = list(zip(dataset.devices, outputs, strict=True))
        found = alarm_measures(
            [judge_alarms(on.label, said.alarm, on.event_time, FIRST) for on, said in both]
        )
        if dataset.judged == "rows":
            label = np.concatenate([device.label[FIRST:] for device in dataset.devices])
            condition = np.concatenate([said.condition[FIRST:] for said in outputs])
            found["auc"] = roc_auc(label, condition)
            found["ap"] = average_precision(label, condition)
            table = np.concatenate([said.table[FIRST:] for said in outputs])
            found["auc_table"] = roc_auc(label, table)
            if any(said.event is not said.condition for said in outputs):
                event = np.concatenate([said.event[FIRST:] for said in outputs])
                found["auc_event"] = roc_auc(label, event)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def measure(task: Task) -> Measured:
    """Run one task: a fresh model a device, each row scored before it is learned.

    The measure "us_a_row" is the processor's time for it, whatever else the machine does.

    Raises:
        Missing: The set is not here.
        Unavailable: The detector cannot be made for this set.
    """
    dataset = SETS[task.dataset]()
    contender = CONTENDERS[task.contender]
    began = time.process_time()
    outputs = [contender.observe(dataset.channels, device, task.seed) for device in dataset.devices]
    took = time.process_time() - began
    return Measured(task, judge(dataset, outputs) | {"us_a_row": 1e6 * took / dataset.rows})
