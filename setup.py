"""Packs the code folders as subpackages of `eddyline`; Beam ships this to its workers too."""

from setuptools import find_packages, setup

FOLDERS = ("pipeline", "transforms", "detectors", "io", "schemas")

DEV = [
    "aiosmtpd",
    "duckdb",
    "hypothesis",
    "jsonschema",
    "moto[server]",
    "pandas",
    "pyright",
    "pytest",
    "pytest-httpserver",
    "pytest-timeout",
    "pytest-xdist",
    "rfc3339-validator",
    "ruff",
    "setuptools",
    "trustme",
    "wheel",
    "uv",
]

EXTRAS = {
    "apprise": ["apprise>=1.9"],
    "kafka": ["confluent-kafka>=2.6"],
    "onnx": ["onnxruntime>=1.20"],
    "report": ["altair>=5.5", "vl-convert-python>=1.7"],
    "train": ["onnx>=1.17", "onnxruntime>=1.20", "scikit-learn>=1.5"],
}

ALL = sorted({package for packages in EXTRAS.values() for package in packages})

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
    package_data={"": ["py.typed", "*.avsc", "*.yaml", "templates/*", "forests_*.npz"]},
    install_requires=[
        "apache-beam[gcp,aws]==2.77.*",
        "deltalake>=1.6",
        "duckdb>=1.2",
        "fastavro>=1.10",
        "jinja2>=3.1",
        "msgspec>=0.20",
        "numba>=0.61",
        "numpy>=2.0",
        "pyarrow>=20",
        "python-dateutil>=2.9",
        "pyyaml>=6",
        "rich>=14",
        "river>=0.22",
        "slack_sdk>=3.33",
        "structlog>=25",
        "typer>=0.16",
        "tzdata>=2025.1",
        "urllib3>=2",
        "xxhash>=3.5",
        "zstandard>=0.23",
    ],
    extras_require={**EXTRAS, "dev": [*DEV, *ALL]},
    entry_points={"console_scripts": ["eddyline = eddyline.pipeline.__main__:main"]},
)
