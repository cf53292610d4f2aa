"""Results as a stream: rows to Pub/Sub, Kinesis or SNS as they are made."""

from eddyline.io.results.publish import PublishResults

__all__ = ["PublishResults"]
