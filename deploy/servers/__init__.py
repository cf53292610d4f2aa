"""Servers that `make test-live` needs and Python does not bring: Kafka's broker, kinesalite."""
