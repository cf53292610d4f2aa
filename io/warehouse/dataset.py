"""The dataset that holds the tables, and how its services are reached."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient

_NAME = re.compile(r"([a-z0-9.:-]*[a-z0-9])\.([A-Za-z0-9_]+)")


@dataclass(frozen=True)
class Dataset:
    """A BigQuery dataset, by its project and name.

    Credentials are Google's default ones and never a setting. `BIGQUERY_EMULATOR_HOST` (an
    `http://` address) names another service, which is asked without credentials;
    `BIGQUERY_STORAGE_EMULATOR_HOST` (host:port) is the same for the Storage Write API.
    """

    project: str
    name: str

    def __str__(self) -> str:
        return f"{self.project}.{self.name}"

    def rows(self) -> "Client":
        """A client of the REST API. It does not retry by itself where it is told not to."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.bigquery import Client

        if os.environ.get("BIGQUERY_EMULATOR_HOST"):  # the client itself takes the address from it
            return Client(project=self.project, credentials=AnonymousCredentials())
        return Client(project=self.project)

    def storage(self) -> "BigQueryWriteClient":
        """A client of the Storage Write API."""
        import grpc
        from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
        from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
            BigQueryWriteGrpcTransport,
        )

        if host := os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST"):
            channel = grpc.insecure_channel(host)
            return BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
        return BigQueryWriteClient()


def parse_dataset(text: str) -> Dataset:
    """A dataset as the settings name it.

    Raises:
        ValueError: It is not PROJECT.DATASET.

    Example:
        >>> parse_dataset("plant-7.telemetry")
        Dataset(project='plant-7', name='telemetry')
        >>> parse_dataset("telemetry")
        Traceback (most recent call last):
        ValueError: a dataset is PROJECT.DATASET, not 'telemetry'
    """
    found = _NAME.fullmatch(text.removeprefix("bigquery:"))
    if not found:
        raise ValueError(f"a dataset is PROJECT.DATASET, not {text!r}")
    return Dataset(*found.groups())
