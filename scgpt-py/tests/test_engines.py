"""One model, many batches, threads and processes: the same rows."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scgpt_rs import Embedder, ScgptError, _open, read, tl


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


def test_paths_hold_in_another_working_directory(whole, model, file, monkeypatch, tmp_path):
    monkeypatch.chdir(file.parent)
    reader = read.Reader(file.name)
    monkeypatch.chdir(model.parent)
    embedder = Embedder(model.name, genes=list(whole.var_names))
    travelling = pickle.dumps((reader, embedder))
    monkeypatch.chdir(tmp_path.parent)
    reader, embedder = pickle.loads(travelling)
    assert embedded(embedder(reader.batch(0, 2))).shape == (2, 32)


def test_a_process_has_a_model_once(whole, model, tmp_path):
    place = Path(shutil.copytree(model, tmp_path / "model"))
    before = len(_open.models)
    embedder = Embedder(place, genes=list(whole.var_names))
    with ThreadPoolExecutor(4) as pool:
        travelled = list(pool.map(pickle.loads, [pickle.dumps(embedder)] * 8))
    assert len(_open.models) == before + 1
    assert {id(it._native) for it in travelled} == {id(embedder._native)}
    short = Embedder(place, genes=[], max_length=8)
    assert short._native is not embedder._native and len(_open.models) == before + 2
    shutil.copy(model / "config.json", tmp_path / "config.json")
    (tmp_path / "config.json").replace(place / "config.json")
    assert Embedder(place, genes=[])._native is not embedder._native, "another is there now"
    del embedder, travelled, short
    gc.collect()
    assert len(_open.models) == before


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


def test_no_cells_have_no_embeddings(whole, embedder):
    table = batch(whole)
    nothing = embedder(table.slice(0, 0))
    assert nothing.num_rows == 0 and nothing.schema == embedder(table.slice(0, 1)).schema
    assert embedder(table.to_batches()[0].slice(0, 0)).schema == nothing.schema
    unknown = pa.table({"indices": pa.array([], pa.null()), "values": pa.array([], pa.null())})
    assert embedder(unknown).schema.field("X_scGPT").type == nothing.schema.field("X_scGPT").type
    for matrix in (whole.X[:0], whole.X.toarray()[:0]):
        assert embedder.embed(matrix).shape == (0, 32)
    with pytest.raises(ScgptError, match="columns"):
        embedder.embed(whole.X[:0, :3])


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, pa.list_view, pa.large_list_view])
@pytest.mark.parametrize("numbers", [(pa.int32(), pa.float32()), (pa.uint16(), pa.int64()), (pa.int64(), pa.float64())])
def test_lists_are_of_any_type(whole, embedder, rows, kind, numbers):
    table = batch(whole)
    for place, (name, of) in enumerate(zip(("indices", "values"), numbers, strict=True), 1):
        table = table.set_column(place, name, pa.array(table[name].to_pylist(), kind(of)))
    np.testing.assert_array_equal(embedded(embedder(table)), rows)
    part = table.to_batches()[0].slice(7, 9).slice(2)
    np.testing.assert_array_equal(embedded(embedder(part)), rows[9:16])


def test_lists_of_one_size_and_missing_ones(whole, embedder):
    few = pa.list_(pa.int32(), 2), pa.list_(pa.float32(), 2)
    columns = [pa.array([[9, 9], [0, 1], None, [2, 5]], few[0]), pa.array([[9, 9], [3, 4], None, [1, 2]], few[1])]
    table = pa.table(columns, names=["indices", "values"]).slice(1)
    matrix = np.zeros((3, whole.n_vars), np.float32)
    matrix[0, [0, 1]], matrix[2, [2, 5]] = (3, 4), (1, 2)
    np.testing.assert_array_equal(embedded(embedder(table)), embedder.embed(matrix))


def test_what_is_no_batch_is_refused(whole, embedder, file):
    table = batch(whole)
    with pytest.raises(ScgptError, match="values"):
        embedder(table.drop(["values"]))
    with pytest.raises(ScgptError, match="columns"):
        embedder.embed(whole.X[:, :3])
    uneven = table.slice(0, 1).set_column(2, "values", pa.array([[1.0]]))
    with pytest.raises(ScgptError, match="differ in length"):
        embedder(uneven)
    with pytest.raises(ScgptError, match="column `indices`: string, expected lists of whole numbers"):
        embedder(table.set_column(1, "indices", table["cell"]))
    with pytest.raises(ScgptError, match="column `values`: list<.*string>, expected lists of numbers"):
        embedder(table.slice(0, 1).set_column(2, "values", pa.array([["1"]])))

    def one(indices: pa.Array, values: pa.Array) -> pa.RecordBatch:
        return pa.record_batch([indices, values], names=["indices", "values"])

    with pytest.raises(ScgptError, match="column `indices`: a number in a list is missing"):
        embedder(one(pa.array([[0, None]]), pa.array([[1.0, 1.0]])))
    for gene in (200, -1, 2**32):
        with pytest.raises(ScgptError, match="200"):
            embedder(one(pa.array([[gene]]), pa.array([[1.0]])))
    with pytest.raises(ScgptError, match="200"):
        embedder(one(pa.array([[-1]], pa.list_(pa.int32())), pa.array([[1.0]])))
    with pytest.raises(ScgptError, match="(?s)DataFrame, expected a matrix of numpy or of scipy.sparse"):
        embedder.embed(whole.to_df())
    with pytest.raises(ScgptError, match="batch_size is -1"):
        Embedder(embedder._model, [], batch_size=-1)
    with pytest.raises(ScgptError, match="begin is -1"):
        read.Reader(file).batch(-1, 1)
    with pytest.raises(ScgptError, match="precision"):
        Embedder(embedder._model, [], precision="f7")  # type: ignore[arg-type]


def test_threads_share_the_interpreter(whole, model, embedder, rows):
    parts = [whole[begin : begin + 50] for begin in range(0, 300, 50)]
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda part: tl.embed(part, model=model, copy=True), parts))
        direct = list(pool.map(lambda part: embedder.embed(part.X), parts))
    np.testing.assert_array_equal(np.concatenate([copy.obsm["X_scGPT"] for copy in copies]), rows)
    np.testing.assert_array_equal(np.concatenate(direct), rows)
    apart = [part.copy() for part in parts]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda part: tl.embed(part, model=model), apart))
    np.testing.assert_array_equal(np.concatenate([part.obsm["X_scGPT"] for part in apart]), rows)


def resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


has_statm = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")


@has_statm
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


@has_statm
def test_two_hundred_commands_need_no_more_memory_than_twenty(whole, model):
    cells = whole[:40].copy()
    # Of 64 kB: kept each time, they would be 13 MB.
    cells.X = cells.X.toarray().astype(np.float64)
    for _ in range(20):
        tl.embed(cells, model=model)
    gc.collect()
    before = resident()
    for _ in range(200):
        tl.embed(cells, model=model)
    gc.collect()
    assert resident() - before < 6_000_000


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
