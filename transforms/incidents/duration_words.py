"""Durations as a person says them."""


def tell_duration(seconds: float) -> str:
    """Seconds in words, in the unit that keeps it short.

    Examples:
        >>> [tell_duration(s) for s in (0.25, 10.4, 75, 720, 9000, 200_000)]
        ['0.25 s', '10 s', '75 s', '12 min', '2.5 h', '2.3 days']
    """
    for unit, size, until in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < until:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds / 86_400)} days"


def _short(number: float) -> str:
    if number < 1:
        return f"{number:.2g}"
    return f"{number:.1f}".removesuffix(".0") if number < 10 else f"{number:.0f}"
