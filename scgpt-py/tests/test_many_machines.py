"""The examples of `docs/engines.md`, engines and plain files: two workers each, and the rows of one process."""

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


def by_engine(engine: str, cells: Path, model: Path, output: Path) -> tuple[list[str], np.ndarray]:
    """Names and rows, by the example for an engine."""
    pytest.importorskip(engine)
    line = [sys.executable, EXAMPLES / f"embed_{engine}.py", cells, model, output, "2"]
    subprocess.run(line, check=True, timeout=600)
    table = pyarrow.parquet.read_table(output).sort_by("place")
    return table["cell"].to_pylist(), np.stack(table["X_scGPT"].to_numpy(zero_copy_only=False))


def by_parts(cells: Path, model: Path, output: Path) -> tuple[list[str], np.ndarray]:
    """Names and rows, by two processes at once that know nothing of each other, and their files joined."""
    output.mkdir()
    line = [sys.executable, "-m", "scgpt_rs", "embed", cells, "-m", model, "--key", "X_parts", "--threads", "1"]
    workers = [subprocess.Popen([*line, "--quiet", "--part", f"{part}/2", "-o", f"{output}/"]) for part in (1, 2)]
    assert [worker.wait(timeout=600) for worker in workers] == [0, 0]
    program("join", f"{output}/", "--into", cells, "-o", output / "joined.h5ad")
    joined = anndata.read_h5ad(output / "joined.h5ad")
    return list(joined.obs_names), joined.obsm["X_parts"]


@pytest.mark.parametrize("way", ["ray", "dask", "parts"])
def test_rows_are_those_of_one_process(folder, model, cells, way):
    output = folder / way
    names, rows = by_parts(cells, model, output) if way == "parts" else by_engine(way, cells, model, output)
    whole = anndata.read_zarr(cells)
    assert names == list(whole.obs_names)
    np.testing.assert_array_equal(rows, whole.obsm["X_scGPT"])
