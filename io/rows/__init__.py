"""Rows on their way to a service: their JSON, their ids, and what becomes of those it refuses."""
