"""docs/data-formats.md says what the schema files say.

Run this file to renew the tables of the page: `.venv/bin/python tests/schemas/<this file>`.
"""

import re
from pathlib import Path

import msgspec
import pytest

from eddyline.schemas.channel import Channel, ChannelFile, channel_file_text
from eddyline.schemas.record import SENT_FIELDS, contract_of, load_contract
from eddyline.transforms.decoding.payload import PayloadParser, Row
from eddyline.transforms.devices.registry import read_registry

PAGE = Path(__file__).parents[2] / "docs" / "data-formats.md"
RENEW = (
    f"docs/data-formats.md is not what schemas/*.avsc say: renew it by\n"
    f"  .venv/bin/python tests/schemas/{Path(__file__).name}"
)
TABLES = {
    "reading": "readings",
    "minute": "minutes",
    "anomaly": "anomalies",
    "incident": "incidents",
    "delivery": "deliveries",
    "device_state": "device_states",
    "dead_letter": "dead_letters",
    "message": "raw",
    "device": "",  # has its own section, and is a file of the user's
}
WORDS = {
    "string": "text",
    "long": "whole number",
    "double": "number",
    "boolean": "true or false",
    "timestamp": "time",
    "strings": "list of text",
    "map": "text by text",
}
ANY = "anychannel"


def column_table(name):
    """The record's columns as a table, the channels' as those of *channel*."""
    record = contract_of(ChannelFile("any", (Channel(ANY, 0, 1),), {})).record(name)
    lines = ["| column | type | null | |", "|---|---|---|---|"]
    for field in record.fields:
        column = f"`{field.name}`".replace(f"`{ANY}", "*channel*`").replace("``", "")
        kind = "as declared" if field.name == ANY else WORDS.get(field.type, field.type)
        unit = f" in {field.unit}" if field.unit not in ("", "1") else ""
        null = "yes" if field.nullable else ""
        lines.append(
            f"| {column} | {kind}{unit} | {null} | {field.doc.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines)


def section(name):
    record = load_contract().record(name)
    title = f"### {TABLES[name]}\n\n{record.doc}\n\n" if TABLES[name] else ""
    return f"<!-- columns of {name} -->\n{title}{column_table(name)}\n<!-- end -->"


def renewed(page):
    for name in TABLES:
        pattern = rf"<!-- columns of {name} -->\n.*?<!-- end -->"
        page, found = re.subn(pattern, lambda _, name=name: section(name), page, flags=re.DOTALL)
        assert found == 1, f"docs/data-formats.md: the marks around the columns of {name} are gone"
    return page


def page():
    return PAGE.read_text(encoding="utf-8")


def blocks(language, heading):
    part = page().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)\n```", part, flags=re.DOTALL)


def test_the_column_tables_are_those_of_the_schema_files():
    assert renewed(page()) == page(), RENEW


def test_the_example_of_a_schema_file_is_the_shipped_one():
    assert channel_file_text("env_telemetry").strip() in blocks("json", "Channels"), (
        "docs/data-formats.md shows another env_telemetry.avsc: copy it there"
    )


def test_the_standard_fields_and_their_other_names_are_told():
    for field in SENT_FIELDS:
        names = load_contract("room").names_of(field)
        others = ", ".join(f"`{name}`" for name in names[1:])
        assert re.search(rf"\| `{field}` \| .* \| (yes|no) \| {others} ?\|", page()), names


@pytest.mark.parametrize("example", blocks("json", "Messages"))
def test_every_message_of_the_page_is_read(example):
    parser = PayloadParser(load_contract("room"))
    parsed = list(parser.parse(example.encode(), {}, arrival_time=1_594_598_430_000_000))
    assert parsed
    assert all(isinstance(row, Row) and row.device_id == "room-17" for row in parsed), parsed


@pytest.mark.parametrize("form", ["csv", "json", "yaml"])
def test_every_registry_of_the_page_is_read_and_says_the_same(form):
    [example] = blocks(form, "Device registry")
    name = "devices." + form.replace("json", "jsonl")
    registry = read_registry(name, example.encode(), ["temperature", "humidity"])
    assert registry.row == {"room-17": 0}
    [place] = registry.places.to_pylist()
    assert place == {"site": "Bern", "latitude": 46.948, "longitude": 7.447, "model": "th-2"}


def test_the_event_times_of_the_page_are_one_moment():
    told = page().split("**Event time**")[1].split("Each range")[0]
    sent = re.findall(r'`("[^`"]+"|[0-9.]+)`', told)
    assert len(sent) == 5
    parser = PayloadParser(load_contract("room"))
    readings = [b'{"device_id": "a", "event_time": %s}' % value.encode() for value in sent]
    rows = [row for r in readings for row in parser.parse(r, {}, 1_594_598_430_000_000)]
    assert {row.event_time for row in rows} == {1_594_598_424_502_000}


def test_there_is_a_place_for_the_reasons():
    assert "## Dead letter reasons\n\n| reason | meaning |\n|---|---|\n" in page()


def test_the_kept_channel_of_the_page_is_one():
    example = blocks("json", "Channels")[-1]
    assert msgspec.json.decode(example)["out_of_range"] == "keep"


if __name__ == "__main__":
    PAGE.write_text(renewed(page()), encoding="utf-8")
