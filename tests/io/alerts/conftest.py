"""Alerts to send, and an HTTP peer that answers as it is told."""

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from eddyline.schemas.alert import Alert
from eddyline.schemas.alert_channel import MessageSettings
from eddyline.transforms.alerts.alert_message import Wording, example


@dataclass
class Request:
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Peer:
    """An HTTP server; `answers` says what it does next, the last of them from then on.

    An answer is a status, (status, headers), (status, headers, body), "hang" or "reset".
    """

    url: str = ""
    answers: list = field(default_factory=lambda: [200])
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, request):
        with self.lock:
            self.requests.append(request)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def http_peer(*answers):
    peer = Peer(answers=list(answers or [200]))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = peer.next(Request(self.path, headers, body))
            if answer == "hang":
                peer.released.wait(30)
                self.close_connection = True
                return
            if answer == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
                return
            status, headers, content = (answer, {}, b"ok") if isinstance(answer, int) else answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def finish(self):
            try:
                super().finish()
            except OSError:
                self.wfile._sock = None  # it was reset by us

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    peer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def start_peer():
    """Start HTTP peers; they are stopped when the test ends."""
    stack = []

    def start(*answers):
        context = http_peer(*answers)
        stack.append(context)
        return context.__enter__()

    yield start
    for context in stack:
        context.__exit__(None, None, None)


@pytest.fixture
def alert():
    """An alert of the example incident, for a transition."""
    wording = Wording(MessageSettings(dashboard="https://dash.example/incidents/{incident_id}"))

    def make(transition="opened", revision=0, channel="test"):
        incident = example(transition, revision=revision)
        return Alert(channel=channel, incident=incident, message=wording.message(incident))

    return make


@pytest.fixture(scope="session")
def authority():
    """A certificate authority of this test run."""
    return trustme.CA()


@pytest.fixture
def until():
    """Wait for something that comes soon, at most ten seconds."""

    def wait(met):
        end = time.monotonic() + 10
        while not met():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.01)

    return wait
