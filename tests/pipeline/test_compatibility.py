"""What would break an update of a running job, told in words."""

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from eddyline.pipeline.cli import app
from eddyline.pipeline.compatibility import (
    Graph,
    Step,
    differences,
    mapping,
    read_graph,
    told_graph,
)

WATCH = Step(
    input="TupleCoder[VarIntCoder, RecordBatchCoder]",
    window="global_windows",
    states={"fleet": "read_modify_write of BytesCoder"},
    timers={"ts-due": "EVENT_TIME"},
)
OLD = Graph(
    {
        "Read": Step(input="StrUtf8Coder", position="ProgressCoder", window="global_windows"),
        "Decode": Step(),
        "Minutes": Step(input="BytesCoder", window="fixed_windows 60", shuffles=True),
        "Watch": WATCH,
    }
)


def with_step(name, step):
    return Graph({**OLD.steps, name: step})


def without(name, **more):
    return Graph({**{n: step for n, step in OLD.steps.items() if n != name}, **more})


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (OLD, []),
        (
            without("Watch", Look=WATCH),
            [
                "map: 'Watch' keeps state fleet and timers ts-due and is called 'Look' now: "
                "map it, or all that is lost"
            ],
        ),
        (without("Watch"), ["breaks: 'Watch' is gone and with it state fleet and timers ts-due"]),
        (without("Read"), ["breaks: 'Read' is gone and with it the source's positions"]),
        (without("Minutes"), ["breaks: 'Minutes' is gone and with it what is being grouped"]),
        (without("Decode"), ["map: 'Decode' is gone and kept nothing: map it to an empty name"]),
        (
            with_step("Watch", replace(WATCH, states={**WATCH.states, "fleet_log": "bag"})),
            ["adds: 'Watch' has a new state 'fleet_log', which begins empty"],
        ),
        (
            with_step("Watch", replace(WATCH, states={})),
            ["breaks: 'Watch' has no state 'fleet' any more: what it held is lost"],
        ),
        (
            with_step("Watch", replace(WATCH, states={"fleet": "bag of BytesCoder"})),
            [
                "breaks: 'Watch' keeps its state 'fleet' as bag of BytesCoder, "
                "not as read_modify_write of BytesCoder"
            ],
        ),
        (
            with_step("Watch", replace(WATCH, timers={"ts-due": "PROCESSING_TIME"})),
            ["breaks: 'Watch' keeps its timer 'ts-due' as PROCESSING_TIME, not as EVENT_TIME"],
        ),
        (
            with_step("Watch", replace(WATCH, input="BytesCoder")),
            [
                "breaks: 'Watch' takes BytesCoder in place of "
                "TupleCoder[VarIntCoder, RecordBatchCoder]"
            ],
        ),
        (
            with_step("Minutes", replace(OLD.steps["Minutes"], window="fixed_windows 30")),
            ["breaks: 'Minutes' is windowed by fixed_windows 30 in place of fixed_windows 60"],
        ),
        (
            with_step("Decode", Step(sides=1)),
            ["breaks: 'Decode' has 1 side inputs in place of 0"],
        ),
        (
            with_step("Read", replace(OLD.steps["Read"], position="PickleCoder")),
            ["breaks: 'Read' has positions PickleCoder, not ProgressCoder"],
        ),
        (
            with_step("Watch", replace(WATCH, timers={**WATCH.timers, "ts-end": "EVENT_TIME"})),
            ["adds: 'Watch' has a new timer 'ts-end', which begins empty"],
        ),
        (with_step("Notify", Step()), ["adds: 'Notify' is new and begins empty"]),
    ],
)
def test_a_difference_is_told_in_words(new, told):
    assert [f"{one.kind}: {one.words}" for one in differences(OLD, new)] == told


def test_what_breaks_is_told_first():
    new = Graph({**without("Read", Look=WATCH).steps, "New": Step()})
    del new.steps["Watch"]
    assert [one.kind for one in differences(OLD, new)] == ["breaks", "map", "adds"]


def test_a_mapping_is_for_what_is_found_again_or_kept_nothing():
    new = Graph({"Look": WATCH, "Sum": Step()})
    found = differences(OLD, new)
    assert mapping(found, OLD, new) == {"Decode": "Sum", "Watch": "Look"}
    assert mapping(differences(OLD, OLD), OLD, OLD) == {}


def test_a_graph_is_read_as_it_was_told():
    assert read_graph(told_graph(OLD), "golden") == OLD
    with pytest.raises(ValueError, match="golden: no graph of a job"):
        read_graph("{}", "golden")


@pytest.mark.job
def test_the_command_says_what_an_update_would_meet(tmp_path):
    file = tmp_path / "running.json"
    given = ["compatible", "--source", "kinesis:telemetry", "--lake", "gs://bucket/lake"]
    runner = CliRunner()
    assert runner.invoke(app, [*given, "--write", str(file)]).exit_code == 0
    same = runner.invoke(app, [*given, "--with", str(file)])
    assert (same.exit_code, same.output) == (
        0,
        "An update can go on from the running job's state.\n",
    )
    threshold = ["--detector-options", '{"event_threshold": 12}']
    assert runner.invoke(app, [*given, *threshold, "--with", str(file)]).exit_code == 0
    other = runner.invoke(app, [*given, "--allowed-lateness", "60", "--with", str(file)])
    assert other.exit_code == 1
    assert "'Summarize/Merge minutes/GroupByKey' is windowed by" in other.output
    other = runner.invoke(app, [*given, "--shards", "64", "--with", str(file)])
    assert other.exit_code == 1
    assert "64 shards in place of 16" in other.output
    other = runner.invoke(app, [*given, "--detector", "moving_average", "--with", str(file)])
    assert other.exit_code == 1
    assert "each device's model is learned anew (detector" in other.output
    renamed = tmp_path / "renamed.json"
    renamed.write_text(file.read_text().replace("Watch/Watch shard", "Watch/Shard"))
    result = runner.invoke(app, [*given, "--with", str(renamed)])
    assert result.exit_code == 1
    assert (
        "--transform_name_mapping="
        '\'{"Watch/Shard/ParDo(WatchShard)":"Watch/Watch shard/ParDo(WatchShard)"}\''
    ) in result.output
