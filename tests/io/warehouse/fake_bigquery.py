"""A BigQuery REST service on loopback that fails closed.

It speaks `tables.get`, `tables.testIamPermissions` and `tabledata.insertAll`. Everything else (an
unknown path, field or type, and `tables.insert` above all) is refused, and remembered in
`violations`, which a test asserts to be empty.
"""

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_REQUEST, MAX_ROWS, MAX_INSERT_ID = 10_000_000, 50_000, 128
TABLE = re.compile(r"/bigquery/v2/projects/([\w-]+)/datasets/(\w+)/tables/(\w+)(/insertAll|:\w+)?")
QUERY = re.compile(r"\?prettyPrint=false")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
BODY = {"rows": list, "skipInvalidRows": bool, "ignoreUnknownValues": bool, "kind": str}


class Invalid(ValueError):
    """A row's value is wrong; where and why."""


class FakeBigQuery:
    """The service; `tables` maps DATASET.TABLE to its columns."""

    def __init__(self, tables: dict[str, list[dict[str, Any]]]) -> None:
        self.tables = tables
        self.stored: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
        self.insert_ids: dict[str, set[str]] = {name: set() for name in tables}
        self.denied: set[str] = set()
        self.violations: list[str] = []
        self.requests = 0
        self.rows_sent = 0
        self.duplicates = 0
        self.largest_request = 0
        self.away_until = 0.0
        self.answers: list[tuple[int, str]] = []
        self.lose_answers = 0
        self.latency = 0.0
        self.row_fault: Callable[[dict[str, Any]], str] | None = None
        self.clock_ahead = 0.0
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 the handler has the other self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(*fake.get(self.path))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                self._answer(*fake.post(self.path, body))

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    fake.violations.append(f"{self.command} {self.path}")
                    return lambda: self._answer(*error(405, "invalid", self.command))
                raise AttributeError(name)

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string((timestamp or time.time()) + fake.clock_ahead)

            def _answer(self, status: int, answer: dict[str, Any]) -> None:
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        return Handler

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        found = TABLE.fullmatch(QUERY.sub("", path))
        if not found or found[4]:
            self.violations.append(f"GET {path}")
            return error(404, "notFound", f"no path {path}")
        if fault := self._fault():
            return fault
        project, dataset, table, _ = found.groups()
        if denied := self._denied("bigquery.tables.get", found):
            return denied
        if f"{dataset}.{table}" not in self.tables:
            return error(404, "notFound", f"Not found: Table {project}:{dataset}.{table}")
        reference = {"projectId": project, "datasetId": dataset, "tableId": table}
        return 200, {
            "kind": "bigquery#table",
            "id": f"{project}:{dataset}.{table}",
            "tableReference": reference,
            "type": "TABLE",
            "schema": {"fields": self.tables[f"{dataset}.{table}"]},
        }

    def post(self, path: str, content: bytes) -> tuple[int, dict[str, Any]]:
        found = TABLE.fullmatch(QUERY.sub("", path))
        if found and found[4] == ":testIamPermissions":
            asked = json.loads(content)["permissions"]
            return 200, {"permissions": [name for name in asked if name not in self.denied]}
        if not found or found[4] != "/insertAll":
            self.violations.append(f"POST {path}")
            return error(403, "accessDenied", f"nobody may POST {path}")
        if fault := self._fault():
            return fault
        time.sleep(self.latency)
        return self._insert_all(found, content)

    def _fault(self) -> tuple[int, dict[str, Any]] | None:
        with self.lock:
            self.requests += 1
            if time.monotonic() < self.away_until:
                return error(503, "backendError", "the service is away")
            if self.answers:
                status, reason = self.answers.pop(0)
                return error(status, reason, f"injected {status}")
        return None

    def _denied(self, permission: str, table: Any) -> tuple[int, dict[str, Any]] | None:
        if permission not in self.denied:
            return None
        name = f"{table[1]}:{table[2]}.{table[3]}"
        words = f"Access Denied: Table {name}: Permission {permission} denied on table {name}"
        return error(403, "accessDenied", words)

    def _insert_all(self, found: Any, content: bytes) -> tuple[int, dict[str, Any]]:
        name = f"{found[2]}.{found[3]}"
        self.largest_request = max(self.largest_request, len(content))
        if len(content) > MAX_REQUEST:
            return error(
                413, "badRequest", "Request payload size exceeds the limit: 10485760 bytes."
            )
        if denied := self._denied("bigquery.tables.updateData", found):
            return denied
        if name not in self.tables:
            return error(404, "notFound", f"Not found: Table {found[1]}:{name}")
        body = json.loads(content, parse_constant=lambda word: self.violations.append(word))
        for field, value in body.items():
            if not isinstance(value, BODY.get(field, ())):
                return error(400, "invalid", f'Invalid JSON payload: "{field}"')
        rows = body.get("rows", [])
        if not 0 < len(rows) <= MAX_ROWS:
            return error(400, "invalid", f"{len(rows)} rows")
        for row in rows:
            if set(row) != {"json", "insertId"} or not 0 < len(row["insertId"]) <= MAX_INSERT_ID:
                self.violations.append(f"row {set(row)} {row.get('insertId')!r}")
                return error(400, "invalid", "a row is json and insertId")
        with self.lock:
            self.rows_sent += len(rows)
            return self._store(name, rows, bool(body.get("skipInvalidRows")))

    def _store(self, name: str, rows: list[Any], skip: bool) -> tuple[int, dict[str, Any]]:
        troubles: dict[int, tuple[str, str, str]] = {}
        for at, row in enumerate(rows):
            if self.row_fault and (reason := self.row_fault(row["json"])):
                troubles[at] = (reason, "", "injected")
                continue
            try:
                check_record(row["json"], self.tables[name])
            except Invalid as wrong:
                troubles[at] = ("invalid", *wrong.args)
        if troubles and not skip:
            others = set(range(len(rows))) - set(troubles)
            troubles |= dict.fromkeys(others, ("stopped", "", ""))
        for at, row in enumerate(rows):
            if at in troubles:
                continue
            if row["insertId"] in self.insert_ids[name]:
                self.duplicates += 1
                continue
            self.insert_ids[name].add(row["insertId"])
            self.stored[name].append(row["json"])
        if self.lose_answers > 0:
            self.lose_answers -= 1
            return error(503, "backendError", "the rows are in, and the answer is lost")
        answer: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        if troubles:
            answer["insertErrors"] = [
                {
                    "index": at,
                    "errors": [
                        {"reason": reason, "location": place, "debugInfo": "", "message": words}
                    ],
                }
                for at, (reason, place, words) in sorted(troubles.items())
            ]
        return 200, answer


def error(status: int, reason: str, words: str) -> tuple[int, dict[str, Any]]:
    one = {"domain": "global", "reason": reason, "message": words}
    return status, {"error": {"code": status, "message": words, "errors": [one]}}


def check_record(value: Any, columns: list[dict[str, Any]]) -> None:
    """A record as the service checks it; raises `Invalid(place, words)`."""
    if not isinstance(value, dict):
        raise Invalid("", "This field is not a record.")
    known = {column["name"]: column for column in columns}
    for name in value:
        if name not in known:
            raise Invalid(name, f"no such field: {name}.")
    for name, column in known.items():
        given = value.get(name)
        if column["mode"] == "REPEATED":
            if not isinstance(given, list):
                raise Invalid(name, "Array specified for non-repeated field, or null.")
            for one in given:
                check_value(name, one, column)
        elif given is not None:
            check_value(name, given, column)
        elif column["mode"] == "REQUIRED":
            raise Invalid(name, f"Missing required field: {name}.")


def check_value(name: str, value: Any, column: dict[str, Any]) -> None:
    kind = column["type"]
    if kind == "RECORD":
        check_record(value, column["fields"])
    elif not FITS[kind](value):
        raise Invalid(name, f"Could not convert value to {kind.lower()}.")


def _integer(value: Any) -> bool:
    # A number would do for the service; text is asked for, as a number loses digits on the way.
    whole = isinstance(value, str) and bool(re.fullmatch(r"-?\d+", value))
    return whole and -(2**63) <= int(value) < 2**63


def _base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except binascii.Error:
        return False


FITS: dict[str, Callable[[Any], bool]] = {
    "STRING": lambda value: isinstance(value, str),
    "INTEGER": _integer,
    "FLOAT": lambda value: (
        (isinstance(value, int | float) and not isinstance(value, bool))
        or value in ("NaN", "Infinity", "-Infinity")
    ),
    "BOOLEAN": lambda value: isinstance(value, bool),
    "TIMESTAMP": lambda value: isinstance(value, str) and bool(TIMESTAMP.fullmatch(value)),
    "BYTES": _base64,
}
