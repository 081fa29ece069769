"""Models that are open in this process."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from typing import Any
from weakref import WeakValueDictionary

from . import _native
from ._errors import called

#: By their files and options. They are held by whoever uses them: the last one closes a model.
models: WeakValueDictionary[Hashable, _native.Embedder] = WeakValueDictionary()
_opening = threading.Lock()


def model(folder: str, **options: Any) -> _native.Embedder:
    """A model, opened unless it is open with the same options already.

    Raises
    ------
    ScgptError
        If it cannot be opened.
    """
    key = (os.path.realpath(folder), _files(folder), tuple(options.items()))
    # Whoever asks for the same meanwhile waits for it.
    with _opening:
        opened = models.get(key)
        if opened is None:
            opened = models[key] = called(_native.Embedder, folder, **options)
        return opened


def _files(folder: str) -> Hashable:
    """Which files are in a folder: a model that is replaced by another is another."""
    if not os.path.isdir(folder):
        return None
    with os.scandir(folder) as entries:
        files = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    return frozenset((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in files)
