"""Whether the engine that shall run the job is there."""

import os
import shutil
from pathlib import Path

import requests
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PrismRunnerOptions,
    StandardOptions,
)
from apache_beam.runners.portability.prism_runner import PrismJobServer

from eddyline.pipeline.doctor.check import Ill

BUILD = "go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0"


def look_at_runner(options: PipelineOptions) -> str:
    """Find the engine; nothing is started."""
    name = options.view_as(StandardOptions).runner or ""
    lower = name.lower()
    if "prism" in lower:
        return _prism(options)
    if "flink" in lower:
        return _flink(options)
    if "dataflow" in lower:
        return _dataflow(options)
    return f"{name or 'FnApiRunner'} runs in this process"


def _prism(options: PipelineOptions) -> str:
    given = options.view_as(PrismRunnerOptions).prism_location
    if given and "://" not in given:
        path = Path(given)
        if not path.is_file() or not os.access(path, os.X_OK):
            raise Ill(f"--prism_location {given} is no program", f"Build it: {BUILD}")
        return f"Prism is {given}"
    if found := shutil.which("prism"):
        return f"Prism is {found}; give it as --prism_location"
    if any(Path(PrismJobServer.BIN_CACHE).glob("*prism*")):
        return "Prism is in Beam's cache"
    remedy = f"{BUILD}, then --prism_location" if shutil.which("go") else "Install Go, or wait."
    raise Ill("no Prism here; Beam will download it", remedy, "warning")


def _flink(options: PipelineOptions) -> str:
    master = options.view_as(FlinkRunnerOptions).flink_master
    if master in ("[auto]", "[local]"):
        return f"a Flink cluster of its own ({master})"
    address = master if "://" in master else f"http://{master}"
    try:
        overview = requests.get(f"{address}/overview", timeout=10).json()
        free, workers = overview["slots-available"], overview["taskmanagers"]
    except (requests.RequestException, ValueError, KeyError) as error:
        remedy = "Is --flink_master the JobManager's REST address, and may we reach it?"
        raise Ill(f"no Flink at {master}: {error}", remedy) from error
    if not free:
        words = f"Flink {overview['flink-version']}: no free slot on {workers} TaskManagers"
        raise Ill(words, "Stop another job, or add a TaskManager.")
    return f"Flink {overview['flink-version']}, {free} free slots on {workers} TaskManagers"


def _dataflow(options: PipelineOptions) -> str:
    cloud = options.view_as(GoogleCloudOptions)
    needed = {
        "project": cloud.project,
        "region": cloud.region,
        "temp_location": cloud.temp_location,
    }
    if missing := [f"--{name}" for name, value in needed.items() if not value]:
        raise Ill(f"Dataflow needs {', '.join(missing)}")
    return f"Dataflow in {cloud.project}, {cloud.region}"
