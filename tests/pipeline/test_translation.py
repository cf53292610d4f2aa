"""The job as Dataflow would get it, translated offline: steps, requirement, coders."""

import os
from pathlib import Path

import pytest
from apache_beam import coders
from apache_beam.portability import common_urns

from eddyline.pipeline.options import beam_options
from eddyline.pipeline.run import Prepared, prepare
from eddyline.pipeline.settings import settings_of
from eddyline.transforms.coder import RecordBatchCoder
from eddyline.transforms.summarize import PartsCoder

pytestmark = pytest.mark.job
GOLDEN = Path(__file__).parent / "golden"
SOURCES = {
    "streaming": "pubsub:projects/a-project/subscriptions/telemetry",
    "bounded": "gs://bucket/in/*.jsonl",
}
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


@pytest.fixture(scope="module", params=list(SOURCES))
def translated(request):
    settings = settings_of({"source": SOURCES[request.param], "lake": "gs://bucket/lake"})
    prepared = prepare(settings, beam_options(FLAGS))
    proto, context = prepared.pipeline.to_runner_api(return_context=True)
    return request.param, prepared, proto, context


def own_steps(proto) -> list[str]:
    """Names of our steps: a composite's inner steps that Beam names are Beam's own matter."""
    names = {transform.unique_name for transform in proto.components.transforms.values()}
    steps = {"/".join(name.split("/")[:2]) for name in names}
    return sorted(step for step in steps if step and not step.startswith("ref_"))


def test_step_names_are_those_of_the_golden_file(translated):
    kind, _, proto, _ = translated
    golden = GOLDEN / f"steps_{kind}.txt"
    steps = "\n".join(own_steps(proto)) + "\n"
    if os.environ.get("EDDYLINE_RENEW_GOLDEN"):
        golden.write_text(steps)
    assert steps == golden.read_text(), (
        "Step names are what a running job's state hangs on: a renamed step cannot be updated. "
        "If that is meant, renew with EDDYLINE_RENEW_GOLDEN=1 and say so in CHANGELOG.md."
    )


def test_the_job_says_that_it_needs_state_and_timers(translated):
    kind, _, proto, _ = translated
    assert common_urns.requirements.REQUIRES_STATEFUL_PROCESSING.urn in proto.requirements
    stateful = {
        transform.unique_name
        for transform in proto.components.transforms.values()
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn
        and common_urns.requirements.REQUIRES_STATEFUL_PROCESSING.urn in proto.requirements
        and b"state" in transform.spec.payload.lower()
    }
    assert any(name.startswith("Lake/Commit") for name in stateful)
    assert any(name.startswith("Watch/Watch shard") for name in stateful) == (kind == "streaming")


def parts(coder: coders.Coder) -> list[coders.Coder]:
    """The coders of the values inside, tuples taken apart."""
    inner = coder._get_component_coders() if not isinstance(coder, PLAIN) else []
    return [p for c in inner for p in parts(c)] if inner else [coder]


def test_every_shuffled_value_has_a_coder_of_its_own_and_none_is_pickled(translated):
    _, _, proto, context = translated
    shuffled = []
    for transform in proto.components.transforms.values():
        grouped = transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn
        stateful = transform.unique_name.startswith(("Lake/Gather", "Lake/Commit", "Watch/Watch"))
        if (grouped or stateful) and not transform.unique_name.startswith("Read/Spread"):
            shuffled += [(transform.unique_name, i) for i in transform.inputs.values()]
    assert shuffled
    for step, collection in shuffled:
        coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
        for part in parts(coder):
            assert isinstance(part, PLAIN), f"{step}: {part!r}"


def test_a_dry_run_ends_well_and_writes_nothing(translated):
    _, prepared, _, _ = translated
    assert isinstance(prepared, Prepared)
    assert prepared.run().succeeded
