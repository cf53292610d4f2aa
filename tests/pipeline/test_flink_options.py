"""Options of Flink that would do harm without a word are refused, and say what to do."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from typer.testing import CliRunner

from eddyline.pipeline.cli import app
from eddyline.pipeline.flink_options import cluster_address
from eddyline.pipeline.options import beam_options

FLINK = ["--runner=FlinkRunner", "--flink_master=127.0.0.1:8081"]


@pytest.mark.parametrize("value", ["=file:/save", " file:/save"])
def test_a_savepoint_that_beam_would_drop_is_refused_with_the_way_that_works(tmp_path, value):
    given = ["run", "--source=kinesis:s", f"--lake={tmp_path / 'lake'}", *FLINK]
    result = CliRunner().invoke(app, [*given, *f"--savepoint_path{value}".split()])
    assert result.exit_code == 2
    assert 'make flink-run ARGS="... --savepoint_path' in " ".join(result.output.split())
    assert not (tmp_path / "lake").exists()


def test_a_job_whose_tasks_would_finish_is_refused_with_the_way_to_drain():
    with pytest.raises(ValueError, match=r"deploy\.flink drain"):
        beam_options([*FLINK, "--shutdown_sources_after_idle_ms=3000"])


def test_only_a_cluster_has_an_address():
    assert cluster_address(beam_options(FLINK)) == "http://127.0.0.1:8081"
    assert cluster_address(beam_options(["--runner=FlinkRunner"])) is None
    assert cluster_address(PipelineOptions(["--runner=FnApiRunner"])) is None
