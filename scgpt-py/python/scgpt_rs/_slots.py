"""What a command wrote of cells becomes slots of an AnnData."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ._errors import ScgptError
from ._names import Names

if TYPE_CHECKING:
    from anndata import AnnData


def take(adata: Any, path: Path, slots: list[str], record: str, names: Names) -> None:
    """Take the named slots of a file over.

    Parameters
    ----------
    adata : AnnData or MuData
        Cells, all or some of which are in the file.
    path
        The file.
    slots
        Paths such as ``obsm/X_scGPT``.
    record
        The call, which stands for the command in ``uns``.
    names
        What files are called.
    """
    written = read(path, names)
    rows = None if written.n_obs == adata.n_obs else _rows(adata, written)
    for slot in slots:
        group, name = slot.split("/", 1)
        value = getattr(written, group)[name]
        if group == "uns" and isinstance(value, dict) and "command" in value:
            value = {**value, "command": record}
            value.pop("output", None)
        if rows is not None:
            value = _spread(group, value, rows, adata)
        if group == "obs":
            # By place, not by name: names may be there twice.
            value = value.array if hasattr(value, "array") else value
        getattr(adata, group)[name] = value


def read(path: Path, names: Names) -> Any:
    """The cells of a file, in whose ``uns`` files have names. That cells are there twice was known before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        cells = _read(path)
    for key, value in list(cells.uns.items()):
        cells.uns[key] = names.of(value)
    return cells


def _read(path: Path) -> Any:
    if path.suffix == ".h5mu":
        import mudata

        return mudata.read_h5mu(path)
    import anndata

    return anndata.read_h5ad(path)


def _rows(adata: AnnData, written: AnnData) -> np.ndarray[Any, Any]:
    """The places of the written cells among all."""
    if not adata.obs_names.is_unique:
        raise ScgptError(
            "names of cells are there twice, so that results of some of them cannot be told apart",
            "adata.obs_names_make_unique(), or choose the cells first: adata[adata.obs[…] == …].copy()",
        )
    return np.asarray(adata.obs_names.get_indexer(written.obs_names))


def _spread(group: str, value: Any, rows: np.ndarray[Any, Any], adata: Any) -> Any:
    """Values of some cells as values of all, missing for the others."""
    import pandas as pd

    n = adata.n_obs
    if group == "obs":
        places = pd.RangeIndex(n)
        return pd.Series(value.array, index=rows).reindex(places)
    if group == "obsm":
        if isinstance(value, pd.DataFrame):
            return value.set_axis(rows).reindex(range(n)).set_axis(adata.obs_names)
        values = value.toarray() if sparse.issparse(value) else np.asarray(value)
        # Of whole numbers none can be missing.
        spread = np.full((n, *values.shape[1:]), np.nan, dtype=np.result_type(values, np.float32))
        spread[rows] = values
        return spread
    if group == "obsp":
        pairs = sparse.coo_matrix(value)
        return sparse.csr_matrix((pairs.data, (rows[pairs.row], rows[pairs.col])), shape=(n, n))
    return value
