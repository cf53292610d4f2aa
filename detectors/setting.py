"""Settings of detectors, checked when the detector is made."""


def check_number(
    detector: str, setting: str, value: object, low: float, high: float, *, whole: bool = False
) -> None:
    """Check one numeric setting.

    Args:
        detector: Named in the error.
        setting: Named in the error.
        value: As the user gave it.
        low: The smallest it can be.
        high: The largest it can be.
        whole: Whether only whole numbers will do.

    Raises:
        ValueError: It is no number, not whole, or out of its range.

    Examples:
        >>> check_number("half_space_trees", "height", 8, 3, 15, whole=True)
        >>> check_number("half_space_trees", "height", "8", 3, 15, whole=True)
        Traceback (most recent call last):
            ...
        ValueError: detector half_space_trees: height: '8' is not a whole number from 3 to 15
    """
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise ValueError(
            f"detector {detector}: {setting}: {value!r} is not a {kind} from {low} to {high}"
        )
