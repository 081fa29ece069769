"""What files hold, and cells of them some at a time."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from . import _call, _native
from ._cells import Cells
from ._errors import called
from ._places import lasting
from ._result import Result
from ._whole import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

__all__ = ["Reader", "batch", "inspect", "shape"]


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


class Reader:
    """A file of cells that stays open, of which engines read some at a time.

    The names of all cells are read once, and of the matrix what a batch needs. It pickles by the path of the file, from
    the root on, and is opened again where it is unpickled.

    Parameters
    ----------
    path : path
        File or folder of cells of any format, or its address.
    layer : str, optional
        Matrix: X, raw, or the name of a layer [default: X].

    Raises
    ------
    ScgptError
        If the file cannot be read, or has no such matrix.

    Examples
    --------
    >>> reader = scgpt_rs.read.Reader("cells.zarr")  # doctest: +SKIP
    >>> reader.batch(0, 1000)  # doctest: +SKIP
    """

    def __init__(self, path: str | PathLike[str], *, layer: str | None = None) -> None:
        self._place = (lasting(path), layer)
        self._native = called(_native.Reader, path, layer or "X")

    def __reduce__(self) -> tuple[Callable[[str, str | None], Reader], tuple[str, str | None]]:
        return _reopened, self._place

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self._native.n_cells

    def genes(self, gene_column: str | None = None) -> list[str]:
        """Names of the genes, by their numbers in a batch.

        Parameters
        ----------
        gene_column : str, optional
            Column of var with gene names [default: the index].
        """
        return called(self._native.genes, gene_column)

    def batch(self, begin: int, end: int) -> pa.RecordBatch:
        """Some consecutive cells, as engines hand them on.

        Parameters
        ----------
        begin, end : int
            The first cell, and the one behind the last.

        Returns
        -------
        pyarrow.RecordBatch
            Columns ``cell`` (names), ``indices`` and ``values`` (lists, of the expressed genes and of their counts).
        """
        import pyarrow as pa

        names, indptr, indices, values = called(self._native.rows, whole("begin", begin), whole("end", end))
        lists = [pa.LargeListArray.from_arrays(indptr, part) for part in (pa.array(indices), pa.array(values))]
        return pa.RecordBatch.from_arrays([pa.array(names), *lists], names=["cell", "indices", "values"])


def _reopened(path: str, layer: str | None) -> Reader:
    return Reader(path, layer=layer)


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
    reader = Reader(path, layer=layer)
    return reader.n_cells, reader.genes(gene_column)


def batch(path: str | PathLike[str], begin: int, end: int, *, layer: str | None = None) -> pa.RecordBatch:
    """Some consecutive cells of a file that is opened for them alone; of several batches see :class:`Reader`.

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
    return Reader(path, layer=layer).batch(begin, end)
