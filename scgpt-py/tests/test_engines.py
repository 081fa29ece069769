"""One model, many batches, threads and processes: the same rows."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scgpt_rs import Embedder, ScgptError, read, tl


@pytest.fixture(scope="session")
def embedder(whole, model) -> Embedder:
    return Embedder(model, genes=list(whole.var_names))


@pytest.fixture(scope="session")
def rows(whole, model) -> np.ndarray:
    return tl.embed(whole, model=model, copy=True).obsm["X_scGPT"]


def batch(adata) -> pa.Table:
    """Cells as an engine has them."""
    matrix = adata.X.tocsr()
    offsets = pa.array(matrix.indptr.astype(np.int32))
    return pa.table(
        {
            "cell": adata.obs_names.to_numpy(),
            "indices": pa.ListArray.from_arrays(offsets, pa.array(matrix.indices)),
            "values": pa.ListArray.from_arrays(offsets, pa.array(matrix.data)),
        }
    )


def embedded(table) -> np.ndarray:
    return np.stack(table.column("X_scGPT").to_numpy(zero_copy_only=False))


def test_batches_are_those_of_the_whole(whole, embedder, rows):
    table = embedder(batch(whole))
    assert table.schema.names == ["cell", "X_scGPT"] and pa.types.is_fixed_size_list(table.schema.field(1).type)
    np.testing.assert_array_equal(embedded(table), rows)
    parts = [embedder(part) for part in batch(whole).to_batches(max_chunksize=7)]
    assert all(isinstance(part, pa.RecordBatch) for part in parts)
    np.testing.assert_array_equal(embedded(pa.Table.from_batches(parts)), rows)
    sliced = embedder(batch(whole).slice(11, 5))
    np.testing.assert_array_equal(embedded(sliced), rows[11:16])
    np.testing.assert_array_equal(embedder.embed(whole.X.toarray()[:3]), rows[:3])


def test_it_travels_by_its_path(whole, embedder, rows):
    travelled = pickle.loads(pickle.dumps(embedder))
    np.testing.assert_array_equal(travelled.embed(whole.X[:4]), rows[:4])
    assert travelled.hash == embedder.hash and travelled.width == 32
    assert len(pickle.dumps(embedder)) < 10_000


def test_a_file_is_opened_once_for_many_batches(whole, embedder, rows, folder):
    path = folder / "read.h5ad"
    whole.write_h5ad(path)
    reader = read.Reader(path)
    # What is read is read from the file that was opened, of which nothing is looked for again.
    path.rename(folder / "moved.h5ad")
    assert reader.n_cells == 300 and reader.genes() == list(whole.var_names)
    parts = [embedder(reader.batch(begin, min(begin + 70, 300))) for begin in range(0, 300, 70)]
    table = pa.Table.from_batches(parts)
    assert table["cell"].to_pylist() == list(whole.obs_names)
    np.testing.assert_array_equal(embedded(table), rows)
    with pytest.raises(ScgptError, match="cells 299 to 301: there are 300"):
        reader.batch(299, 301)
    with pytest.raises(ScgptError, match="column `absent`"):
        reader.genes("absent")
    path = (folder / "moved.h5ad").rename(path)
    assert pickle.loads(pickle.dumps(reader)).batch(3, 5).equals(reader.batch(3, 5))
    assert read.batch(path, 3, 5).equals(reader.batch(3, 5))
    with pytest.raises(ScgptError, match="nothing"):
        read.Reader(path, layer="nothing")


def test_what_is_no_batch_is_refused(whole, embedder):
    table = batch(whole)
    with pytest.raises(ScgptError, match="values"):
        embedder(table.drop(["values"]))
    with pytest.raises(ScgptError, match="columns"):
        embedder.embed(whole.X[:, :3])
    uneven = table.slice(0, 1).set_column(2, "values", pa.array([[1.0]]))
    with pytest.raises(ScgptError, match="differ in length"):
        embedder(uneven)
    with pytest.raises(ScgptError, match="precision"):
        Embedder(embedder._model, [], precision="f7")  # type: ignore[arg-type]


def test_threads_share_the_interpreter(whole, model, embedder, rows):
    parts = [whole[begin : begin + 50] for begin in range(0, 300, 50)]
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda part: tl.embed(part, model=model, copy=True), parts))
        direct = list(pool.map(lambda part: embedder.embed(part.X), parts))
    np.testing.assert_array_equal(np.concatenate([copy.obsm["X_scGPT"] for copy in copies]), rows)
    np.testing.assert_array_equal(np.concatenate(direct), rows)


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_thousand_calls_need_no_more_memory_than_a_hundred(whole, embedder):
    cell = whole.X[:1]
    for _ in range(100):
        embedder.embed(cell)
    gc.collect()
    before = resident()
    for _ in range(1000):
        embedder.embed(cell)
    gc.collect()
    assert resident() - before < 8_000_000


def test_the_interpreter_goes_on_while_a_call_works(whole, model):
    ticks = 0
    done = threading.Event()

    def count() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    counting = threading.Thread(target=count)
    counting.start()
    tl.embed(whole, model=model, copy=True)
    done.set()
    counting.join()
    assert ticks > 5
