"""A Flink cluster on this machine, from parts pinned by version, and the job on it."""
