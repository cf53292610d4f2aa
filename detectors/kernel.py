"""Functions over the fleet's arrays, compiled by numba when they are first called."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import numba
from numba import types

P = ParamSpec("P")
R = TypeVar("R")


def given(dtype: types.Type, dimensions: int) -> types.Type:
    """Return the numba type of a C-contiguous array that a kernel reads and does not write."""
    return types.Array(dtype, dimensions, "C", readonly=True)


def field(dtype: types.Type, dimensions: int) -> types.Type:
    """Return the numba type of one field of a fleet's state: strided, changed in place."""
    return types.Array(dtype, dimensions, "A")


def buffer(dtype: types.Type, dimensions: int) -> types.Type:
    """Return the numba type of a C-contiguous array that a kernel fills."""
    return types.Array(dtype, dimensions, "C")


class Kernel(Generic[P, R]):
    """A function with one numba signature, compiled at its first call and cached on disk.

    One signature, because numba would otherwise compile again for a fleet of one device (whose
    fields happen to be contiguous) and for read-only input. At the first call, because a command
    that scores nothing should not wait for a compiler. The uncompiled source stays reachable as
    `py_func` and is the reference the tests compare with.

    numba's cache looks at the kernel's own file only: whoever changes a function in another file
    that a kernel calls must touch the kernel's file too, or delete `__pycache__`.

    Examples:
        >>> double = kernel(types.int64(types.int64))(lambda n: 2 * n)
        >>> double.py_func(21)
        42
    """

    def __init__(self, function: Callable[P, R], signature: Any) -> None:
        self.py_func = function
        self.signature = signature
        self._compiled: Callable[P, R] | None = None
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the compiled function; the first call compiles it or loads it from the cache."""
        if self._compiled is None:
            compile_now: Any = numba.njit(self.signature, cache=True, nogil=True)
            self._compiled = compile_now(self.py_func)
        return self._compiled(*args, **kwargs)  # pyright: ignore[reportOptionalCall] # set above


def kernel(signature: Any) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Make a function a `Kernel` of this signature.

    Args:
        signature: A numba signature, such as `types.void(given(types.float64, 1))`.
    """

    def decorate(function: Callable[P, R]) -> Kernel[P, R]:
        return Kernel(function, signature)

    return decorate
