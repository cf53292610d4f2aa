"""The job as Dataflow would get it, translated offline: steps, requirement, coders, no secret."""

import base64
import binascii
import bz2
import os
import re
import zlib
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.portability import common_urns

from eddyline.pipeline.compatibility import Graph, differences, read_graph, told_graph
from eddyline.pipeline.graph import steps_of
from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.summarize import PartsCoder

pytestmark = pytest.mark.job
GOLDEN = Path(__file__).parent / "golden"
PUBSUB = "pubsub:projects/a-project/subscriptions/"
GIVEN = {
    "pubsub": {"source": PUBSUB + "telemetry", "feedback": PUBSUB + "control"},
    "kinesis": {
        "source": "kinesis:telemetry",
        "feedback": "kinesis:control",
        "results": {"incidents": "kinesis:incidents"},
        "warehouse": "a-project.telemetry",
    },
    "bounded": {"source": "gs://bucket/in/*.jsonl", "export_state": True},
}
STREAMING = ("pubsub", "kinesis")
FLAGS = [
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--no_auth",
    "--project=a-project",
    "--region=europe-west1",
    "--temp_location=gs://bucket/temp",
    "--staging_location=gs://bucket/staging",
]
PLAIN = (
    coders.BytesCoder,
    coders.StrUtf8Coder,
    coders.VarIntCoder,
    RecordBatchCoder,
    PartsCoder,
)
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEYID0001",
    "AWS_SECRET_ACCESS_KEY": "planted+aws+secret+0002",
    "AWS_SESSION_TOKEN": "planted-aws-session-0003",
    "GOOGLE_APPLICATION_CREDENTIALS": "/planted/google-key-0004.json",
    "SLACK_TOKEN": "xoxb-planted-slack-0005",
    "SMTP_PASSWORD": "planted-smtp-password-0006",
}
POLICY = """
channels:
  chat: {kind: slack, channel: "#alarms", token: {secret: "env:SLACK_TOKEN"}}
routes:
  - to: [chat]
"""


@pytest.fixture(scope="module", params=list(GIVEN))
def translated(request):
    settings = settings_of({"lake": "gs://bucket/lake", **GIVEN[request.param]})
    prepared = prepare(settings, beam_options(FLAGS))
    proto, context = prepared.pipeline.to_runner_api(return_context=True)
    return request.param, prepared, proto, context


def test_a_running_job_of_the_last_release_can_be_updated(translated):
    """The golden files are the last release's graphs; what is only new is fine."""
    kind, prepared, _, _ = translated
    golden, graph = GOLDEN / f"graph_{kind}.json", Graph(steps_of(prepared.pipeline))
    if os.environ.get("EDDYLINE_RENEW_GOLDEN"):
        golden.write_text(told_graph(graph))
    found = differences(read_graph(golden.read_text(), golden.name), graph)
    told = [f"{one.kind}: {one.words}" for one in found if one.kind != "adds"]
    assert not told, (
        "A running job cannot be updated to this as it is. If that is meant, renew with "
        "EDDYLINE_RENEW_GOLDEN=1 and say so in CHANGELOG.md."
    )


def test_the_job_says_that_it_needs_state_timers_and_splitting(translated):
    kind, _, proto, _ = translated
    needed = common_urns.requirements
    assert needed.REQUIRES_STATEFUL_PROCESSING.urn in proto.requirements
    splits = needed.REQUIRES_SPLITTABLE_DOFN.urn in proto.requirements
    assert splits == (kind == "kinesis")  # of Pub/Sub it is Dataflow's own read


def test_the_steps_are_those_of_the_picture(translated):
    kind, prepared, _, _ = translated
    steps = steps_of(prepared.pipeline)
    keep = {name for name, step in steps.items() if step.states}
    assert "Lake/Commit" in keep
    reads = {name for name in steps if name.startswith("Read/")}
    assert any("Read subscription" in name for name in reads) == (kind == "pubsub")
    assert any(steps[name].position for name in reads) == (kind == "kinesis")
    if kind in STREAMING:
        boxes = {name.split("/")[0] for name in keep}
        assert boxes >= {"Watch", "Summarize", "Group storms", "Notify", "Lake"}
        assert steps["Watch/Watch shard/ParDo(WatchShard)"].states == {
            "fleet": "read_modify_write of BytesCoder",
            "fleet_log": "bag of BytesCoder",
            "fleet_mark": "read_modify_write of BytesCoder",
        }
        assert any(name.startswith("Feedback/") for name in steps)


def parts(coder: coders.Coder) -> list[coders.Coder]:
    """The coders of the values inside, tuples taken apart."""
    inner = coder._get_component_coders() if not isinstance(coder, PLAIN) else []
    return [p for c in inner for p in parts(c)] if inner else [coder]


def test_every_shuffled_value_has_a_coder_of_its_own_and_none_is_pickled(translated):
    _, prepared, proto, context = translated
    ours = {
        name
        for name, step in steps_of(prepared.pipeline).items()
        if step.states or (step.shuffles and not name.startswith(("Read/Spread", "Read feedback")))
    }
    shuffled = [
        (transform.unique_name, i)
        for transform in proto.components.transforms.values()
        if transform.unique_name in ours
        for i in transform.inputs.values()
    ]
    assert shuffled
    for step, collection in shuffled:
        coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
        for part in parts(coder):
            assert isinstance(part, PLAIN), f"{step}: {part!r}"


def test_a_dry_run_ends_well_and_writes_nothing(translated):
    _, prepared, _, _ = translated
    assert isinstance(prepared, Prepared)
    assert prepared.run().succeeded


def opened(content: bytes, depth: int = 4) -> bytes:
    """Bytes with all that is packed inside them, as Beam packs pickles: base64 of bz2 or zlib."""
    whole = [content]
    for packed in re.findall(rb"[A-Za-z0-9+/]{40,}={0,2}", content) if depth else []:
        try:
            inside = base64.b64decode(packed, validate=True)
        except binascii.Error:
            continue
        for unpack in (bz2.decompress, zlib.decompress):
            try:
                whole.append(opened(unpack(inside), depth - 1))
            except (OSError, ValueError, EOFError, zlib.error):
                continue
    return b"\n".join(whole)


class Holds(beam.DoFn):
    def __init__(self, secret):
        self.secret = secret

    def process(self, element):
        yield element


def test_a_planted_secret_would_be_found():
    job = beam.Pipeline(options=beam_options(FLAGS))
    _ = job | beam.Create([1]) | beam.ParDo(Holds(SECRETS["SLACK_TOKEN"]))
    whole = opened(job.to_runner_api().SerializeToString())
    assert SECRETS["SLACK_TOKEN"].encode() in whole
    assert SECRETS["SMTP_PASSWORD"].encode() not in whole


@pytest.mark.parametrize("kind", list(GIVEN))
def test_no_secret_is_in_the_graph(kind, monkeypatch, tmp_path):
    """Workers take credentials from where they run; a policy holds references alone."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    given = {"lake": "s3://bucket/lake", "policy": str(policy), **GIVEN[kind]}
    prepared = prepare(settings_of(given), beam_options(FLAGS))
    whole = opened(prepared.pipeline.to_runner_api().SerializeToString())
    assert b"policy.yaml" in whole  # it was opened far enough to see what a step holds
    assert [name for name, value in SECRETS.items() if value.encode() in whole] == []
