"""A model that is opened once and embeds batch after batch, for engines that run on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from . import _call, _native
from ._errors import ScgptError, called


class Embedder:
    """Embeds batches of cells with one model, which a process opens once.

    It is called with a pyarrow ``RecordBatch`` or ``Table`` that has a row a cell, and gives the same back with a column
    of embeddings; or with a matrix, and gives the embeddings. It pickles by the path of the model, and is opened again
    where it is unpickled. Rows do not depend on batches, threads or processes.

    Parameters
    ----------
    model : path
        Model directory, or the name or address of one.
    genes : sequence of str
        Names of the genes, by the numbers in ``indices``.
    key_added : str
        Column of the embeddings, a list of fixed size.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in.
    device : str
        Where to compute: ``cpu``, ``cuda``, ``cuda:1``, ``wgpu`` or ``auto``.
    max_length : int, optional
        Most tokens per cell [default: the model's].
    batch_size : int
        Cells computed at once; affects speed and memory only.
    sampling : {'keyed', 'head'}
        Which genes are kept when a cell has more than fit.
    tie_mode : {'upper', 'random', 'midpoint'}
        What happens to values on a bin edge.
    seed : int
        Seed of every random choice.

    Raises
    ------
    ScgptError
        If the model cannot be opened, or cells cannot be read.

    Examples
    --------
    >>> embedder = Embedder("scGPT_human", genes=genes)  # doctest: +SKIP
    >>> embedder(batch)["X_scGPT"]  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | PathLike[str],
        genes: Sequence[str],
        *,
        key_added: str = "X_scGPT",
        precision: Literal["exact", "bf16x3", "bf16"] = "exact",
        device: str = "auto",
        max_length: int | None = None,
        batch_size: int = 8,
        sampling: Literal["keyed", "head"] = "keyed",
        tie_mode: Literal["upper", "random", "midpoint"] = "upper",
        seed: int = 0,
    ) -> None:
        self._options: dict[str, Any] = {
            "precision": precision,
            "device": device,
            "max_length": max_length,
            "batch_size": batch_size,
            "sampling": sampling,
            "tie_mode": tie_mode,
            "seed": seed,
        }
        self._model = fspath(model)
        self._genes = [str(gene) for gene in genes]
        self._key = key_added
        self._open()

    def _open(self) -> None:
        self._native = called(_native.Embedder, _here(self._model), **self._options)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_native"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def width(self) -> int:
        """Numbers of an embedding."""
        return self._native.width

    @property
    def hash(self) -> str | None:
        """SHA-256 of the weights."""
        return self._native.hash

    def embed(self, matrix: Any) -> NDArray[np.float32]:
        """Embeddings ``[n, d]`` of a matrix ``[n, genes]`` of counts."""
        return called(self._native.embed, self._genes, _rows(matrix, len(self._genes)))

    def __call__(self, batch: Any) -> Any:
        """The batch with a column of embeddings.

        Parameters
        ----------
        batch : pyarrow.RecordBatch, pyarrow.Table or matrix
            Columns ``indices`` and ``values`` are lists of the expressed genes of each cell and of their counts.

        Returns
        -------
        pyarrow.RecordBatch, pyarrow.Table or array
            The same without both columns and with the embeddings; of a matrix, the embeddings.
        """
        if not hasattr(batch, "schema"):
            return self.embed(batch)
        import pyarrow as pa

        rows = self._native_rows(batch)
        embedded = called(self._native.embed, self._genes, rows)
        column = pa.FixedSizeListArray.from_arrays(pa.array(embedded.reshape(-1)), self.width)
        left = [name for name in batch.schema.names if name not in ("indices", "values", self._key)]
        arrays = [batch.column(name) for name in left]
        kind = pa.RecordBatch if isinstance(batch, pa.RecordBatch) else pa.Table
        return kind.from_arrays([*arrays, column], names=[*left, self._key])

    def _native_rows(self, batch: Any) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        lists = []
        for name in ("indices", "values"):
            if name not in batch.schema.names:
                raise ScgptError(f"the batch has no column `{name}`, expected lists: indices, values")
            column = batch.column(name)
            lists.append(column.combine_chunks() if hasattr(column, "combine_chunks") else column)
        indices, values = lists
        lengths = [np.asarray(column.value_lengths().fill_null(0)) for column in lists]
        if not np.array_equal(lengths[0], lengths[1]):
            raise ScgptError("`indices` and `values` differ in length in a row, expected one value a gene")
        indptr = np.zeros(len(indices) + 1, dtype=np.int64)
        np.cumsum(lengths[0], out=indptr[1:])
        return (
            indptr,
            np.ascontiguousarray(indices.flatten().to_numpy(zero_copy_only=False), dtype=np.int32),
            np.ascontiguousarray(values.flatten().to_numpy(zero_copy_only=False), dtype=np.float32),
        )


def _here(model: str) -> str:
    """The folder of a model; one that is named, or is at an address, is fetched first."""
    if Path(model).exists():
        return model
    folder = _call.run(["models", "pull", model])["result"].get("folder")
    return str(folder) if folder else model


def _rows(matrix: Any, n_genes: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    if matrix.shape[1] != n_genes:
        raise ScgptError(f"the matrix has {matrix.shape[1]} columns, but there are {n_genes} genes")
    rows = called(sparse.csr_matrix, matrix)
    return (
        np.ascontiguousarray(rows.indptr, dtype=np.int64),
        np.ascontiguousarray(rows.indices, dtype=np.int32),
        called(np.ascontiguousarray, rows.data, np.float32),
    )
