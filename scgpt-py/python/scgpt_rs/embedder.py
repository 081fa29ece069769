"""A model that is opened once and embeds batch after batch, for engines that run on many machines."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import _call, _open, _rows
from ._errors import called
from ._places import lasting
from ._whole import whole


class Embedder:
    """Embeds batches of cells with one model, which a process opens once.

    It is called with a pyarrow ``RecordBatch`` or ``Table`` that has a row a cell, and gives the same back with a column
    of embeddings; or with a matrix, and gives the embeddings. It pickles by the path of the model, which is opened where
    it is unpickled; all embedders of a process that have the same model and options share it, and the last one closes
    it. Rows do not depend on batches, threads or processes. Ctrl-C ends the call between two batches of cells.

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
            "max_length": None if max_length is None else whole("max_length", max_length),
            "batch_size": whole("batch_size", batch_size),
            "sampling": sampling,
            "tie_mode": tie_mode,
            "seed": whole("seed", seed),
        }
        self._model = lasting(model)
        self._genes = [str(gene) for gene in genes]
        self._key = key_added
        self._open()

    def _open(self) -> None:
        self._native = _open.model(_here(self._model), **self._options)

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
        """Embeddings ``[n, d]`` of counts.

        Parameters
        ----------
        matrix : matrix of numpy or scipy.sparse, [n, genes]
            Counts in memory; CSR of int32 and float32 is not copied.
        """
        return called(self._native.embed, self._genes, _rows.of_matrix(matrix, len(self._genes)))

    def __call__(self, batch: Any) -> Any:
        """The batch with a column of embeddings.

        Parameters
        ----------
        batch : pyarrow.RecordBatch, pyarrow.Table or matrix
            Columns ``indices`` and ``values`` are lists of the expressed genes of each cell and of their counts. They
            may be lists, large, of fixed size or views, of any type of number (int32 and float32 are not copied), and
            slices. A missing list is a cell that expresses nothing; a missing number is refused.

        Returns
        -------
        pyarrow.RecordBatch, pyarrow.Table or array
            The same without both columns and with the embeddings; of a matrix, the embeddings. Of no cells there are none.
        """
        if not hasattr(batch, "schema"):
            return self.embed(batch)
        import pyarrow as pa

        # Of no cells, nothing is known of what the columns would hold.
        rows = _rows.of_batch(batch, len(self._genes)) if batch.num_rows else _rows.NONE
        embedded = called(self._native.embed, self._genes, rows)
        column = pa.FixedSizeListArray.from_arrays(pa.array(embedded.reshape(-1)), self.width)
        left = [name for name in batch.schema.names if name not in ("indices", "values", self._key)]
        arrays = [batch.column(name) for name in left]
        kind = pa.RecordBatch if isinstance(batch, pa.RecordBatch) else pa.Table
        return kind.from_arrays([*arrays, column], names=[*left, self._key])


def _here(model: str) -> str:
    """The folder of a model; one that is named, or is at an address, is fetched first."""
    if Path(model).exists():
        return model
    folder = _call.run(["models", "pull", model])["result"].get("folder")
    return str(folder) if folder else model
