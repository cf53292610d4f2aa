"""Emulators: a stream on loopback that speaks the real service's protocol."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from eddyline.pipeline.live.child import Child, Lost, free_port

SourceKind = Literal["kinesis", "pubsub"]
START = 90.0  # s
NAME = "telemetry"
PARTITIONS = 2
AWS = {
    "AWS_ACCESS_KEY_ID": "emulated",
    "AWS_SECRET_ACCESS_KEY": "emulated",
    "AWS_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Emulated:
    """A stream that is there.

    Args:
        child: The emulator.
        says: What it is, for a person.
        source: As `--source` takes it.
        target: As `simulate --to` takes it.
        environment: The variables by which clients find it.
    """

    child: Child
    says: str
    source: str
    target: str
    environment: dict[str, str]


@contextmanager
def emulated(kind: SourceKind, folder: Path) -> Generator[Emulated]:
    """Start an emulator and make the stream; the process's variables lead to it meanwhile.

    Args:
        kind: Which service.
        folder: Where its log goes.

    Raises:
        Lost: The emulator is not installed, or does not start; the words say what to do.
    """
    made = _STARTS[kind](folder / "emulator.log")
    before = {name: os.environ.get(name) for name in made.environment}
    os.environ.update(made.environment)
    try:
        _MAKES[kind]()
        yield made
    finally:
        made.child.end()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _kinesis(log: Path) -> Emulated:
    if kinesalite := shutil.which("kinesalite"):
        port = free_port()
        command = [kinesalite, "--port", f"{port}", "--createStreamMs", "1", "--shardLimit", "64"]
        child, says = Child("kinesalite", command, log), "Kinesis (kinesalite)"
        child.await_port(port, START)
    else:
        child, port = start_moto(log)
        says = "Kinesis (moto)"
    environment = {**AWS, "AWS_ENDPOINT_URL_KINESIS": f"http://127.0.0.1:{port}"}
    return Emulated(child, says, f"kinesis:{NAME}", f"kinesis:{NAME}", environment)


def start_moto(log: Path) -> tuple[Child, int]:
    """AWS on loopback, and its port.

    Raises:
        Lost: moto is not installed, or does not start; the words say what to do.
    """
    if find_spec("moto") is None or find_spec("flask") is None:
        raise Lost(
            "an emulated Kinesis needs moto: pip install 'moto[server]' (it is among the "
            "developer's dependencies), or kinesalite on the PATH (npm install -g kinesalite)"
        )
    command = [sys.executable, "-m", "eddyline.pipeline.live.moto"]
    child = Child("moto", command, log, listens=True)
    said = child.lines.readline().strip()
    if not said.isdigit():
        child.end()
        raise Lost(f"moto ended at its start; its words are in {log}")
    return child, int(said)


def _make_kinesis() -> None:
    from eddyline.io.aws.client import make_client

    client = make_client("kinesis")
    client.create_stream(StreamName=NAME, ShardCount=PARTITIONS)
    until = time.monotonic() + START
    while time.monotonic() < until:
        description = client.describe_stream_summary(StreamName=NAME)["StreamDescriptionSummary"]
        if description["StreamStatus"] == "ACTIVE":
            return
        time.sleep(0.1)
    raise Lost("the emulated stream did not become active")


PROJECT = "projects/live"


def start_pubsub(log: Path, port: int | None = None) -> tuple[Child, int]:
    """Google's Pub/Sub emulator on loopback, and its port; a free one by default.

    Raises:
        Lost: It is not installed, or does not start; the words say what to do.
    """
    gcloud = shutil.which("gcloud")
    if gcloud is None or shutil.which("java") is None:
        raise Lost("an emulated Pub/Sub needs the Google Cloud SDK and Java")
    program = Path(gcloud).resolve().parents[1] / "platform/pubsub-emulator/bin"
    program /= "cloud-pubsub-emulator"
    if not program.exists():
        raise Lost("an emulated Pub/Sub needs: gcloud components install pubsub-emulator")
    port = port or free_port()
    command = [str(program), "--host=127.0.0.1", f"--port={port}"]
    child = Child("the Pub/Sub emulator", command, log)
    child.await_port(port, START)
    return child, port


def _pubsub(log: Path) -> Emulated:
    child, port = start_pubsub(log)
    return Emulated(
        child,
        "Pub/Sub (Google's emulator)",
        f"pubsub:{PROJECT}/subscriptions/{NAME}",
        f"pubsub:{PROJECT}/topics/{NAME}",
        {"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{port}"},
    )


def _make_pubsub() -> None:
    from google.cloud import pubsub_v1

    topic = f"{PROJECT}/topics/{NAME}"
    publisher: Any = pubsub_v1.PublisherClient()
    publisher.create_topic(name=topic)
    with pubsub_v1.SubscriberClient() as subscriber:
        subscriber.create_subscription(
            request={"name": f"{PROJECT}/subscriptions/{NAME}", "topic": topic}
        )
    publisher.stop()


_STARTS: Mapping[SourceKind, Callable[[Path], Emulated]] = {"kinesis": _kinesis, "pubsub": _pubsub}
_MAKES: Mapping[SourceKind, Callable[[], None]] = {
    "kinesis": _make_kinesis,
    "pubsub": _make_pubsub,
}
