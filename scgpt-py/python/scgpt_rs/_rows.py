"""Cells as the native half takes them: offsets, genes and values, of a matrix or of a batch of Arrow."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ._errors import ScgptError, called

#: The arrays of a ``csr_matrix``: offsets of cells, numbers of genes, and values.
Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.float32]]

#: No cells.
NONE: Rows = (np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.float32))


def of_matrix(matrix: Any, n_genes: int, name: str = "matrix") -> Rows:
    """Cells of a matrix ``[n, genes]``; what has the right type already is not copied.

    Genes of a cell ascend: where they do not, they are sorted in a copy, and values of the same gene added up.

    Parameters
    ----------
    name
        What the matrix is called in messages.
    """
    if not isinstance(matrix, np.ndarray) and not sparse.issparse(matrix):
        raise ScgptError(
            f"{name}: {type(matrix).__module__}.{type(matrix).__name__}, expected a matrix of numpy or of scipy.sparse",
            "read it into memory first (`adata.to_memory()` of backed cells, `.compute()` of dask)",
        )
    if matrix.dtype.kind not in "biuf":
        raise ScgptError(f"{name}: holds {matrix.dtype}, expected numbers")
    if len(matrix.shape) != 2 or matrix.shape[1] != n_genes:
        shape = " × ".join(map(str, matrix.shape))
        raise ScgptError(f"{name}: {shape}, expected a row a cell and {n_genes} columns, one a gene")
    # An object of its own: what it finds out of itself is not told to that of the caller.
    rows = called(sparse.csr_matrix, matrix if sparse.issparse(matrix) else matrix.astype(np.float32, copy=False))
    if not rows.has_canonical_format:
        rows = rows.astype(np.float32, copy=True)
        rows.sum_duplicates()
    n_stored = rows.indptr[-1]
    return (
        np.ascontiguousarray(rows.indptr, dtype=np.int64),
        _genes(rows.indices[:n_stored], n_genes, name),
        np.ascontiguousarray(rows.data[:n_stored], dtype=np.float32),
    )


def of_batch(batch: Any, n_genes: int) -> Rows:
    """Cells of a ``RecordBatch`` or ``Table`` with lists ``indices`` and ``values``; a missing list is empty."""
    import pyarrow as pa

    indices = _list(batch, "indices", "whole numbers", pa.types.is_integer)
    values = _list(batch, "values", "numbers", lambda kind: pa.types.is_integer(kind) or pa.types.is_floating(kind))
    n_indices, n_values = (np.asarray(column.value_lengths().fill_null(0)) for column in (indices, values))
    if not np.array_equal(n_indices, n_values):
        raise ScgptError("`indices` and `values` differ in length in a row, expected one value a gene")
    indptr = np.zeros(len(indices) + 1, dtype=np.int64)
    np.cumsum(n_indices, out=indptr[1:])
    return (
        indptr,
        _genes(_flat(indices, "indices"), n_genes, "indices"),
        np.ascontiguousarray(_flat(values, "values"), dtype=np.float32),
    )


def _list(batch: Any, name: str, expected: str, is_kind: Any) -> Any:
    """A column of lists, in one piece."""
    import pyarrow as pa

    if name not in batch.schema.names:
        raise ScgptError(f"the batch has no column `{name}`, expected lists: indices, values")
    column = batch.column(name)
    if isinstance(column, pa.ChunkedArray):
        column = called(column.combine_chunks)
    is_list = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
        pa.types.is_list_view,
        pa.types.is_large_list_view,
    )
    kind = column.type
    # Lists that are all empty may be of nothing.
    if not any(it(kind) for it in is_list) or not (is_kind(kind.value_type) or pa.types.is_null(kind.value_type)):
        raise ScgptError(f"column `{name}`: {kind}, expected lists of {expected}")
    return column


def _flat(column: Any, name: str) -> NDArray[Any]:
    """The numbers of all lists, one after the other; not those around a slice, nor behind a missing list."""
    import pyarrow as pa

    flat = column.flatten()
    if flat.null_count:
        raise ScgptError(f"column `{name}`: a number in a list is missing")
    if pa.types.is_null(flat.type):
        return np.empty(0, dtype=np.int32)
    numbers: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return numbers


def _genes(numbers: NDArray[Any], n_genes: int, name: str) -> NDArray[np.uint32]:
    """Numbers of genes. Those below 0 become large, and are found with all that are beyond the last gene."""
    if numbers.dtype.itemsize > 4 and numbers.size and not 0 <= numbers.min() <= numbers.max() < n_genes:
        wrong = numbers[(numbers < 0) | (numbers >= n_genes)][0]
        raise ScgptError(f"{name}: gene {wrong}, but there are {n_genes}, which count from 0")
    numbers = np.ascontiguousarray(numbers)
    return numbers.view(np.uint32) if numbers.dtype == np.int32 else numbers.astype(np.uint32, copy=False)
