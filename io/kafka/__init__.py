"""Kafka as a source: its partitions, by offset. Needs the extra `kafka`."""
