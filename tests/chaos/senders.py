"""How a feed reaches a service: each sender says of every message whether the service has it."""

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.credentials import AnonymousCredentials
from google.cloud.pubsub_v1 import SubscriberClient
from google.pubsub_v1 import PublisherClient

MAX_BYTES = 4 * 2**20  # of a request; Kinesis takes 5 MiB with the keys


class ToKinesis:
    """Puts records into a new stream; the device is the partition key."""

    def __init__(self, client, stream, shards=2):
        self.client, self.stream = client, stream
        self.source = f"kinesis:{stream}"
        client.create_stream(StreamName=stream, ShardCount=shards)
        client.get_waiter("stream_exists").wait(
            StreamName=stream, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
        )

    def __call__(self, messages):
        some, size = [], 0
        for message in messages:
            if some and (len(some) == 400 or size + len(message.payload) > MAX_BYTES):
                self._put(some)
                some, size = [], 0
            some.append({"Data": message.payload, "PartitionKey": message.key[:256] or "-"})
            size += len(message.payload)
        self._put(some)
        return [True] * len(messages)

    def _put(self, records):
        answer = self.client.put_records(StreamName=self.stream, Records=records)
        assert not answer["FailedRecordCount"]


class ToPubSub:
    """Publishes to a topic; a publish that fails may have been stored all the same."""

    PROJECT = "projects/chaos"

    def __init__(self, name, patience=5.0):
        self.topic = f"{self.PROJECT}/topics/{name}"
        self.subscription = f"{self.PROJECT}/subscriptions/{name}"
        self.source = f"pubsub:{self.subscription}"
        self.patience = patience
        self.create()

    def create(self):
        """The topic and its subscription; also after an emulator that lost them."""
        # The plain client: one request a batch, so that its fate is known. And a new one: one that
        # has lost its emulator takes up to two minutes to look again.
        self.client = PublisherClient(credentials=AnonymousCredentials())
        self.client.create_topic(name=self.topic, timeout=20)
        with SubscriberClient() as subscriber:
            subscriber.create_subscription(
                name=self.subscription, topic=self.topic, ack_deadline_seconds=10, timeout=20
            )

    def __call__(self, messages):
        wanted = [{"data": m.payload, "attributes": {"device_id": m.key[:256]}} for m in messages]
        try:
            self.client.publish(
                request={"topic": self.topic, "messages": wanted},
                timeout=self.patience,
                retry=None,
            )
        except (GoogleAPICallError, RetryError):
            return [False] * len(messages)
        return [True] * len(messages)

    def close(self):
        self.client.transport.close()
