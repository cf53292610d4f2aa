"""Results into a Pub/Sub topic."""

import os
from collections.abc import Sequence

import grpc
from google.pubsub_v1 import PublisherClient, PubsubMessage
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from eddyline.io.results.chunks import Limits, send_in_chunks
from eddyline.io.results.encode import Result
from eddyline.io.rows.google_errors import ANSWERS, is_rows_fault, may_pass
from eddyline.io.rows.resend import Outcome, Problem

# A publish request takes 1,000 messages and 10 MB.
LIMITS = Limits(1000, 9_000_000, 9_000_000)
OVERHEAD = 64
TIMEOUT = 30.0


class PubSubPublisher:
    """Publishes results to a topic, a request at a time.

    Guarantee: at least once, each message with its result's id in the attribute `id`; Dataflow and
    others can drop repeats by it. Where `ordered`, the device is the ordering key: a subscription
    with ordering gets a device's rows in their order.

    Google's publisher client batches in threads of its own and reports by futures; a bundle is a
    batch already and must know what became of it before it ends, so the plain call is used.

    Args:
        name: projects/PROJECT/topics/NAME. Google's default credentials; `PUBSUB_EMULATOR_HOST`
            names an emulator.
        ordered: Give each message its device as ordering key.
    """

    def __init__(self, name: str, *, ordered: bool) -> None:
        self._topic, self._ordered = name, ordered
        if host := os.environ.get("PUBSUB_EMULATOR_HOST"):
            transport = PublisherGrpcTransport(channel=grpc.insecure_channel(host))
            self._client = PublisherClient(transport=transport)
        else:
            self._client = PublisherClient()

    def attempt(self, results: Sequence[Result]) -> Outcome[Result]:
        """Send once."""
        return send_in_chunks(results, _size, LIMITS, self._publish)

    def close(self) -> None:
        """Close the connections."""
        self._client.transport.close()

    def _publish(self, results: Sequence[Result]) -> Outcome[Result]:
        messages = [
            PubsubMessage(
                data=result.body,
                attributes=result.attributes,
                ordering_key=result.device_id if self._ordered else "",
            )
            for result in results
        ]
        try:
            self._client.publish(
                topic=self._topic,
                messages=messages,
                retry=None,  # pyright: ignore[reportArgumentType] documented: none of its own
                timeout=TIMEOUT,
            )
        except ANSWERS as error:
            problems = [Problem(result, "undelivered", str(error)) for result in results]
            if may_pass(error):
                return Outcome(again=problems)
            if is_rows_fault(error) and len(results) > 1:
                half = LIMITS._replace(messages=len(results) // 2)
                return send_in_chunks(results, _size, half, self._publish)
            return Outcome(refused=problems)
        return Outcome()


def _size(result: Result) -> int:
    attributes = sum(len(name) + len(value) for name, value in result.attributes.items())
    return len(result.body) + attributes + len(result.device_id.encode()) + OVERHEAD
