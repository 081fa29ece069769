"""The native half of the package."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

class Loan:
    """Arrays that are lent to a file until the block ends."""

    def __init__(
        self,
        path: str | PathLike[str],
        arrays: Mapping[str, NDArray[Any]],
        backing: str | PathLike[str] | None,
    ) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

class Embedder:
    """A model, and how it embeds."""

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        device: str,
        precision: str,
        max_length: int | None,
        batch_size: int,
        sampling: str,
        tie_mode: str,
        seed: int,
    ) -> None: ...
    @property
    def width(self) -> int: ...
    @property
    def hash(self) -> str | None: ...
    def embed(
        self,
        genes: Sequence[str],
        rows: tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]],
    ) -> NDArray[np.float32]: ...
    def tokenize(
        self,
        genes: Sequence[str],
        rows: tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]],
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint64]]: ...
    def vocabulary(self) -> list[str]: ...

class Reader:
    """A matrix of a file that stays open, with the names of its cells."""

    def __init__(self, path: str | PathLike[str], layer: str) -> None: ...
    @property
    def n_cells(self) -> int: ...
    def genes(self, gene_column: str | None) -> list[str]: ...
    def rows(
        self, begin: int, end: int
    ) -> tuple[list[str], NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]: ...

def bin_values(
    indptr: NDArray[np.int64],
    values: NDArray[np.float32],
    n_bins: int,
    tie_mode: str,
    seed: int,
) -> NDArray[np.float32]: ...
def call(
    args: Sequence[str],
    program: Sequence[str],
    tell: Callable[[str], None],
    progress: Callable[[str, int, int, str], None],
    takes_slots: bool,
) -> tuple[int, str]: ...
def program(args: Sequence[str], words: Sequence[str]) -> int: ...
def commands() -> str: ...
