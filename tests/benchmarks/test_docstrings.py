import doctest
import importlib
import pkgutil

import pytest

from benchmarks import quality


@pytest.mark.parametrize("name", [found.name for found in pkgutil.iter_modules(quality.__path__)])
def test_the_examples_of_the_quality_benchmark_run(name):
    if name == "__main__":
        pytest.skip("a command, it has no examples")
    module = importlib.import_module(f"benchmarks.quality.{name}")
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
