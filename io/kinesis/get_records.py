"""Parse the answers of GetRecords: twenty times as fast as botocore's general parser."""

from collections.abc import Mapping
from typing import Any

import msgspec
from botocore.parsers import JSONParser, ResponseParserFactory
from msgspec import Struct


class Record(Struct, frozen=True, gc=False):
    """A record as it is on the wire; `Data` without its base64."""

    SequenceNumber: str
    Data: bytes
    PartitionKey: str = ""
    ApproximateArrivalTimestamp: float = 0.0  # s since the epoch


class Answer(Struct, frozen=True):
    """What GetRecords answers, as far as it is needed."""

    Records: list[Record]
    NextShardIterator: str | None = None
    MillisBehindLatest: int = 0


_DECODER = msgspec.json.Decoder(Answer)


class Parser(JSONParser):
    """botocore's parser, but for good answers of GetRecords: they are an `Answer` in `answer`."""

    def parse(self, response: Mapping[str, Any], shape: Any) -> dict[str, Any]:
        """Parse a response of the service."""
        if getattr(shape, "name", "") != "GetRecordsOutput" or response["status_code"] != 200:
            return super().parse(response, shape)
        return {
            "answer": _DECODER.decode(response["body"]),
            "ResponseMetadata": {
                "HTTPStatusCode": response["status_code"],
                "HTTPHeaders": {name.lower(): v for name, v in response["headers"].items()},
            },
        }


class Parsers(ResponseParserFactory):
    """The factory that botocore asks for parsers."""

    def create_parser(self, protocol_name: str) -> Any:
        """A parser of this protocol."""
        return Parser() if protocol_name == "json" else super().create_parser(protocol_name)
