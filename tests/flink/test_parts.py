from zipfile import ZipFile

import pytest

from deploy.fetching import Unavailable
from deploy.flink import parts as module
from deploy.flink.cluster import Cluster, NotUp, Ports, cluster_in, new_cluster
from deploy.flink.parts import Parts, fetch
from deploy.flink.submit import options
from eddyline.pipeline.flink_options import FlinkJobOptions
from eddyline.pipeline.options import beam_options


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """Parts of which each download is a stand-in; the names of those that were made."""
    made = []

    def flink(target):
        made.append("flink")
        target.mkdir()

    def beam(target):
        made.append("beam")
        target.mkdir()
        for prefix, wanted in module.OF_THE_JOB.items():
            with ZipFile(target / f"{prefix}1.jar", "w") as jar:
                for name in (*(f"{one}X.class" for one in wanted), "org/apache/other/Y.class"):
                    jar.writestr(name, "code")

    monkeypatch.setattr(module, "_fetch_flink", flink)
    monkeypatch.setattr(module, "_fetch_beam", beam)
    return Parts(tmp_path / "flink"), made


def test_parts_are_fetched_once(fetched):
    parts, made = fetched
    told = []
    fetch(parts, told.append)
    fetch(parts, told.append)
    assert (made, len(told)) == (["flink", "beam"], 2)


def test_a_download_that_breaks_off_leaves_nothing_that_looks_whole(fetched, monkeypatch):
    parts, _ = fetched

    def breaks(target):
        target.mkdir()
        (target / "half.jar").write_text("ha")
        raise Unavailable("no network")

    working = module._fetch_flink
    monkeypatch.setattr(module, "_fetch_flink", breaks)
    with pytest.raises(Unavailable, match="no network"):
        fetch(parts, print)
    assert list(parts.folder.iterdir()) == []
    monkeypatch.setattr(module, "_fetch_flink", working)
    fetch(parts, print)
    assert parts.flink.is_dir()


def test_the_jobs_jar_holds_the_entry_and_no_more_of_beam(fetched):
    parts, _ = fetched
    fetch(parts, print)
    with ZipFile(parts.job_jar) as jar:
        names = jar.namelist()
    assert f"{module.OF_THE_JOB['beam-runners-flink-'][0]}X.class" in names
    assert not [name for name in names if "other" in name]


def test_a_missing_tool_is_told_with_what_to_do(fetched, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unavailable, match="no java here: install"):
        module.java()


def test_a_cluster_keeps_its_ports(tmp_path):
    first = new_cluster(tmp_path, slots=3)
    assert len(set(first.ports.__dict__.values())) == 4
    assert new_cluster(tmp_path) == cluster_in(tmp_path) == first


def test_a_folder_without_a_cluster_says_how_to_start_one(tmp_path):
    with pytest.raises(NotUp, match="make flink-up"):
        cluster_in(tmp_path)


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path, Ports(rest=1, rpc=2, blob=3, pool=4))


def test_what_is_given_goes_before_what_is_filled_in(cluster):
    flags = options(cluster, Parts(), ["--checkpointing_interval=500", "--parallelism", "4"])
    assert [flag for flag in flags if "checkpointing_interval" in flag] == [
        "--checkpointing_interval=500"
    ]
    assert "--parallelism=1" not in flags
    assert "--environment_config=127.0.0.1:4" in flags


def test_all_that_is_filled_in_is_known_to_the_command_line(cluster):
    flink = beam_options(options(cluster, Parts(), [])).view_as(FlinkJobOptions)
    assert flink.checkpointing_interval == 3000
    assert flink.finish_bundle_before_checkpointing
