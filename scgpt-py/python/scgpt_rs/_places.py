"""Paths that hold wherever they travel."""

from __future__ import annotations

import os


def lasting(path: str | os.PathLike[str]) -> str:
    """What is there, by its absolute path, as processes with another working directory need it.

    What is not there stays as it is: the name or address of something elsewhere.
    """
    return os.path.abspath(path) if os.path.exists(path) else os.fspath(path)
