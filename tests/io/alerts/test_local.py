"""Standard output, a file, and Apprise."""

import json

import pytest

from eddyline.io.alerts.senders import open_sender
from eddyline.schemas.alert import Failed
from eddyline.schemas.alert_channel import AppriseChannel, FileChannel, StdoutChannel


def test_standard_output_gets_one_line(capsys, alert):
    assert open_sender(StdoutChannel()).send(alert()) == "written"
    assert capsys.readouterr().out.startswith("warning opened: freezer-7 (Test): ")


def test_a_file_gets_one_line_of_json_an_alert(tmp_path, alert):
    path = tmp_path / "new" / "alerts.jsonl"
    sender = open_sender(FileChannel(path=str(path)))
    sender.send(alert())
    sender.send(alert("resolved", 1))
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] for line in told] == ["eddyline-test:0:opened", "eddyline-test:1:resolved"]


def test_a_file_that_cannot_be_written_may_be_tried_again(tmp_path, alert):
    with pytest.raises(Failed) as failed:
        open_sender(FileChannel(path=str(tmp_path))).send(alert())
    assert not failed.value.permanent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of apprise itself
def test_apprise_sends_what_it_is_given(start_peer, alert, monkeypatch):
    pytest.importorskip("apprise", reason="needs the extra: pip install eddyline[apprise]")
    peer = start_peer(200, 500)
    monkeypatch.setenv("ANY", peer.url.replace("http://", "json://") + "/in")
    sender = open_sender(AppriseChannel(url="env:ANY"))
    assert sender.send(alert()) == "sent"
    assert peer.requests[0].json["title"].startswith("freezer-7 (Test): ")
    assert peer.requests[0].json["type"] == "warning"
    with pytest.raises(Failed) as failed:
        sender.send(alert())
    assert not failed.value.permanent


def test_a_url_that_apprise_does_not_know_is_permanent_and_not_told(alert, monkeypatch):
    pytest.importorskip("apprise", reason="needs the extra: pip install eddyline[apprise]")
    monkeypatch.setenv("ANY", "nonsense-hush-hush")
    with pytest.raises(Failed) as failed:
        open_sender(AppriseChannel(url="env:ANY")).send(alert())
    assert failed.value.permanent
    assert "hush" not in str(failed.value)
