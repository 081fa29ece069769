"""What a command wrote of cells becomes slots of an AnnData."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from ._errors import ScgptError

if TYPE_CHECKING:
    from anndata import AnnData


def take(adata: Any, path: Path, slots: list[str], record: str) -> None:
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
    """
    written = read(path)
    rows = None if written.n_obs == adata.n_obs else _rows(adata, written)
    for slot in slots:
        group, name = slot.split("/", 1)
        value = getattr(written, group)[name]
        if group == "uns" and isinstance(value, dict) and "command" in value:
            value = {**value, "command": record}
            value.pop("output", None)
        if rows is not None:
            value = _spread(group, value, rows, adata.n_obs)
        if group == "obs":
            # By place, not by name: names may be there twice.
            value = value.array if hasattr(value, "array") else value
        getattr(adata, group)[name] = value


def read(path: Path) -> Any:
    """The cells of a file. That names are there twice was known before it was written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return _read(path)


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


def _spread(group: str, value: Any, rows: np.ndarray[Any, Any], n: int) -> Any:
    """Values of some cells as values of all, missing for the others."""
    import pandas as pd

    if group == "obs":
        places = pd.RangeIndex(n)
        return pd.Series(value.array, index=rows).reindex(places)
    if group == "obsm":
        spread = np.full((n, *value.shape[1:]), np.nan, dtype=value.dtype)
        spread[rows] = value
        return spread
    if group == "obsp":
        pairs = sparse.coo_matrix(value)
        return sparse.csr_matrix((pairs.data, (rows[pairs.row], rows[pairs.col])), shape=(n, n))
    return value
