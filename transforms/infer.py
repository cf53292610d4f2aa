"""Infer: the scores of an endpoint, before the readings come to their device's state."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.pvalue import TaggedOutput
from apache_beam.typehints.decorators import IOTypeHints
from xxhash import xxh3_64_hexdigest

from eddyline.detectors.endpoint import GIVEN_SCORE
from eddyline.schemas.arrow import arrow_schema
from eddyline.schemas.record import Contract
from eddyline.schemas.scoring import Answer, Scorer, ScoringEndpoint
from eddyline.transforms.counts import count

STAGE = "score"
_SENT = ("message_id", "firmware")
_ORIGIN = ("arrival_time", "source", "position")


class Inferred(NamedTuple):
    """A batch of readings with what the endpoint said of it.

    Args:
        readings: All of them, in their order, with the column `given_score`: null where there is
            none.
        dead_letters: One for each reading without a score.
    """

    readings: pa.RecordBatch
    dead_letters: pa.RecordBatch


class InferredOutputs(NamedTuple):
    """What `Infer` gives."""

    readings: beam.PCollection[pa.RecordBatch]
    dead_letters: beam.PCollection[pa.RecordBatch]


def infer(readings: pa.RecordBatch, answer: Answer, contract: Contract) -> Inferred:
    """Put an endpoint's answer beside the readings.

    Guarantee: every reading stays, in its order; those without a score, and no others, also have a
    dead letter, with what was measured as a message that can be sent again.

    Args:
        readings: Enriched readings.
        answer: Of the endpoint, for these readings.
        contract: The declared channels.
    """
    given = pa.array(answer.scores, pa.float64(), from_pandas=True)
    scored = readings.append_column(pa.field(GIVEN_SCORE, pa.float64()), given)
    rows = sorted(answer.failures)
    failures = [answer.failures[row] for row in rows]
    failed = readings.take(pa.array(rows, pa.int64()))
    columns = {
        **{name: failed.column(name) for name in _ORIGIN},
        "stage": pa.array([STAGE] * len(rows), pa.string()),
        "reason": pa.array([failure.reason for failure in failures], pa.string()),
        "path": pa.nulls(len(rows), pa.string()),
        "error": pa.array([failure.error for failure in failures], pa.string()),
        "payload": pa.array(_payloads(failed, contract), pa.binary()),
        "attributes": pa.array([[]] * len(rows), _DEAD_LETTER_ATTRIBUTES),
    }
    schema = arrow_schema(contract.record("dead_letter"))
    return Inferred(scored, pa.RecordBatch.from_pydict(columns, schema=schema))


_DEAD_LETTER_ATTRIBUTES = pa.map_(pa.string(), pa.field("value", pa.string(), nullable=False))


def _payloads(readings: pa.RecordBatch, contract: Contract) -> list[bytes]:
    """Each reading as the JSON message that it could have come in."""
    channels = [channel.name for channel in contract.channels]
    names = ["device_id", "event_time", *_SENT, *channels]
    undeclared = readings.column("attributes").to_pylist()
    return [
        msgspec.json.encode(
            {
                **(msgspec.json.decode(more) if more else {}),
                **{name: value for name, value in row.items() if value is not None},
            }
        )
        for row, more in zip(readings.select(names).to_pylist(), undeclared, strict=True)
    ]


@dataclass
class Infer(beam.PTransform):
    """Ask an endpoint for the score of each reading, through Beam's `RunInference`.

    Guarantee: see `infer`; what leaves keeps its batch's time. It stands before `Watch`, because
    asking may take long and fail, and a shard's state should not wait for it. So repeated and late
    readings are asked for too, and a bundle that is tried again asks again.

    Counters: `endpoint_scores`, `endpoint_failures`, `endpoint_<reason>`, and those of
    `RunInference`, among them `inference_request_latency` and `inference_batch_size`.

    Args:
        contract: The declared channels.
        endpoint: Where to score.
    """

    contract: Contract
    endpoint: ScoringEndpoint

    def __post_init__(self) -> None:
        super().__init__()

    def default_type_hints(self) -> IOTypeHints:
        """Give none: Beam has no form for several outputs and would warn of ours."""
        return IOTypeHints.empty()

    def expand(self, readings: beam.PCollection[pa.RecordBatch]) -> InferredOutputs:
        """Wire it."""
        # By default the identifier is random, and the job's graph another one at each start.
        identifier = xxh3_64_hexdigest(repr(self.endpoint).encode())
        outputs: Any = (
            readings
            | "Ask endpoint"
            >> RunInference(AskEndpoint(self.contract, self.endpoint), model_identifier=identifier)
            | "Part answers"
            >> beam.ParDo(PartAnswers())
            .with_output_types(pa.RecordBatch, dead_letters=pa.RecordBatch)
            .with_outputs("dead_letters", main="readings")
        )
        return InferredOutputs(outputs.readings, outputs.dead_letters)


class AskEndpoint(ModelHandler[pa.RecordBatch, Inferred, Scorer]):
    """The endpoint as a model: one element is a batch of readings and so is one prediction.

    Not Beam's `RemoteModelHandler`, whose tries wait at least 5 seconds, do not hear `Retry-After`
    and end in the failure of the bundle.
    """

    def __init__(self, contract: Contract, endpoint: ScoringEndpoint) -> None:
        super().__init__()
        self.contract, self.endpoint = contract, endpoint

    def load_model(self) -> Scorer:
        """Connect, once a process."""
        return self.endpoint.connect([channel.name for channel in self.contract.channels])

    def run_inference(
        self,
        batch: Sequence[pa.RecordBatch],
        model: Scorer,
        inference_args: dict[str, Any] | None = None,  # noqa: ARG002 Beam's signature
    ) -> Sequence[Inferred]:
        """Ask for one batch of readings."""
        readings: Any = batch  # because of `should_skip_batching`
        return [infer(readings, model.score(readings), self.contract)]

    def should_skip_batching(self) -> bool:
        """The readings come in batches already."""
        return True

    def get_num_bytes(self, batch: Sequence[pa.RecordBatch]) -> int:
        """Bytes of the batch, where Beam would pickle it to know."""
        readings: Any = batch
        return readings.nbytes

    def get_metrics_namespace(self) -> str:
        """Beside the job's other counters."""
        return "eddyline"


class PartAnswers(beam.DoFn):
    """Parts readings and dead letters, and counts."""

    def process(self, inferred: Inferred) -> Iterator[Any]:
        """Part one batch."""
        failed = inferred.dead_letters.num_rows
        count("endpoint_scores", inferred.readings.num_rows - failed)
        count("endpoint_failures", failed)
        for reason, number in Counter(inferred.dead_letters.column("reason").to_pylist()).items():
            count(f"endpoint_{reason}", number)
        yield inferred.readings
        if failed:
            yield TaggedOutput("dead_letters", inferred.dead_letters)
