"""Whether this machine's clock is that of the services it will talk to."""

import os
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import requests

from eddyline.io.aws.client import make_client
from eddyline.io.aws.troubles import TROUBLES
from eddyline.pipeline.doctor.check import Ill

NOTICED, REFUSED = 5.0, 300.0
"""Seconds: the header itself counts whole seconds; AWS refuses signatures beyond five minutes."""

BIGQUERY = "https://bigquery.googleapis.com"


def service_address(words: list[str]) -> str | None:
    """The address of a service whose clock counts; None where the run talks to none.

    Args:
        words: What the run talks to: sources, destinations, lake, warehouse.
    """
    for word in words:
        prefix = word.partition(":")[0]
        service = {"s3": "s3", "s3a": "s3"}.get(prefix, prefix)
        if service in ("kinesis", "sqs", "sns", "s3"):
            try:
                return str(make_client(service).meta.endpoint_url)
            except TROUBLES:
                return None  # the check of that service says why
        if service == "pubsub" and os.environ.get("PUBSUB_EMULATOR_HOST"):
            continue  # gRPC alone, and it tells no time
        if service in ("bigquery", "gs", "pubsub"):
            return os.environ.get("BIGQUERY_EMULATOR_HOST") or BIGQUERY
    return None


def look_at_clock(address: str, now: Callable[[], float]) -> str:
    """Compare with the Date header of the service's answer, whatever else it answers."""
    before = now()
    try:
        date = requests.head(address, timeout=10).headers.get("Date")
    except requests.RequestException as error:
        raise Ill(f"{address} does not answer: {error}", outcome="warning") from error
    if not date:
        raise Ill(f"{address} tells no time", outcome="warning")
    # The header is cut to its second, so on average the service was half a second further.
    skew = (before + now()) / 2 - (parsedate_to_datetime(date).timestamp() + 0.5)
    words = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {address}"
    advice = "Set it by NTP: chronyc makestep, or timedatectl set-ntp true."
    if abs(skew) > REFUSED:
        raise Ill(words, f"{advice} Signed requests are refused.")
    if abs(skew) > NOTICED:
        raise Ill(words, advice, "warning")
    return "right to a few seconds"
