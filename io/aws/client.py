"""Clients of AWS services: credentials, region and endpoint by boto3's own chain, never ours."""

import os
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.parsers import ResponseParserFactory


def make_client(service: str, parsers: ResponseParserFactory | None = None) -> Any:
    """A client that tries once and gives up soon: its user decides about the next try.

    The endpoint is AWS's, or that of AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_<SERVICE>; the region
    also that of AWS_REGION, which boto3 itself does not read.

    Raises:
        botocore.exceptions.NoRegionError: None is configured.
    """
    core = botocore.session.get_session()
    if parsers is not None:
        core.register_component("response_parser_factory", parsers)
    session = boto3.Session(botocore_session=core)
    return session.client(
        service,
        region_name=session.region_name or os.environ.get("AWS_REGION"),
        config=Config(
            connect_timeout=3,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 1},
        ),
    )


def service_time(answer: Mapping[str, Any], took: float = 0.0) -> int | None:
    """When the service was asked, by its own clock, in µs; no later than that, by up to a second.

    A worker's clock may be wrong by any amount; the clock that stamps the messages is this one. An
    answer's time is that of its end, and what arrived while it was made may not be in it.

    Args:
        answer: Of boto3.
        took: Seconds that the answer took, where that matters.

    Example:
        >>> headers = {"date": "Thu, 01 Jan 1970 00:00:07 GMT"}
        >>> service_time({"ResponseMetadata": {"HTTPHeaders": headers}}, took=0.5)
        6500000
    """
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return None
    return round(parsedate_to_datetime(date).timestamp()) * 1_000_000 - round(took * 1_000_000)
