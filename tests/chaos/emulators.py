"""The services that a job talks to, each a process of its own that can be killed and come back."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from chaos.waiting import free_port, listens, wait_until

REGION = "eu-central-1"


class Moto:
    """AWS on loopback: Kinesis, S3 and the rest.

    Attributes:
        url: Where it is.
        environment: The variables by which a job finds it; `through(url)` leads by a proxy.
    """

    def __init__(self, log):
        self.log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "eddyline.pipeline.live.moto"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.port = int(self.process.stdout.readline())
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
        self.process.stdin.close()  # it ends by that
        self.process.wait(20)
        self.process.stdout.close()
        self.log.close()


class PubSubEmulator:
    """Google's emulator, which keeps everything in memory: killed, it has lost it all."""

    def __init__(self):
        gcloud = shutil.which("gcloud")
        folder = Path(gcloud or ".").resolve().parents[1] / "platform" / "pubsub-emulator"
        self.program = folder / "bin" / "cloud-pubsub-emulator"
        if not (gcloud and self.program.exists() and shutil.which("java")):
            pytest.skip("needs java and `gcloud components install pubsub-emulator`")
        self.port = free_port()
        self.environment = {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{self.port}"}
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--host=127.0.0.1", f"--port={self.port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it is a script that starts another one
        )
        wait_until(lambda: listens(self.port), 60, "the Pub/Sub emulator")

    def kill(self):
        """`kill -9`, of the script and of the server that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not listens(self.port), 10, "the Pub/Sub emulator's end")

    def close(self):
        if self.process.poll() is None:
            self.kill()
