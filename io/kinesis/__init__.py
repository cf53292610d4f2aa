"""Kinesis Data Streams, read shard by shard through resharding, by `GetRecords` (no fan-out)."""
