"""A device's course as bytes: its cadence, and how strange it was lately."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eddyline.transforms.incidents.cadence import Cadence
from eddyline.transforms.incidents.casebook import Casebook

# One value, because each column costs more than its numbers: little-endian 64-bit ones.
COURSE = np.dtype(
    [
        *(
            (name, "<i8" if name in ("first", "last", "gaps") else "<f8")
            for name in Cadence._fields
        ),
        ("recent", "<f8"),
    ]
)


def courses_of(book: Casebook, rows: Any = slice(None)) -> NDArray[Any]:
    """The courses of a casebook's devices, of these rows or of all."""
    recent = book.recent[rows]
    courses = np.empty(len(recent), COURSE)
    for name, column in book.cadence._asdict().items():
        courses[name] = column[rows]
    courses["recent"] = recent
    return courses


def set_courses(book: Casebook, courses: NDArray[Any], rows: Any = slice(None)) -> None:
    """The inverse of `courses_of`."""
    for name, column in book.cadence._asdict().items():
        column[rows] = courses[name]
    book.recent[rows] = courses["recent"]
