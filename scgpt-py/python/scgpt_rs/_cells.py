"""Cells that are lent to a command: a small file has their annotations, and numpy keeps their matrices."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from scipy import sparse

from ._errors import ScgptError
from ._native import Loan

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

#: Cells in memory (AnnData, MuData), or the path or address of a file or folder of cells.
Cells: TypeAlias = Union["AnnData", Any, str, PathLike[str]]

logger = logging.getLogger("scgpt_rs")


def is_path(cells: Cells) -> bool:
    """Whether cells are in a file."""
    return isinstance(cells, (str, PathLike))


def is_mudata(cells: Cells) -> bool:
    """Whether cells have several modalities."""
    return hasattr(cells, "mod") and hasattr(cells, "obs")


@contextmanager
def lent(cells: Cells, folder: Path, name: str, obsm: Iterable[str] = ()) -> Iterator[str]:
    """Cells as a path that a command reads, while the block lasts.

    Parameters
    ----------
    cells
        Cells in memory, or a path.
    folder
        Folder for what has to be written.
    name
        What the cells are called in messages.
    obsm
        Keys of ``obsm`` that are read.
    """
    if isinstance(cells, (str, PathLike)):
        yield fspath(cells)
        return
    held: Any = cells
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    backing = None
    if is_mudata(held):
        path = folder / f"{name}.h5mu"
        from mudata import MuData

        mods = {key: _annotations(part, arrays, f"mod/{key}/", obsm) for key, part in held.mod.items()}
        shell = MuData(mods)
        shell.obs = _writable(held.obs)
        shell.write_h5mu(path)
    elif hasattr(held, "obs") and hasattr(held, "var"):
        path = folder / f"{name}.h5ad"
        if held.isbacked and held.is_view:
            held = held.to_memory()
        if held.isbacked:
            backing = held.filename
        _annotations(held, arrays, "", obsm).write_h5ad(path)
    else:
        raise ScgptError(f"{type(held).__name__}: expected an AnnData, a MuData, or a path to a file of cells")
    with Loan(path, arrays, backing):
        yield fspath(path)


def _annotations(cells: AnnData, arrays: dict[str, np.ndarray[Any, Any]], prefix: str, obsm: Iterable[str]) -> AnnData:
    """The cells with empty matrices; the numbers of these go to ``arrays``, by their places in the file."""
    from anndata import AnnData

    is_backed = bool(cells.isbacked)

    def empty(matrix: Any, place: str) -> Any:
        if matrix is None:
            return None
        if not is_backed or place.startswith("layers/"):
            arrays.update(_numbers(matrix, prefix + place))
        is_by_columns = sparse.issparse(matrix) and matrix.format == "csc"
        kind = sparse.csc_matrix if is_by_columns else sparse.csr_matrix
        return kind(tuple(matrix.shape), dtype=np.float32)

    shell = AnnData(
        X=empty(cells.X, "X"),
        obs=_writable(cells.obs),
        var=_writable(cells.var),
        layers={name: empty(matrix, f"layers/{name}") for name, matrix in cells.layers.items()},
        obsm={name: cells.obsm[name] for name in obsm if name in cells.obsm},
        # Of what is not structured, colours alone are read.
        uns={name: value for name, value in cells.uns.items() if str(name).endswith("_colors")},
    )
    if cells.raw is not None:
        var = _writable(cells.raw.var)
        shell.raw = AnnData(X=empty(cells.raw.X, "raw/X"), obs=shell.obs[[]], var=var)
    return shell


def _numbers(matrix: Any, place: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """The arrays of a matrix by their places, copied only where they are not contiguous by rows."""
    if sparse.issparse(matrix):
        if matrix.format not in ("csr", "csc"):
            matrix = matrix.tocsr()
        return {f"{place}/{part}": _native(getattr(matrix, part), place) for part in ("data", "indices", "indptr")}
    if isinstance(matrix, np.ndarray) and matrix.ndim == 2:
        return {place: _native(matrix, place)}
    raise ScgptError(
        f"{place}: a matrix of type {type(matrix).__module__}.{type(matrix).__name__}, expected one of numpy or of "
        "scipy.sparse",
        "compute it first (`.compute()` of dask), or give the path of a file of the cells, which is read as a stream",
    )


def _native(array: Any, place: str) -> np.ndarray[Any, Any]:
    plain = np.asarray(array)
    if plain.dtype.kind not in "biuf" or plain.dtype.itemsize > 8:
        raise ScgptError(
            f"{place}: holds {plain.dtype}, expected numbers",
            'store the counts as numbers, for example adata.X.astype("float32")',
        )
    return np.ascontiguousarray(plain, dtype=plain.dtype.newbyteorder("="))


def _writable(table: pd.DataFrame) -> pd.DataFrame:
    """Annotations as a file can hold them; columns that it cannot hold are left out, and named."""
    import pandas as pd

    table = table.copy(deep=False)
    for name in list(table.columns):
        column = table[name]
        if isinstance(column.dtype, pd.StringDtype):
            table[name] = column.astype(object).where(column.notna(), np.nan)
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            table[name] = column.astype(str).where(column.notna(), np.nan)
        elif column.dtype == object:
            kind = pd.api.types.infer_dtype(column, skipna=True)
            if kind in ("boolean", "integer", "floating", "mixed-integer-float"):
                table[name] = column.convert_dtypes()
            elif kind not in ("string", "empty"):
                logger.warning("column %r is left out: it holds %s values", name, kind)
                del table[name]
    return table
