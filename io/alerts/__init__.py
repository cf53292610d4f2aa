"""Alert channels: one file a kind."""
