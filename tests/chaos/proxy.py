"""A reverse proxy on loopback that stands before a real server and makes it fail on command."""

import threading
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from urllib.parse import urlsplit

OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade"}
TIMEOUT = 30.0  # s


class Proxy:
    """Forwards every request to one server, until it is told to fail.

    Fails closed: what it does not understand (a chunked body), or where the server does not
    answer, is an error for the client, and stands in `violations`.

    Attributes:
        url: Where it listens.
        requests: How many it has had; `failed`: how many of them it answered itself.
        violations: What it had to refuse though no failure was asked for.
    """

    def __init__(self, upstream):
        self.upstream = urlsplit(upstream)
        self.requests = self.failed = 0
        self.violations = []
        self._fault = None
        self._lock = threading.Lock()
        self._connections = set()
        self._server = None
        self.port = 0
        self._listen()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def failing(self, answer, matches=None):
        """Answer requests by `answer() -> (status, headers, body)` meanwhile.

        All of them, or those for which `matches(method, path, headers)` holds.
        """
        self._fault = (answer, matches)
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def refusing(self):
        """Close the listening socket and every connection: nobody is there meanwhile."""
        self._hang_up()
        try:
            yield
        finally:
            self._listen()

    def close(self):
        if self._server is not None:
            self._hang_up()

    def _listen(self):
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.proxy = self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _hang_up(self):
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # it is gone already
                    connection.shutdown(SHUT_RDWR)

    def answer_to(self, method, path, headers, body):
        with self._lock:
            self.requests += 1
        fault = self._fault
        if fault is not None and (fault[1] is None or fault[1](method, path, headers)):
            with self._lock:
                self.failed += 1
            return fault[0]()
        connection = HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=TIMEOUT)
        try:
            kept = {name: v for name, v in headers.items() if name.lower() not in OF_ONE_HOP}
            connection.request(method, path, body, kept)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, HTTPException) as error:
            return self.refuse(502, f"{method} {path}: {error!r}")
        finally:
            connection.close()

    def refuse(self, status, words):
        self.violations.append(words)
        return status, [], words.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A connection that was hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with self.server.proxy._lock:
            self.server.proxy._connections.add(self.connection)

    def finish(self):
        with self.server.proxy._lock:
            self.server.proxy._connections.discard(self.connection)
        super().finish()

    def handle_one_request(self):
        """As the standard one, for every method there is."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        proxy = self.server.proxy
        if self.headers.get("Transfer-Encoding"):
            status, headers, body = proxy.refuse(501, f"{self.command} {self.path}: chunked")
            self.close_connection = True
        else:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = proxy.answer_to(self.command, self.path, self.headers, sent)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in OF_ONE_HOP:
                self.send_header(name, value)
        # The length of what is not sent is told too: S3's clients ask by HEAD how large it is.
        length = len(body)
        if self.command == "HEAD":
            told = [v for name, v in headers if name.lower() == "content-length"]
            length = told[0] if told else 0
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
