"""Columns of what the kernel tells about each channel of an anomaly, for the explanation."""

VALUE = 0
"""The reading, NaN where the channel is missing."""
INNOVATION = 1
LEVEL = 2
SEASON = 3
STUCK = 4
VOLATILITY = 5
NOISE = 6
AWAY = 7
JOINT = 8
"""Bits of the event score that this channel made: what it loses with the channel as usual."""
LEVEL_MEAN = 9
LEVEL_SCALE = 10
SEASON_MEAN = 11
"""NaN where this hour is not known yet."""
SEASON_SCALE = 12
REFERENCE = 13
REFERENCE_SCALE = 14
RUN = 15
STEP_USUAL = 16
STEP_NOW = 17
STEP = 18
FAR = 19
"""Average of the last 30 level deviations."""
EVIDENCE = 20
"""Bits that speak for the alarms, as `share.evidence` has them."""
STILL = 21
"""The stuck head; it, NOISE and AWAY alarm at 1 in a device of up to 3 channels."""
SUDDEN = 22
"""Bits of the innovation that count."""
FAR_BITS = 23
"""Bits of the distance from the level that count."""
COLUMNS = 24
