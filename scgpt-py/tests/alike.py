"""Comparisons to the last bit: of cells, of values, and of folders. What tells of a call alone is left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

#: Fields of the call: its command line and a better one, what it wrote, how fast it was, and whether cells are in a file.
CALL = {"artefact", "better", "cells_per_second", "command", "format", "output", "seconds", "timings"}
#: Cells by their path: in memory they have that of a folder which is gone, or their name as an argument.
CELLS = re.compile(r"[^\s\"<>`]*\bcells\d*\.h5ad")
#: What TensorBoard shows has the times of all it holds, and is named for its process.
EVENTS = "events.out.tfevents."


def same(here: Any, there: Any, at: str = "", places: tuple[Path, ...] = ()) -> None:
    """Two values are one, down to their types; `places` are folders that have the same in them."""
    if isinstance(there, anndata.AnnData):
        assert here.shape == there.shape, at
        for group in ("X", "layers", "obs", "var", "obsm", "varm", "obsp", "varp", "uns"):
            same(getattr(here, group), getattr(there, group), f"{at}/{group}", places)
        assert (here.raw is None) == (there.raw is None), f"{at}/raw"
        if there.raw is not None:
            same(here.raw.X, there.raw.X, f"{at}/raw/X", places)
            same(here.raw.var, there.raw.var, f"{at}/raw/var", places)
    elif isinstance(there, pd.DataFrame):
        pd.testing.assert_frame_equal(here, there, check_exact=True, check_names=False, obj=at)
    elif isinstance(there, Mapping):
        left, right = ({name: it[name] for name in it if name not in CALL} for it in (here, there))
        assert set(left) == set(right), f"{at}: {set(left) ^ set(right)}"
        for name, value in right.items():
            same(left[name], value, f"{at}/{name}", places)
    elif sparse.issparse(there):
        assert sparse.issparse(here) and (here.format, here.dtype) == (there.format, there.dtype), at
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(here, part), getattr(there, part), err_msg=f"{at}/{part}")
    elif isinstance(there, np.ndarray):
        assert here.dtype == there.dtype, at
        np.testing.assert_array_equal(here, there, err_msg=at)
    elif isinstance(there, list):
        assert len(here) == len(there), at
        for number, value in enumerate(there):
            same(here[number], value, f"{at}/{number}", places)
    elif isinstance(there, str):
        assert without_paths(here, places) == without_paths(there, places), at
    else:
        assert type(here) is type(there), at
        np.testing.assert_equal(here, there, err_msg=at)


def without_paths(text: str, places: tuple[Path, ...]) -> str:
    """A text in which cells are called `adata`, and files by their place in a folder."""
    for place in places:
        text = text.replace(f"{place}/", "")
    return CELLS.sub("adata", text)


def same_files(here: Path, there: Path) -> None:
    """Two folders have the same files; texts may differ in where these are, and what is JSON by its fields."""
    left, right = files(here), files(there)
    assert left == right and left
    places = (here, there)
    for name in left:
        both = here / name, there / name
        if EVENTS in name:
            continue
        # Nobody knows the folder in which cells in memory were for a moment.
        assert f"{gettempdir()}/scgpt-".encode() not in both[0].read_bytes(), name
        if name.endswith(".h5ad"):
            same(*map(anndata.read_h5ad, both), name, places)
        elif name.endswith(".json"):
            same(*(json.loads(path.read_text()) for path in both), name, places)
        elif name.endswith(".jsonl"):
            same(*([json.loads(line) for line in path.open()] for path in both), name, places)
        elif name.endswith((".html", ".md", ".toml")):
            texts = [without_paths(path.read_text(), places) for path in both]
            assert texts[0] == texts[1], name
        else:
            assert both[0].read_bytes() == both[1].read_bytes(), name


def files(folder: Path) -> list[str]:
    """Names of all files of a folder; processes and times are no names."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(EVENTS if EVENTS in name else name for name in found)
