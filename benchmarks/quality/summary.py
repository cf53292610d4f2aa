"""Results of several seeds as mean and deviation, and their form in JSON."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.quality.evaluation import Measured


class Value(NamedTuple):
    """A measure over the seeds it was taken with."""

    mean: float
    deviation: float
    """Sample standard deviation over the seeds; 0 for a single one."""
    seeds: int


Results = dict[str, dict[str, dict[str, Value]]]
"""contender -> set -> measure -> value."""


def summarise(measured: Iterable[Measured]) -> Results:
    """Gather the same measure of all seeds.

    Examples:
        >>> from benchmarks.quality.evaluation import Task
        >>> found = summarise(Measured(Task("a", "s", k), {"auc": k / 10}) for k in (7, 8, 9))
        >>> found["a"]["s"]["auc"]
        Value(mean=0.8, deviation=0.1, seeds=3)
    """
    values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)
    for found in sorted(measured, key=lambda one: one.task):
        for name, value in found.measures.items():
            values[found.task.contender, found.task.dataset, name].append(value)
    results: Results = {}
    for (contender, dataset, name), several in values.items():
        deviation = statistics.stdev(several) if len(several) > 1 else 0.0
        value = Value(round(statistics.fmean(several), 5), round(deviation, 5), len(several))
        results.setdefault(contender, {}).setdefault(dataset, {})[name] = value
    return results


def to_json(results: Results) -> dict[str, Any]:
    """Return the results as JSON objects."""
    return {
        contender: {
            dataset: {name: value._asdict() for name, value in measures.items()}
            for dataset, measures in sets.items()
        }
        for contender, sets in results.items()
    }


def from_json(stored: dict[str, Any]) -> Results:
    """Return what `to_json` stored.

    Examples:
        >>> results = {"a": {"s": {"auc": Value(0.8, 0.1, 3)}}}
        >>> from_json(to_json(results)) == results
        True
    """
    return {
        contender: {
            dataset: {name: Value(**value) for name, value in measures.items()}
            for dataset, measures in sets.items()
        }
        for contender, sets in stored.items()
    }


def mean_of(results: Results, contender: str, datasets: Iterable[str], measure: str) -> float:
    """Return the mean of a measure over several sets, NaN where one of them has none."""
    sets = results.get(contender, {})
    values = [sets.get(name, {}).get(measure, Value(math.nan, 0.0, 0)).mean for name in datasets]
    return statistics.fmean(values) if values else math.nan
