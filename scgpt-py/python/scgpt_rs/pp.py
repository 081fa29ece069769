"""Preprocessing: what the network sees of cells."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ._errors import ScgptError, called
from ._native import bin_values
from .embedder import Embedder, _rows

if TYPE_CHECKING:
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
    depth of sequencing cancels out.

    Parameters
    ----------
    adata : AnnData
        Cells in memory.
    n_bins : int
        Number of bins, with that of zero.
    layer : str, optional
        Layer to bin [default: X].
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

    Examples
    --------
    >>> import scgpt_rs
    >>> cells = scgpt_rs.simulate(cells=60, genes=40, types=2)
    >>> scgpt_rs.pp.bin(cells, n_bins=6)
    >>> int(cells.layers["X_binned"].max())
    5
    """
    matrix = adata.X if layer is None else adata.layers[layer]
    indptr, indices, values = _rows(matrix, adata.n_vars)
    if not np.isfinite(values).all():
        raise ScgptError(f"{layer or 'X'}: holds values that are not finite, expected numbers")
    bins = called(bin_values, indptr, values, n_bins, tie_mode, seed)
    cells = adata.copy() if copy else adata
    cells.layers[key_added] = sparse.csr_matrix((bins, indices, indptr), shape=adata.shape)
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
        Layer to read [default: X].
    gene_column : str, optional
        Column of var with gene names [default: the index].
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

    Examples
    --------
    >>> tokens = scgpt_rs.pp.tokenize(adata, model="scGPT_human")  # doctest: +SKIP
    >>> tokens.genes.shape  # doctest: +SKIP
    (2700, 1200)
    """
    names = adata.var_names if gene_column is None else adata.var[gene_column]
    embedder = Embedder(model, list(names), max_length=max_length, sampling=sampling, tie_mode=tie_mode, seed=seed)
    matrix: Any = adata.X if layer is None else adata.layers[layer]
    genes, values, lengths = called(embedder._native.tokenize, embedder._genes, _rows(matrix, adata.n_vars))
    is_pad = np.arange(genes.shape[1]) >= lengths[:, None]
    return Tokens(genes, values, is_pad, embedder._native.vocabulary())
