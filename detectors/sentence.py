"""An anomaly told in one plain sentence."""

import math

from eddyline.detectors.channel import Channel


def decimals_for(width: float) -> int:
    """Return how many decimals show a difference of this width with two digits.

    Examples:
        >>> decimals_for(0.83), decimals_for(12.0), decimals_for(0.0), decimals_for(math.nan)
        (2, 0, 2, 2)
    """
    if not 0.0 < width < math.inf:
        return 2
    return min(max(1 - math.floor(math.log10(width)), 0), 9)


def tell_value(channel: Channel, value: float, width: float) -> str:
    """Return name, value and unit, to the decimals that `width` asks for.

    Examples:
        >>> tell_value(Channel("temperature", -40.0, 85.0, unit="°C"), 6.5, 1.2)
        'temperature 6.5 °C'
    """
    return f"{channel.name} {value:.{decimals_for(width)}f} {channel.unit}".rstrip()


def tell_level(
    channel: Channel, observed: float, expected: float, low: float, high: float, deviation: float
) -> str:
    """Tell a value that lies off its level.

    Args:
        channel: Which.
        observed: Its value.
        expected: Its usual value, NaN where none is known yet.
        low: Lower end of the usual range.
        high: Upper end of the usual range.
        deviation: Its usual deviation, in its unit.

    Examples:
        >>> temperature = Channel("temperature", -40.0, 85.0, unit="°C")
        >>> tell_level(temperature, 6.5, 19.3, 18.4, 20.2, 0.31)
        'temperature 6.5 °C, expected 18.4 to 20.2: 41 times its usual deviation'
        >>> tell_level(temperature, 6.5, 19.3, 19.3, 19.3, 0.0)
        'temperature 6.50 °C, expected 19.30: it had not moved before'
        >>> tell_level(temperature, 6.5, math.nan, math.nan, math.nan, math.nan)
        'temperature 6.50 °C: the first value of this channel'
    """
    width = high - low
    value = tell_value(channel, observed, width)
    digits = decimals_for(width)
    if math.isnan(expected):
        return f"{value}: the first value of this channel"
    if deviation <= 0.0:
        return f"{value}, expected {expected:.{digits}f}: it had not moved before"
    times = abs(observed - expected) / deviation
    shown = f"{times:.0f}" if times >= 10 else f"{times:.1f}"
    return (
        f"{value}, expected {low:.{digits}f} to {high:.{digits}f}: "
        f"{shown} times its usual deviation"
    )
