"""Readings to score, and an endpoint on this machine that does as it is told."""

import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest

CHANNELS = ("temperature", "open")


class Told:
    """What the server shall do, request by request, and what it was sent."""

    def __init__(self):
        self.plan = []
        self.bodies, self.headers = [], []
        self.released = threading.Event()

    def rows(self):
        return [instance for body in self.bodies for instance in body["instances"]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and content in one packet

    def do_POST(self):
        told = self.server.told
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told.bodies.append(body)
        told.headers.append(dict(self.headers))
        step = told.plan.pop(0) if told.plan else "score"
        if step == "reset":
            # With nothing lingering a close is a reset.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True
            return
        if step == "hang":
            told.released.wait(30)
            self.close_connection = True
            return
        if step == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not told.released.wait(0.05):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    break
            self.close_connection = True
            return
        status, headers, answer = step if isinstance(step, tuple) else (200, {}, step)
        if callable(answer):
            status, answer = answer(body["instances"])
        if answer == "score":
            answer = {"predictions": [(i["temperature"] or 0) / 100 for i in body["instances"]]}
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that gave up


@pytest.fixture
def server():
    """The endpoint; `server.told.plan` is what it does with the next requests."""
    server = Server(("127.0.0.1", 0), Handler)
    server.told = Told()
    server.url = f"http://127.0.0.1:{server.server_port}/score"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.told.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def readings():
    """So many readings, of 0, 1, 2, ... °C."""

    def make(number):
        return pa.RecordBatch.from_pydict(
            {
                "device_id": [f"room-{row}" for row in range(number)],
                "temperature": [float(row) for row in range(number)],
                "open": [None if row % 3 else True for row in range(number)],
            }
        )

    return make


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hold():
    """That an answer is complete: a score or a failure for each row."""

    def check(answer, rows):
        assert len(answer.scores) == rows
        missing = {row for row, score in enumerate(answer.scores.tolist()) if score != score}
        assert missing == set(answer.failures)
        return {failure.reason for failure in answer.failures.values()}

    return check


@pytest.fixture
def patience():
    """Fail where something takes longer than it may."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 10
