"""Every example in a docstring runs (pytest's own collector would replace the standard `io`)."""

import doctest
import importlib
import pkgutil

import pytest

FOLDERS = ("schemas", "detectors", "transforms", "io", "pipeline")


def modules():
    for folder in FOLDERS:
        package = importlib.import_module(f"eddyline.{folder}")
        yield package.__name__
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield found.name


@pytest.mark.parametrize("name", list(modules()))
def test_the_examples_run(name):
    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert result.failed == 0
