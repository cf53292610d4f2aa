from base64 import b64decode
from hashlib import md5

from hypothesis import given
from hypothesis import strategies as st

from eddyline.io.kinesis.aggregated import MAGIC, user_records

# Made by AWS's own aws_kinesis_agg 1.2.3, whose last record has an explicit hash key.
GOLDEN = b64decode(
    "84mawgoIZGV2aWNlLTEKCGRldmljZS0yCgNkw7wSBTEyMzQ1GgwIABoIeyJuIjogMX0aBggBGgL/ABoECAAaABoOCAIQABoI"
    "eyJuIjogNH27DPWyRCpCdKpeOHi024Ei"
)


def sealed(body):
    return MAGIC + body + md5(body).digest()


def test_what_aws_has_aggregated_is_taken_apart_in_its_order():
    assert user_records(GOLDEN) == [
        ("device-1", b'{"n": 1}'),
        ("device-2", b"\xff\x00"),
        ("device-1", b""),
        ("dü", b'{"n": 4}'),
    ]


@given(st.integers(4, len(GOLDEN) - 1), st.integers(1, 255))
def test_a_flipped_bit_makes_it_no_aggregate(at, flip):
    damaged = bytearray(GOLDEN)
    damaged[at] ^= flip
    assert user_records(bytes(damaged)) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_an_aggregate_or_not_but_no_error(body):
    assert user_records(body) is None or body.startswith(MAGIC)
    sealed_records = user_records(sealed(body))
    assert sealed_records is None or isinstance(sealed_records, list)


def test_a_cut_record_under_a_right_digest_is_no_aggregate():
    assert user_records(sealed(GOLDEN[4:-17])) is None


def test_a_record_without_its_partition_key_has_an_empty_one():
    assert user_records(sealed(b"\x1a\x06\x08\x05\x1a\x02{}")) == [("", b"{}")]
