"""Packs the code folders as subpackages of `eddyline`; Beam ships this to its workers too."""

from setuptools import find_packages, setup

FOLDERS = ("pipeline", "transforms", "detectors", "io", "schemas")

DEV = [
    "duckdb",
    "hypothesis",
    "jsonschema",
    "moto[server]",
    "pandas",
    "pyright",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "rfc3339-validator",
    "ruff",
    "setuptools",
    "wheel",
    "uv",
]

setup(
    name="eddyline",
    version="0.1.0",
    description="Device telemetry in; a lake, minutes and incidents out. One Apache Beam job.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        f"eddyline.{name}"
        for folder in FOLDERS
        for name in (folder, *(f"{folder}.{sub}" for sub in find_packages(folder)))
    ],
    package_dir={f"eddyline.{folder}": folder for folder in FOLDERS},
    package_data={"": ["py.typed", "*.avsc", "*.yaml"]},
    install_requires=[
        "apache-beam[gcp,aws]==2.77.*",
        "deltalake>=1.6",
        "duckdb>=1.2",
        "fastavro>=1.10",
        "msgspec>=0.20",
        "numba>=0.61",
        "numpy>=2.0",
        "pyarrow>=20",
        "pyyaml>=6",
        "rich>=14",
        "river>=0.22",
        "structlog>=25",
        "typer>=0.16",
        "xxhash>=3.5",
        "zstandard>=0.23",
    ],
    extras_require={"dev": DEV},
    entry_points={"console_scripts": ["eddyline = eddyline.pipeline.__main__:main"]},
)
