"""Cells in memory, however they are held, are read as their file is."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scgpt_rs
from conftest import program
from scgpt_rs import ScgptError, _writable, tl


@pytest.fixture(scope="session")
def expected(folder: Path, whole: anndata.AnnData, model: Path) -> np.ndarray:
    """What the command line says of the file."""
    whole.write_h5ad(folder / "whole.h5ad")
    program("embed", folder / "whole.h5ad", "--model", model, "-o", folder / "embedded.h5ad", "--no-report")
    return anndata.read_h5ad(folder / "embedded.h5ad").obsm["X_scGPT"]


def dense(adata: anndata.AnnData) -> None:
    adata.X = adata.X.toarray()


def fortran(adata: anndata.AnnData) -> None:
    adata.X = np.asfortranarray(adata.X.toarray())


def by_columns(adata: anndata.AnnData) -> None:
    adata.X = adata.X.tocsc()


def whole_numbers(adata: anndata.AnnData) -> None:
    adata.X = adata.X.astype(np.int64)


def doubles(adata: anndata.AnnData) -> None:
    adata.X = adata.X.astype(np.float64)


def sparse_array(adata: anndata.AnnData) -> None:
    try:
        adata.X = sparse.csr_array(adata.X)
    except ValueError:
        pytest.skip("this anndata holds no sparse arrays")


def wide_indices(adata: anndata.AnnData) -> None:
    adata.X.indices = adata.X.indices.astype(np.int64)
    adata.X.indptr = adata.X.indptr.astype(np.int64)


def other_bytes(adata: anndata.AnnData) -> None:
    adata.X = adata.X.toarray().astype(">f4")


def untouched(adata: anndata.AnnData) -> None:
    pass


@pytest.mark.parametrize(
    "held",
    [untouched, dense, fortran, by_columns, whole_numbers, doubles, sparse_array, wide_indices, other_bytes],
)
def test_every_way_to_hold_a_matrix(adata, model, expected, held):
    held(adata)
    before = adata.X.copy()
    assert tl.embed(adata, model=model) is None
    assert adata.obsm["X_scGPT"].dtype == np.float32
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    assert (adata.X != before).sum() == 0
    assert adata.uns["scgpt"]["command"] == f"scgpt_rs.tl.embed(adata, model={str(model)!r})"


def test_views_copies_and_files(adata, model, expected, file):
    view = adata[::3]
    tl.embed(view, model=model)
    np.testing.assert_array_equal(view.obsm["X_scGPT"], expected[::3])
    assert "X_scGPT" not in adata.obsm
    copied = tl.embed(adata, model=model, copy=True, key_added="X_own")
    assert "X_own" not in adata.obsm
    np.testing.assert_array_equal(copied.obsm["X_own"], expected)
    np.testing.assert_array_equal(tl.embed(file, model=model).obsm["X_scGPT"], expected)


def test_backed(file, model, expected):
    backed = anndata.read_h5ad(file, backed="r")
    tl.embed(backed, model=model)
    np.testing.assert_array_equal(backed.obsm["X_scGPT"], expected)
    some = anndata.read_h5ad(file, backed="r")[10:20]
    np.testing.assert_array_equal(tl.embed(some, model=model, copy=True).obsm["X_scGPT"], expected[10:20])


def test_layers_and_raw(adata, model, expected):
    adata.layers["counts"] = adata.X.copy()
    adata.raw = adata.copy()
    adata = adata[:, :50].copy()
    adata.X.data[:] = 1
    tl.embed(adata, model=model, layer="raw")
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    tl.embed(adata, model=model, layer="counts", key_added="X_few")
    assert not np.array_equal(adata.obsm["X_few"], expected)


def test_some_of_the_cells(adata, model, expected):
    tl.embed(adata, model=model, where="batch = 'batch_1'", umap=True, leiden=True)
    chosen = (adata.obs["batch"] == "batch_1").to_numpy()
    assert 0 < chosen.sum() < len(chosen)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][chosen], expected[chosen])
    assert np.isnan(adata.obsm["X_scGPT"][~chosen]).all()
    assert adata.obs["leiden"].notna().to_numpy().tolist() == chosen.tolist()
    distances = adata.obsp["distances"]
    assert distances.indices.dtype == distances.indptr.dtype
    assert distances.shape == (300, 300) and distances[~chosen].nnz == 0 and distances[chosen].nnz > 0
    adata.obs_names = ["same"] * 300
    with pytest.raises(ScgptError, match="obs_names_make_unique"):
        tl.embed(adata, model=model, where="batch = 'batch_1'")


def test_clusters_of_cells_of_one_name(adata, model):
    adata.obs_names = ["same"] * 300
    adata.var_names = [adata.var_names[0], *adata.var_names[:-1]]
    adata.var["symbol"] = adata.var_names
    tl.embed(adata, model=model, min_genes=0.0, leiden=1.0)
    assert adata.obs["leiden"].notna().all()


def test_annotations_of_all_kinds(adata, model, expected, caplog):
    adata.obs["text"] = pd.array(["a", None] * 150, dtype="string")
    adata.obs["when"] = pd.Timestamp("2024-01-01")
    adata.obs["maybe"] = pd.array([True, None, False] * 100, dtype="boolean")
    adata.obs["mixed"] = [1, "b", None] * 100
    adata.obs["things"] = [object()] * 300
    adata.obs["numbers"] = pd.Series([1, None, 3] * 100, index=adata.obs_names, dtype=object)
    adata.uns["whatever"] = {"a": object()}
    before = adata.obs.copy()
    with caplog.at_level(logging.WARNING, logger="scgpt_rs"):
        tl.embed(adata, model=model)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    assert "'things' is left out" in caplog.text
    pd.testing.assert_frame_equal(adata.obs, before)


@pytest.mark.parametrize("kind", ["python", "string", "string[pyarrow]", "arrow", "category", "category of string"])
def test_texts_of_every_kind(adata, model, expected, tmp_path, kind):
    if kind not in ("python", "string", "category"):
        pytest.importorskip("pyarrow")

    def held(texts: object) -> pd.Series:
        series = pd.Series(texts, dtype=object)
        if kind == "arrow":
            import pyarrow

            return series.astype(pd.ArrowDtype(pyarrow.string()))
        for word in reversed(kind.split(" of ")):
            series = series if word == "python" else series.astype(word)
        return series

    adata.obs["text"] = held(["a", None, "b"] * 100).array
    adata.obs["nothing"] = held([None] * 300).array
    adata.obs["each"] = held(list(adata.obs_names)).array
    adata.var["symbol"] = held(list(adata.var_names)).array
    adata.obs.index = pd.Index(held(list(adata.obs_names)), name="barcode")
    adata.var.index = pd.Index(held([f"other_{number}" for number in range(200)]))
    before = adata.obs.copy()
    tl.embed(adata, model=model, gene_column="symbol", where="text = 'a'")
    pd.testing.assert_frame_equal(adata.obs, before)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"][::3], expected[::3])
    assert np.isnan(adata.obsm["X_scGPT"]).all(axis=1).sum() == 200
    tl.convert(adata, output=tmp_path / "texts.h5ad")
    there = anndata.read_h5ad(tmp_path / "texts.h5ad")
    assert list(there.obs_names) == list(there.obs["each"]) == list(before["each"])
    assert there.obs["text"].isna().tolist() == [False, True, False] * 100 and there.obs["nothing"].isna().all()
    assert list(there.var["symbol"]) == list(adata.var["symbol"]) and there.obs_names.name == "barcode"


def test_numbers_and_times_of_arrow(adata, model):
    pa = pytest.importorskip("pyarrow")
    when = [pd.Timestamp("2024-01-01"), None, pd.Timestamp("2024-01-02")] * 100
    for name, of, values in [
        ("whole", pa.int32(), [1, None, 3] * 100),
        ("half", pa.float32(), [1.5, None, 3.0] * 100),
        ("flag", pa.bool_(), [True, None, False] * 100),
        ("when", pa.timestamp("us"), when),
    ]:
        adata.obs[name] = pd.array(values, dtype=pd.ArrowDtype(of))
    said = scgpt_rs.read.inspect(adata).values["obs"]
    kinds = {"whole": "integer", "half": "float", "flag": "boolean", "when": "categorical"}
    assert {name: said[name] for name in kinds} == kinds
    tl.embed(adata, model=model, where="whole > 2")
    assert np.isfinite(adata.obsm["X_scGPT"]).all(axis=1).sum() == 100


def test_x_may_be_a_layer_without_a_name(adata, model, expected):
    # As anndata 0.13 has it.
    adata.layers["counts"] = adata.X.copy()
    if None not in adata.layers:
        adata.layers._data[None] = adata.X
    assert None in adata.layers
    tl.embed(adata, model=model, layer="counts")
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    with pytest.raises(ScgptError, match="expected one of X, counts$"):
        scgpt_rs.pp.bin(adata, layer="other")


def test_names_with_a_slash(adata, model, expected, caplog):
    adata.obs["a/b"] = 1
    adata.uns["a/b"] = ["x"]
    adata.obsm["a/b"] = np.ones((300, 2))
    adata.layers["a/b"] = adata.X.copy()
    tl.embed(adata, model=model)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    assert caplog.text.count("'a/b' is left out") in (0, 4)


def test_what_anndata_cannot_write_is_an_error_of_ours(adata, model, monkeypatch):
    def refuse(*_):
        raise TypeError("no method registered")

    monkeypatch.setattr(anndata.AnnData, "write_h5ad", refuse)
    with pytest.raises(ScgptError, match=r"^anndata \S+ cannot write these cells, .*: no method registered") as error:
        tl.embed(adata, model=model)
    assert "change what is named" in error.value.hint
    # As it is with pandas 3 and anndata before 0.13.
    monkeypatch.setattr(_writable, "can_be_written", lambda it: False)
    monkeypatch.setattr(pd, "Series", lambda texts, of=pd.Series: of(texts, dtype="string"))
    with pytest.raises(ScgptError) as error:
        _writable.write(adata, Path("cells.h5ad"))
    assert 'pip install "pandas<3"' in error.value.hint


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda adata: adata.X.data.__setitem__(3, np.nan), "NaN"),
        (lambda adata: adata.X.data.__setitem__(3, -1.0), "-1"),
        (lambda adata: adata.X.indices.__setitem__(0, 9999), "9999"),
        (lambda adata: setattr(adata, "X", adata.X.toarray().astype(object)), "expected numbers"),
        (lambda adata: setattr(adata, "X", None), "X"),
    ],
)
def test_what_is_wrong_is_named(adata, model, damage, said):
    damage(adata)
    before = list(adata.obsm)
    with pytest.raises(ScgptError, match=said) as error:
        tl.embed(adata, model=model)
    assert "/cells.h5ad" not in str(error.value)
    assert list(adata.obsm) == before


def test_errors_speak_of_arguments(adata, model):
    with pytest.raises(ScgptError, match="max_length") as error:
        tl.embed(adata, model=model, max_length=1)
    assert "--" not in str(error.value)
    with pytest.raises(ScgptError, match="precision"):
        tl.embed(adata, model=model, precision="f7")
    with pytest.raises(ScgptError, match="expected an AnnData"):
        tl.embed(3, model=model)
    with pytest.raises(ValueError, match="nowhere"):
        tl.embed(adata, model="nowhere")


def test_whole_numbers_may_be_floats_as_those_of_r_are(adata, model):
    apart = tl.embed(adata, model=model, max_length=40, seed=1, leiden=1.0, copy=True)
    tl.embed(adata, model=model, max_length=40.0, seed=1.0, leiden=1, batch_size=np.float32(8))
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], apart.obsm["X_scGPT"])
    assert list(adata.obs["leiden"]) == list(apart.obs["leiden"])
    with pytest.raises(ScgptError, match=r"'1\.5'") as error:
        tl.embed(adata, model=model, seed=1.5)
    assert "help" not in str(error.value)


def test_a_report_shows_itself(adata, model, tmp_path):
    result = tl.embed(adata, model=model, report=True, color=["cell_type", adata.var_names[3]])
    assert "X_scGPT" in adata.obsm and result.adata is None
    assert "<iframe" in result._repr_html_() and result["n_cells"] == 300
    result.report.save(tmp_path / "page.html")
    assert "cell_type" in (tmp_path / "page.html").read_text()


def test_inspect_is_that_of_the_command_line(adata, file):
    said = json.loads(program("inspect", file, "--json"))["result"]
    here = scgpt_rs.read.inspect(adata).values
    assert here["matrices"] == said["matrices"] and here["obs"] == said["obs"]
