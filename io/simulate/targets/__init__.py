"""Where a simulated fleet can be published to; `table.py` makes a target from its name."""
