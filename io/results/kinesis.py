"""Results into a Kinesis data stream."""

from collections.abc import Sequence
from typing import Any

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES, passes
from eddyline.io.results.chunks import Limits, send_in_chunks
from eddyline.io.results.encode import Result
from eddyline.io.rows.resend import Outcome, Problem

# PutRecords takes 500 records and 5 MiB; a record, with its key, 1 MiB.
LIMITS = Limits(500, 5 * 2**20, 2**20)


class KinesisPublisher:
    """Puts results into a stream; the partition key is the device, so its rows share a shard.

    Guarantee: at least once. Kinesis knows no ids: a reader drops repeats by the row's own key. It
    takes single records of a request, so after a throttled one a device's order may be broken; the
    rows' event times and revisions tell it.

    Args:
        name: The stream's name or ARN. Credentials and region by boto3's chain.
    """

    def __init__(self, name: str) -> None:
        self._stream = {"StreamARN" if name.startswith("arn:") else "StreamName": name}
        self._client: Any = make_client("kinesis")

    def attempt(self, results: Sequence[Result]) -> Outcome[Result]:
        """Send once."""
        return send_in_chunks(results, _size, LIMITS, self._put)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _put(self, results: Sequence[Result]) -> Outcome[Result]:
        records = [{"Data": result.body, "PartitionKey": _key(result)} for result in results]
        try:
            answer = self._client.put_records(**self._stream, Records=records)
        except TROUBLES as error:
            problems = [Problem(result, "undelivered", str(error)) for result in results]
            return Outcome(again=problems) if passes(error) else Outcome(refused=problems)
        return Outcome(
            again=[
                Problem(result, "undelivered", f"{told['ErrorCode']}: {told.get('ErrorMessage')}")
                for result, told in zip(results, answer["Records"], strict=True)
                if told.get("ErrorCode")
            ]
        )


def _key(result: Result) -> str:
    return result.device_id or result.result_id


def _size(result: Result) -> int:
    return len(result.body) + len(_key(result).encode())
