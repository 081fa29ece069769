"""What files hold, and cells of them some at a time."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from . import _call, _native
from ._cells import Cells
from ._errors import ScgptError
from ._result import Result

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["batch", "inspect", "shape"]


def inspect(adata: Cells, *, model: str | PathLike[str] | None = None) -> Result:
    """Tell what is in a file, or in cells in memory, and which genes a model knows.

    Parameters
    ----------
    adata : AnnData, MuData or path
        Cells in memory, or a file or folder of them.
    model : path, optional
        Model directory, or the name or address of one.

    Returns
    -------
    Result
        Format, numbers of cells and genes, matrices, columns.

    Examples
    --------
    >>> import scgpt_rs
    >>> cells = scgpt_rs.simulate(cells=60, genes=40, types=2)
    >>> scgpt_rs.read.inspect(cells)["cells"]
    60
    """
    words = [] if model is None else [f"--model={model}"]
    return _call.to_folder(["inspect"], {"": adata}, None, words)


def shape(
    path: str | PathLike[str], *, layer: str | None = None, gene_column: str | None = None
) -> tuple[int, list[str]]:
    """The number of cells of a file, and the names of its genes.

    Parameters
    ----------
    path : path
        File or folder of cells of any format, or its address.
    layer : str, optional
        Matrix: X, raw, or the name of a layer [default: X].
    gene_column : str, optional
        Column of var with gene names [default: the index].

    Returns
    -------
    n_cells : int
        Number of cells.
    genes : list of str
        Names of the genes, by their numbers in :func:`batch`.

    Examples
    --------
    >>> n_cells, genes = scgpt_rs.read.shape("cells.zarr")  # doctest: +SKIP
    """
    try:
        return _native.read_shape(path, layer or "X", gene_column)
    except ValueError as error:
        raise ScgptError(str(error)) from None


def batch(path: str | PathLike[str], begin: int, end: int, *, layer: str | None = None) -> pa.RecordBatch:
    """Some consecutive cells of a file, as engines hand them on.

    No more of the file is read than these cells need.

    Parameters
    ----------
    path : path
        File or folder of cells of any format, or its address.
    begin, end : int
        The first cell, and the one behind the last.
    layer : str, optional
        Matrix: X, raw, or the name of a layer [default: X].

    Returns
    -------
    pyarrow.RecordBatch
        Columns ``cell`` (names), ``indices`` and ``values`` (lists, of the expressed genes and of their counts).

    Examples
    --------
    >>> scgpt_rs.read.batch("cells.zarr", 0, 1000)  # doctest: +SKIP
    """
    import pyarrow as pa

    try:
        names, indptr, indices, values = _native.read_rows(path, layer or "X", begin, end)
    except ValueError as error:
        raise ScgptError(str(error)) from None
    lists = [pa.LargeListArray.from_arrays(indptr, part) for part in (pa.array(indices), pa.array(values))]
    return pa.RecordBatch.from_arrays([pa.array(names), *lists], names=["cell", "indices", "values"])
