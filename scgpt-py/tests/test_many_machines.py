"""The examples of `docs/engines.md`: two workers each, and the rows of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pyarrow.parquet
import pytest

import scgpt_rs
from conftest import program

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def cells(folder: Path, model: Path) -> Path:
    """20 000 cells as AnnData-zarr."""
    path = folder / "many.h5ad"
    scgpt_rs.simulate(cells=20_000, genes=200, types=3, seed=8, output=path)
    program("embed", path, "-m", model, "-o", folder / "many.zarr", "--no-report")
    return folder / "many.zarr"


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_rows_are_those_of_one_process(folder, model, cells, engine):
    pytest.importorskip(engine)
    output = folder / engine
    line = [sys.executable, EXAMPLES / f"embed_{engine}.py", cells, model, output, "2"]
    subprocess.run(line, check=True, timeout=600)
    table = pyarrow.parquet.read_table(output).sort_by("place")
    whole = anndata.read_zarr(cells)
    assert table["cell"].to_pylist() == list(whole.obs_names)
    rows = np.stack(table["X_scGPT"].to_numpy(zero_copy_only=False))
    np.testing.assert_array_equal(rows, whole.obsm["X_scGPT"])
