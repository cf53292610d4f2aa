"""The services that a job talks to, each a process of its own that can be killed and come back."""

import os

import boto3
import pytest
from chaos.waiting import listens, wait_until

from eddyline.pipeline.live.child import Lost
from eddyline.pipeline.live.emulators import start_moto, start_pubsub

REGION = "eu-central-1"


class Moto:
    """AWS on loopback: Kinesis, S3 and the rest.

    Attributes:
        url: Where it is.
        environment: The variables by which a job finds it; `through(url)` leads by a proxy.
    """

    def __init__(self, log):
        self.child, self.port = start_moto(log)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self.through(self.url)

    def through(self, url):
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service):
        """A client that goes straight to it, whatever stands in the job's way."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def close(self):
        self.child.end()


class PubSubEmulator:
    """Google's emulator, which keeps everything in memory: killed, it has lost it all."""

    def __init__(self, log):
        self.log = log
        try:
            self.child, self.port = start_pubsub(log)
        except Lost as reason:
            pytest.skip(str(reason))
        self.environment = {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self.port}"}

    def start(self):
        """Start it again, where it was."""
        self.child, _ = start_pubsub(self.log, self.port)

    def kill(self):
        """`kill -9`, of the script and of the server that it started."""
        self.child.end(hard=True)
        wait_until(lambda: not listens(self.port), 10, "the Pub/Sub emulator's end")

    def close(self):
        self.child.end()
