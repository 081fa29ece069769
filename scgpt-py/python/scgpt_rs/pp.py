"""Preprocessing: what the network sees of cells."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from . import _rows
from ._errors import ScgptError, called
from ._native import bin_values
from ._whole import whole
from .embedder import Embedder

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["Tokens", "bin", "tokenize"]


@dataclass(frozen=True)
class Tokens:
    """Cells as the network sees them.

    Attributes
    ----------
    genes : array of int32, [n, t]
        Gene tokens; the first of a cell is ``<cls>``.
    values : array of float32, [n, t]
        Their value bins.
    is_pad : array of bool, [n, t]
        What is padding.
    vocabulary : list of str
        Names of all tokens, by their numbers.
    """

    genes: NDArray[np.int32]
    values: NDArray[np.float32]
    is_pad: NDArray[np.bool_]
    vocabulary: list[str]


def bin(
    adata: AnnData,
    *,
    n_bins: int = 51,
    layer: str | None = None,
    key_added: str = "X_binned",
    tie_mode: Literal["upper", "random", "midpoint"] = "upper",
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Value bins of each cell: layers["X_binned"].

    Zero stays 0; the other values of a cell become 1 to ``n_bins - 1`` by their quantiles within the cell, so that the
    depth of sequencing cancels out. Values that a sparse matrix has several of are added up first. The layer is a
    matrix of its own, whatever becomes of the other.

    Parameters
    ----------
    adata : AnnData
        Cells in memory.
    n_bins : int
        Number of bins, with that of zero.
    layer : str, optional
        Matrix to bin: X, raw if it has the same genes, or the name of a layer [default: X].
    key_added : str
        Layer of the bins.
    tie_mode : {'upper', 'random', 'midpoint'}
        What happens to values on a bin edge.
    seed : int
        Seed of random ties.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None or AnnData
        The copy if ``copy`` is set, else nothing.

    Raises
    ------
    ScgptError
        If there is no such matrix in memory, its genes are others, a value is not finite, or an argument cannot work.

    Examples
    --------
    >>> import scgpt_rs
    >>> cells = scgpt_rs.simulate(cells=60, genes=40, types=2)
    >>> scgpt_rs.pp.bin(cells, n_bins=6)
    >>> int(cells.layers["X_binned"].max())
    5
    """
    matrix, var = _matrix(adata, layer)
    if not var.index.equals(adata.var_names):
        raise ScgptError(
            f"raw has other genes than X ({len(var)}, not {adata.n_vars}), expected the same: a layer has those of X",
            "bin the cells of raw by themselves: `adata.raw.to_adata()`",
        )
    indptr, indices, values = _rows.of_matrix(matrix, adata.n_vars, layer or "X")
    if not np.isfinite(values).all():
        raise ScgptError(f"{layer or 'X'}: holds values that are not finite, expected numbers")
    bins = called(bin_values, indptr, values, whole("n_bins", n_bins, 2**16), tie_mode, whole("seed", seed))
    cells = adata.copy() if copy else adata
    # Of the arrays, those of genes may be X's own.
    arrays = (bins, indices.view(np.int32), indptr)
    cells.layers[key_added] = sparse.csr_matrix(arrays, shape=adata.shape, copy=True)
    return cells if copy else None


def tokenize(
    adata: AnnData,
    *,
    model: str | PathLike[str],
    layer: str | None = None,
    gene_column: str | None = None,
    max_length: int | None = None,
    sampling: Literal["keyed", "head"] = "keyed",
    tie_mode: Literal["upper", "random", "midpoint"] = "upper",
    seed: int = 0,
) -> Tokens:
    """Tokens of each cell, as a model sees them.

    Parameters
    ----------
    adata : AnnData
        Cells in memory.
    model : path
        Model directory, or the name or address of one.
    layer : str, optional
        Matrix: X, raw, or the name of a layer [default: X].
    gene_column : str, optional
        Column of var, or of that of raw, with gene names [default: the index].
    max_length : int, optional
        Most tokens per cell [default: the model's].
    sampling : {'keyed', 'head'}
        Which genes are kept when a cell has more than fit.
    tie_mode : {'upper', 'random', 'midpoint'}
        What happens to values on a bin edge.
    seed : int
        Seed of every random choice.

    Returns
    -------
    Tokens
        Genes, values and padding.

    Raises
    ------
    ScgptError
        If there is no such matrix in memory, the model cannot be opened or does not know the genes, or an argument
        cannot work.

    Examples
    --------
    >>> tokens = scgpt_rs.pp.tokenize(adata, model="scGPT_human")  # doctest: +SKIP
    >>> tokens.genes.shape  # doctest: +SKIP
    (2700, 1200)
    """
    matrix, var = _matrix(adata, layer)
    if gene_column is not None and gene_column not in var:
        raise ScgptError(f"var has no column `{gene_column}`, expected one of {', '.join(map(str, var)) or 'none'}")
    column = var.index if gene_column is None else var[gene_column]
    names = ["" if is_missing else name for name, is_missing in zip(column, column.isna(), strict=True)]
    rows = _rows.of_matrix(matrix, len(names), layer or "X")
    embedder = Embedder(model, names, max_length=max_length, sampling=sampling, tie_mode=tie_mode, seed=seed)
    genes, values, lengths = called(embedder._native.tokenize, embedder._genes, rows)
    is_pad = np.arange(genes.shape[1]) >= lengths[:, None]
    return Tokens(genes, values, is_pad, embedder._native.vocabulary())


def _matrix(adata: AnnData, layer: str | None) -> tuple[Any, pd.DataFrame]:
    """A matrix, by the names that it has in files, and the annotations of its genes."""
    if layer in (None, "X"):
        if adata.X is None:
            raise ScgptError("the cells have no X, expected a layer by its name")
        return adata.X, adata.var
    if layer == "raw":
        if adata.raw is None:
            raise ScgptError("the cells have no raw, expected X or the name of a layer")
        return adata.raw.X, adata.raw.var
    if layer not in adata.layers:
        # To anndata 0.13 and later X is a layer, too, that has no name.
        layers = [str(name) for name in adata.layers if name is not None]
        known = ", ".join(["X", *(["raw"] if adata.raw is not None else []), *layers])
        raise ScgptError(f"there is no layer `{layer}`, expected one of {known}")
    return adata.layers[layer], adata.var
