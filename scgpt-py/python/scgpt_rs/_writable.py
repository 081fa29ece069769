"""What a file of cells can hold of annotations."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from ._errors import ScgptError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

logger = logging.getLogger("scgpt_rs")


def left_out(place: str, why: str) -> None:
    """Say that a command does not see something."""
    logger.warning("%s is left out: %s", place, why)


def can_be_called(name: Any, place: str) -> bool:
    """Whether a file can have something of that name; if not, it is said to be left out."""
    if not isinstance(name, str):
        left_out(f"{place} {name!r}", "in a file names are text")
    elif "/" in name and not _slashes_are_written():
        left_out(f"{place} {name!r}", "this version of anndata writes no names with a slash")
    else:
        return True
    return False


@cache
def _slashes_are_written() -> bool:
    """Whether anndata writes names with a slash, as it did before 0.13."""
    return can_be_written({"a/b": 1})


def write(cells: Any, path: Path) -> None:
    """Write an AnnData or a MuData, by the name of the file.

    Raises
    ------
    ScgptError
        If anndata cannot write them.
    """
    try:
        (cells.write_h5mu if path.suffix == ".h5mu" else cells.write_h5ad)(path)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Of the disk, not of the cells.
            raise
        import pandas as pd

        texts = pd.Series(["text"])
        is_too_old = texts.dtype != object and not can_be_written(texts.array)
        raise ScgptError(
            f"anndata {version('anndata')} cannot write these cells, with pandas {pd.__version__}: "
            + "; ".join([str(error), *getattr(error, "__notes__", [])]),
            'pandas 3 needs anndata 0.13, or pandas has to be older: pip install "pandas<3"'
            if is_too_old
            else "change what is named, or give the path of a file of the cells",
        ) from error


def table(annotations: pd.DataFrame, place: str) -> pd.DataFrame:
    """Annotations as a file can hold them; columns that it cannot hold are left out, and named."""
    columns = {}
    for number, name in enumerate(annotations.columns):
        column = annotations.iloc[:, number]
        written = _column(column)
        if not can_be_called(name, f"{place}, column"):
            continue
        if written is None or name == "_index":
            left_out(f"column {name!r}", f"{place} of a file cannot hold {_kind(column)}")
        else:
            columns[number] = written
    made = annotations.iloc[:, list(columns)].copy(deep=False)
    made.index = _names(made.index)
    for number, column in enumerate(columns.values()):
        made.isetitem(number, column)
    return made


def _names(index: pd.Index[Any]) -> pd.Index[Any]:
    """Names of rows as Python's texts: categories, and those of pandas 3 or Arrow, not everybody writes or reads."""
    import pandas as pd

    texts = getattr(index, "categories", index)
    is_text = index.dtype != object and pd.api.types.infer_dtype(texts) == "string"
    return pd.Index(index.astype(object), dtype=object, name=index.name) if is_text and not index.hasnans else index


def _kind(column: pd.Series[Any]) -> str:
    import pandas as pd

    if column.dtype == object:
        return f"{pd.api.types.infer_dtype(column, skipna=True)} values"
    if isinstance(column.dtype, pd.CategoricalDtype):
        return f"categories of type {column.cat.categories.dtype}"
    return f"values of type {column.dtype}"


def _column(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """A column as a file can hold it, if it can."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
        return column
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _column(column.astype(str).astype(object).where(column.notna(), np.nan))
    if isinstance(dtype, (pd.StringDtype, pd.ArrowDtype)):
        return _column(column.astype(object).where(column.notna(), np.nan))
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(column)
    if pd.api.types.is_extension_array_dtype(dtype) and pd.api.types.is_float_dtype(dtype):
        # Of nullable numbers older versions of anndata write whole ones alone.
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), index=column.index)
    if dtype == object:
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind in ("boolean", "integer", "floating", "mixed-integer-float"):
            return _column(column.convert_dtypes())
        if kind == "empty":
            return column.astype(np.float64)
        return column if kind == "string" else None
    return column if can_be_written(column.array) else None


def _categorical(column: pd.Series[Any]) -> pd.Series[Any] | None:
    import pandas as pd

    categories = column.cat.categories
    if pd.api.types.infer_dtype(categories) == "string":
        texts = pd.Index(np.asarray(categories, dtype=object), dtype=object)
        dtype = pd.CategoricalDtype(texts, ordered=column.cat.ordered)
        return pd.Series(pd.Categorical.from_codes(column.cat.codes, dtype=dtype), index=column.index)
    return column if can_be_written(column.array) else None


def value(it: Any, place: str) -> Any:
    """A value of ``uns`` as a file can hold it, and None if it cannot."""
    import pandas as pd

    if isinstance(it, Mapping):
        members = {key: value(member, f"{place}/{key}") for key, member in it.items() if can_be_called(key, place)}
        return {key: member for key, member in members.items() if member is not None}
    if isinstance(it, pd.DataFrame):
        it = table(it, place)
    elif is_texts(it):
        return np.asarray(list(it), dtype=object)
    if it is None or can_be_written(it):
        return it
    left_out(place, f"a file cannot hold {type(it).__name__}")
    return None


def is_texts(it: Any) -> bool:
    """Whether something is a list of texts."""
    # Of zarr, anndata reads texts as those of numpy 2, "T".
    if isinstance(it, np.ndarray) and (it.ndim != 1 or it.dtype.kind not in "OUT"):
        return False
    import pandas as pd

    is_list = isinstance(it, (list, tuple, np.ndarray, pd.Index, pd.Series, pd.api.extensions.ExtensionArray))
    return is_list and len(it) > 0 and all(isinstance(text, str) for text in it)


def can_be_written(it: Any) -> bool:
    """Whether anndata has a form for a value in a file."""
    import h5py

    try:
        from anndata.io import write_elem
    except ImportError:
        from anndata.experimental import write_elem

    with warnings.catch_warnings(), h5py.File(io.BytesIO(), "w") as file:
        warnings.simplefilter("ignore")
        # Whatever fails, it is not written.
        with contextlib.suppress(Exception):
            write_elem(file, "value", it)
            return True
    return False
