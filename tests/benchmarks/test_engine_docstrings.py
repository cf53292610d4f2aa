import doctest
import importlib
import pkgutil

import pytest

from benchmarks import engines, sweep

NAMES = [
    "benchmarks.machine",
    *(
        f"{package.__name__}.{found.name}"
        for package in (engines, sweep)
        for found in pkgutil.iter_modules(package.__path__)
        if found.name != "__main__"
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_engine_benchmarks_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
