"""Whole numbers, which R has as floats."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from ._errors import ScgptError

#: What is beyond the numbers that the native half takes.
N_64 = 2**64


def whole(name: str, value: Any, end: int = N_64) -> int:
    """An argument that is a whole number from 0 on, below ``end``."""
    is_whole = isinstance(value, Integral) or isinstance(value, Real) and float(value).is_integer()
    if not is_whole or not 0 <= int(value) < end:
        raise ScgptError(f"{name} is {value!r}, expected a whole number from 0 to {end - 1}")
    return int(value)
