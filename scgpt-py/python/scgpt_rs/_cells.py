"""Cells that are lent to a command: a small file has their annotations, and numpy keeps their matrices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from scipy import sparse

from . import _writable
from ._errors import ScgptError
from ._native import Loan

if TYPE_CHECKING:
    from anndata import AnnData

#: Cells in memory (AnnData, MuData), or the path or address of a file or folder of cells.
Cells: TypeAlias = Union["AnnData", Any, str, PathLike[str]]

#: What commands read of ``uns``, beside colours and lists of names.
_READ = {"rank_genes_groups_cov_all"}


def is_path(cells: Cells) -> bool:
    """Whether cells are in a file."""
    return isinstance(cells, (str, PathLike))


def is_mudata(cells: Cells) -> bool:
    """Whether cells have several modalities."""
    return hasattr(cells, "mod") and hasattr(cells, "obs")


@contextmanager
def lent(cells: Cells, folder: Path, name: str, *, layer: str | None = None, whole: bool = False) -> Iterator[str]:
    """Cells as a path that a command reads, while the block lasts.

    Parameters
    ----------
    cells
        Cells in memory, or a path.
    folder
        Folder for what has to be written.
    name
        What the file is called.
    layer
        The matrix that is read; of others, those that cannot be lent are left out.
    whole
        Whether the command writes all there is of the cells, not what it finds alone.
    """
    if isinstance(cells, (str, PathLike)):
        yield fspath(cells)
        return
    held: Any = cells
    shell = _Shell(layer, whole)
    backing = None
    if is_mudata(held):
        path = folder / f"{name}.h5mu"
        from mudata import MuData

        made = MuData({key: shell.of(part, f"mod/{key}/") for key, part in held.mod.items()})
        made.obs = _writable.table(held.obs, "obs")
        _writable.write(made, path)
    elif hasattr(held, "obs") and hasattr(held, "var"):
        path = folder / f"{name}.h5ad"
        if held.isbacked and held.is_view:
            held = held.to_memory()
        if held.isbacked:
            backing = held.filename
        _writable.write(shell.of(held, ""), path)
    else:
        raise ScgptError(f"{type(held).__name__}: expected an AnnData, a MuData, or a path to a file of cells")
    with Loan(path, shell.arrays, backing):
        yield fspath(path)


class _Shell:
    """Cells with empty matrices, and the numbers of these by their places in the file."""

    def __init__(self, layer: str | None, whole: bool) -> None:
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        place = {None: "X", "X": "X", "raw": "raw/X"}
        #: The place of the matrix that is read.
        self._read = place.get(layer, f"layers/{layer}")
        self._whole = whole

    def of(self, cells: AnnData, prefix: str) -> AnnData:
        """The shell of cells whose place in the file begins so."""
        from anndata import AnnData

        def matrices(group: str) -> dict[str, Any]:
            # To anndata 0.13 and later X is a layer, too, that has no name.
            named = {key: it for key, it in getattr(cells, group).items() if key is not None}
            named = {key: it for key, it in named.items() if _writable.can_be_called(key, group)}
            found = {key: self._empty(it, prefix, f"{group}/{key}") for key, it in named.items()}
            return {key: it for key, it in found.items() if it is not None}

        # Of backed cells these stay in their file.
        is_lent = not cells.isbacked
        shell = AnnData(
            X=self._empty(cells.X, prefix, "X", is_lent=is_lent),
            obs=_writable.table(cells.obs, "obs"),
            var=_writable.table(cells.var, "var"),
            layers=matrices("layers"),
            obsm=self._beside(cells.obsm, prefix, "obsm"),
            uns=self._uns(cells.uns),
        )
        if self._whole:
            for name, it in self._beside(cells.varm, prefix, "varm").items():
                shell.varm[name] = it
            for group in ("obsp", "varp"):
                for name, it in matrices(group).items():
                    getattr(shell, group)[name] = it
        raw = None if cells.raw is None else self._empty(cells.raw.X, prefix, "raw/X", is_lent=is_lent)
        if raw is not None:
            shell.raw = AnnData(X=raw, obs=shell.obs[[]], var=_writable.table(cells.raw.var, "raw/var"))
        return shell

    def _empty(self, matrix: Any, prefix: str, place: str, *, is_lent: bool = True) -> Any:
        """A matrix without values in the place of one that is lent, if there is one that can be."""
        if matrix is None:
            return None
        if is_lent:
            try:
                self.arrays.update(_numbers(matrix, prefix, place))
            except ScgptError as error:
                if place == self._read:
                    raise
                _writable.left_out(place, error.message.removeprefix(f"{place}: "))
                return None
        is_by_columns = sparse.issparse(matrix) and matrix.format == "csc"
        kind = sparse.csc_matrix if is_by_columns else sparse.csr_matrix
        return kind(tuple(matrix.shape), dtype=np.float32)

    def _beside(self, found: Mapping[str, Any], prefix: str, group: str) -> dict[str, Any]:
        """What is beside cells, or genes: arrays are lent, all else is written."""
        import pandas as pd

        made: dict[str, Any] = {}
        for name, it in found.items():
            place = f"{group}/{name}"
            if not _writable.can_be_called(name, group):
                continue
            if isinstance(it, np.ndarray) and it.ndim == 2 and _is_numeric(it.dtype):
                self.arrays[prefix + place] = _native(it, place)
                made[name] = np.empty((len(it), 0), dtype=np.float32)
            elif isinstance(it, pd.DataFrame):
                made[name] = _writable.table(it, place)
            elif _writable.can_be_written(it):
                made[name] = it
            else:
                _writable.left_out(place, f"a file cannot hold {type(it).__name__}")
        return made

    def _uns(self, uns: Mapping[str, Any]) -> dict[str, Any]:
        def is_read(name: str, it: Any) -> bool:
            return self._whole or name in _READ or name.endswith("_colors") or _writable.is_texts(it)

        read = {name: it for name, it in uns.items() if is_read(str(name), it) and _writable.can_be_called(name, "uns")}
        made = {name: _writable.value(it, f"uns/{name}") for name, it in read.items()}
        return {name: it for name, it in made.items() if it is not None}


def _numbers(matrix: Any, prefix: str, place: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """The arrays of a matrix by their places, copied only where they are not contiguous by rows."""
    if sparse.issparse(matrix):
        if matrix.format not in ("csr", "csc"):
            matrix = matrix.tocsr()
        return {
            f"{prefix}{place}/{part}": _native(getattr(matrix, part), place) for part in ("data", "indices", "indptr")
        }
    if isinstance(matrix, np.ndarray) and matrix.ndim == 2:
        return {prefix + place: _native(matrix, place)}
    raise ScgptError(
        f"{place}: a matrix of type {type(matrix).__module__}.{type(matrix).__name__}, expected one of numpy or of "
        "scipy.sparse",
        "compute it first (`.compute()` of dask), or give the path of a file of the cells, which is read as a stream",
    )


def _native(array: Any, place: str) -> np.ndarray[Any, Any]:
    plain = np.asarray(array)
    if not _is_numeric(plain.dtype):
        raise ScgptError(
            f"{place}: holds {plain.dtype}, expected numbers",
            'store the counts as numbers, for example adata.X.astype("float32")',
        )
    return np.ascontiguousarray(plain, dtype=plain.dtype.newbyteorder("="))


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8
