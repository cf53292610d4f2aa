"""A field's description: the words that every dialect with comments shows."""

from eddyline.schemas.record import Field


def describe(field: Field) -> str:
    """The field's words on one line, then its unit in brackets; empty where it has neither.

    Example:
        >>> describe(Field("level", "double", doc="Water above the gauge.", unit="m"))
        'Water above the gauge. [m]'
        >>> describe(Field("site", "string"))
        ''
    """
    unit = f"[{field.unit}]" if field.unit not in ("", "1") else ""
    return " ".join(f"{field.doc} {unit}".split())
