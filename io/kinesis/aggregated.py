"""Records that the Kinesis Producer Library has aggregated: several messages in one."""

from hashlib import md5
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

MAGIC = b"\xf3\x89\x9a\xc2"
DIGEST = 16


class UserRecord(NamedTuple):
    """What a producer put in."""

    partition_key: str
    data: bytes


def user_records(data: bytes) -> list[UserRecord] | None:
    r"""The records inside, in their order; None where it is not an aggregated record.

    What has the magic number but not the right digest, or does not parse, is none: it stays one
    message, as it is. A record that points outside the table of partition keys has none.

    Source: github.com/awslabs/amazon-kinesis-producer, aggregation-format.md.

    Example:
        >>> user_records(b'{"device_id": "a"}') is None
        True
        >>> body = b"\x0a\x01k\x1a\x06\x08\x00\x1a\x02{}"
        >>> user_records(MAGIC + body + md5(body, usedforsecurity=False).digest())
        [UserRecord(partition_key='k', data=b'{}')]
    """
    if not data.startswith(MAGIC):
        return None
    body, digest = data[len(MAGIC) : -DIGEST], data[-DIGEST:]
    if md5(body, usedforsecurity=False).digest() != digest:
        return None
    try:
        parsed = _AGGREGATED.FromString(body)
    except DecodeError:
        return None
    keys = list(parsed.partition_key_table)
    return [
        UserRecord(
            keys[record.partition_key_index] if record.partition_key_index < len(keys) else "",
            record.data,
        )
        for record in parsed.records
    ]


def _aggregated_record() -> Any:
    """The class of the format's message; protobuf parses it in C."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="eddyline/kpl.proto", package="eddyline.kpl")

    def add(message: Any, name: str, number: int, kind: Any, label: Any, **of: str) -> None:
        message.field.add(name=name, number=number, type=kind, label=label, **of)

    one = file.message_type.add(name="Record")
    add(one, "partition_key_index", 1, field.TYPE_UINT64, field.LABEL_REQUIRED)
    add(one, "explicit_hash_key_index", 2, field.TYPE_UINT64, field.LABEL_OPTIONAL)
    add(one, "data", 3, field.TYPE_BYTES, field.LABEL_REQUIRED)
    all_ = file.message_type.add(name="AggregatedRecord")
    add(all_, "partition_key_table", 1, field.TYPE_STRING, field.LABEL_REPEATED)
    add(all_, "explicit_hash_key_table", 2, field.TYPE_STRING, field.LABEL_REPEATED)
    inner = {"type_name": ".eddyline.kpl.Record"}
    add(all_, "records", 3, field.TYPE_MESSAGE, field.LABEL_REPEATED, **inner)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # pyright: ignore[reportAttributeAccessIssue] missing in the stubs
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("eddyline.kpl.AggregatedRecord")
    )


_AGGREGATED = _aggregated_record()
