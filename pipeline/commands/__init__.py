"""The commands that are more than a call of `run`, one a file."""
