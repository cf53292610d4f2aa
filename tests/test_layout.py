"""The folders import in one direction, and the core stays free of Beam and clouds."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "schemas": {"schemas"},
    "detectors": {"detectors"},
    "transforms": {"schemas", "detectors", "transforms"},
    "io": {"schemas", "io"},
    "pipeline": {"schemas", "detectors", "transforms", "io", "pipeline"},
}
BESIDE = {  # what a folder of `transforms` imports of the others there
    "decoding": set(),
    "policy": set(),
    "devices": {"policy"},
    "minutes": {"devices"},
    "incidents": {"counts", "decoding", "devices", "enrich", "policy", "reloaded"},
    "fleet": {"devices", "incidents"},
    "alerts": {"incidents"},
}
FORBIDDEN = {
    "schemas": {"apache_beam", "boto3", "google", "deltalake"},
    "detectors": {"apache_beam", "boto3", "google", "deltalake"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_a_folder_imports_only_what_the_design_allows(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imports(path):
            head, _, rest = name.partition(".")
            if head == "eddyline":
                assert rest.split(".")[0] in ALLOWED[folder], f"{path}: {name}"
            assert head not in FORBIDDEN.get(folder, set()), f"{path}: {name}"


def test_the_folders_of_transforms_are_those_of_the_table():
    folders = {path.parent.name for path in (ROOT / "transforms").glob("*/__init__.py")}
    assert folders == set(BESIDE)


@pytest.mark.parametrize("folder", BESIDE)
def test_a_folder_of_transforms_imports_only_those_below_it(folder):
    for path in (ROOT / "transforms" / folder).rglob("*.py"):
        for name in imports(path):
            if name.startswith("eddyline.transforms."):
                assert name.split(".")[2] in BESIDE[folder] | {folder}, f"{path}: {name}"


def test_tests_are_no_package():
    assert not list((ROOT / "tests").rglob("__init__.py"))
