"""Slack messages."""

import msgspec

from eddyline.io.alerts.slack import blocks


def test_a_message_has_header_text_and_links(alert):
    header, section, context = blocks(alert())
    assert header["text"]["text"].startswith("🟡 freezer-7 (Test): ")
    assert "Observed:   6.5" in section["text"]["text"]
    told = context["elements"][0]["text"]
    assert "<https://dash.example/incidents/eddyline-test|Dashboard>" in told
    assert "openstreetmap" in told


def test_a_resolved_one_is_green(alert):
    assert blocks(alert("resolved", 2))[0]["text"]["text"].startswith("🟢")


def test_a_device_can_mention_nobody(alert):
    sly = alert()
    message = msgspec.structs.replace(sly.message, text="<!channel> & <https://evil|log in>")
    _, section, _ = blocks(msgspec.structs.replace(sly, message=message))
    assert section["text"]["text"] == "&lt;!channel&gt; &amp; &lt;https://evil|log in&gt;"


def test_nothing_is_longer_than_slack_takes(alert):
    long = alert()
    message = msgspec.structs.replace(long.message, subject="s" * 1000, text="t" * 10_000)
    header, section, _ = blocks(msgspec.structs.replace(long, message=message))
    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) == 3000
