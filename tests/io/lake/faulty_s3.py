"""S3 on loopback that can be told to fail: a proxy before moto, that knows what moto was asked.

Fails closed: what it does not understand is an error for the client, and stands in `violations`.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
ANSWERS = {
    "denied": (403, "AccessDenied"),
    "expired": (400, "ExpiredToken"),
    "busy": (503, "SlowDown"),
    "broken": (500, "InternalError"),
    "throttled": (429, "TooManyRequests"),
    "no bucket": (404, "NoSuchBucket"),
    "elsewhere": (301, "PermanentRedirect"),
}


class FaultyS3:
    """Forwards to an S3 server, unless its rule says otherwise.

    Attributes:
        url: Where it listens.
        rule: Given method and path, one of `ANSWERS`, "drop" to hang up without an answer, either
            behind "done, " to do what was asked and fail all the same, or "" to forward.
        refused: How many requests failed by the rule.
        violations: What it could not forward.
    """

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.rule: Callable[[str, str], str] = lambda _method, _path: ""
        self.refused = 0
        self.violations: list[str] = []
        self.port = 0
        self._connections: set[socket.socket] = set()
        self._listen()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def away(self):
        """Nobody listens, and who was connected is hung up on."""
        self.close()
        try:
            yield
        finally:
            self._listen()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            with suppress(OSError):  # a close alone leaves the handler's own files open
                connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.s3 = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def forward(self, method, path, headers, body):
        connection = HTTPConnection("127.0.0.1", self.upstream, timeout=30)
        try:
            kept = {n: v for n, v in headers.items() if n.lower() not in OF_ONE_HOP}
            connection.request(method, path, body, {**kept, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, HTTPException) as error:
            self.violations.append(f"{method} {path}: {error!r}")
            return 502, [], b""
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request, client_address) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.server.s3._connections.add(self.connection)

    def finish(self) -> None:
        self.server.s3._connections.discard(self.connection)
        super().finish()

    def _handle(self) -> None:
        s3 = self.server.s3
        body = self._body()
        fault = s3.rule(self.command, self.path)
        s3.refused += bool(fault)
        last = fault.removeprefix("done, ")
        if not fault or last != fault:
            answer = s3.forward(self.command, self.path, self.headers, body)
        if last == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif last:
            status, code = ANSWERS[last]
            words = (
                f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>words</Message></Error>"
            )
            self._answer(status, [("Content-Type", "application/xml")], words.encode())
        else:
            self._answer(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 the standard's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status, headers, body) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in OF_ONE_HOP:
                self.send_header(name, value)
        # Of a HEAD the length of what is not sent is the answer: how large is the object?
        told = [value for name, value in headers if name.lower() == "content-length"]
        length = told[0] if self.command == "HEAD" and told else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
