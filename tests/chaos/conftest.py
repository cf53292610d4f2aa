"""The harness of the chaos table: a job on Prism, a feed of known truth, faults, an auditor."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))  # last; `chaos` is imported from there

from chaos.audit import audit as audit_of  # noqa: E402
from chaos.emulators import Moto, PubSubEmulator  # noqa: E402
from chaos.feed import Feed  # noqa: E402
from chaos.job import Running  # noqa: E402
from chaos.proxy import Proxy  # noqa: E402
from chaos.recovery import Recovery  # noqa: E402
from chaos.senders import ToKinesis, ToPubSub  # noqa: E402


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """AWS on loopback in a process of its own."""
    server = Moto(tmp_path_factory.mktemp("moto") / "moto.log")
    yield server
    server.close()


@pytest.fixture(scope="session")
def aws_here(moto):
    """This process, too, finds the emulated AWS: to look into a lake on S3."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        yield moto


@pytest.fixture(scope="module")
def running(prism, tmp_path_factory):
    """Makes a job: `running(source, environment, settings, lake).start()`; killed at the end."""
    made = []

    def make(source, environment=None, settings=(), lake=None):
        folder = tmp_path_factory.mktemp("job")
        made.append(Running(prism, folder, source, environment, settings, lake))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def feed():
    """Makes a feed: `with feed(sender, rate=240, ...) as feed`; see `Feed`."""
    made = []

    def make(send, **more):
        made.append(Feed(send, **more))
        return made[-1]

    yield make
    for one in made:
        if one._thread.ident is not None:
            one._stop.set()
            one._thread.join()


@pytest.fixture(scope="module")
def proxy():
    """Makes a proxy that can be told to fail: `proxy(upstream_url)`."""
    made = []

    def make(upstream):
        made.append(Proxy(upstream))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def recovery():
    """Measures an outage: `recovery(running, feed)`; see `Recovery`."""
    return Recovery


@pytest.fixture(scope="session")
def audit():
    """Audits a drained job: `audit(running, feed)`."""
    return audit_of


@pytest.fixture(scope="session")
def to_kinesis(moto):
    """Makes a stream and its sender: `to_kinesis("name")`."""
    return lambda stream, shards=2: ToKinesis(moto.client("kinesis"), stream, shards)


@pytest.fixture
def pubsub(tmp_path_factory, monkeypatch):
    """The Pub/Sub emulator, which can be killed and started again."""
    emulator = PubSubEmulator(tmp_path_factory.mktemp("pubsub") / "emulator.log")
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    yield emulator
    emulator.close()


@pytest.fixture
def to_pubsub(pubsub):
    """Makes a topic with its subscription, and their sender."""
    made = []

    def make(name):
        made.append(ToPubSub(name))
        return made[-1]

    yield make
    for one in made:
        one.close()
