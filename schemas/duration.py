"""Durations as people write them."""

import math
import re

_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_UNITS = (86400, 3600, 60, 1)


class Seconds(float):
    """A number of seconds that a file may spell as 90, "90s", "10m", "1h30m" or "2d".

    Example:
        >>> Seconds.of("1h30m"), Seconds.of(90)
        (5400.0, 90.0)
        >>> Seconds.of("ten minutes")
        Traceback (most recent call last):
        ValueError: 'ten minutes' is no duration: write seconds as a number, or "90s", "10m",
        "1h30m"
    """

    __slots__ = ()

    @classmethod
    def of(cls, written: object) -> "Seconds":
        """Seconds of what a file says.

        Raises:
            ValueError: It is no duration, or not finite, or negative.
        """
        if isinstance(written, int | float) and not isinstance(written, bool):
            if 0 <= written < math.inf:
                return cls(written)
        elif isinstance(written, str) and written and (parts := _PARTS.fullmatch(written)):
            return cls(
                sum(float(n or 0) * unit for n, unit in zip(parts.groups(), _UNITS, strict=True))
            )
        what = "nothing" if written is None else repr(written)
        raise ValueError(
            f'{what} is no duration: write seconds as a number, or "90s", "10m", "1h30m"'
        )


def spell(seconds: float) -> str:
    """A duration as `Seconds.of` reads it.

    Example:
        >>> spell(5400.0), spell(90), spell(0.5), spell(86400.0), spell(0)
        ('1h30m', '1m30s', '0.5s', '1d', '0s')
    """
    rest, words = seconds, ""
    for letter, unit in zip("dhm", _UNITS[:3], strict=True):
        number, rest = divmod(rest, unit)
        words += f"{int(number)}{letter}" if number else ""
    return words + (f"{rest:g}s" if rest or not words else "")
