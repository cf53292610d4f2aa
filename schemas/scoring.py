"""What passes between the job and an endpoint that scores readings."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ScoringReason = Literal[
    "timeout",
    "unreachable",
    "throttled",
    "endpoint_error",
    "refused",
    "bad_response",
    "bad_score",
    "endpoint_down",
]
"""Why a reading got no score:

- `timeout`: no answer in time; `unreachable`: no connection, or it broke;
- `throttled`: too many requests, by the endpoint's word; `endpoint_error`: the endpoint failed;
- `refused`: the endpoint does not take the request, or not from us;
- `bad_response`: the answer is no JSON of the agreed form, or of another number of readings;
- `bad_score`: the answer's score of this reading is no finite number;
- `endpoint_down`: it was not asked, because it had just failed.
"""


class Failure(NamedTuple):
    """Why one reading got no score: a code, and the error in words."""

    reason: ScoringReason
    error: str


class Answer(NamedTuple):
    """What became of a batch of readings: a score, or a failure, for each."""

    scores: NDArray[np.float64]
    """NaN exactly where there is a failure."""
    failures: dict[int, Failure]
    """By row."""


class Scorer(Protocol):
    """A connection to a scoring endpoint; several threads use one at a time."""

    def score(self, readings: pa.RecordBatch) -> Answer:
        """Score each reading; never raises for what the endpoint or the network does."""
        ...


class ScoringEndpoint(Protocol):
    """Where to score: settings that travel to the workers."""

    def connect(self, channels: Sequence[str]) -> Scorer:
        """Connect, on a worker; nothing is sent yet."""
        ...
