"""What functions read of an AnnData beside its matrix, and what comes back into it."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import scgpt_rs
from scgpt_rs import ScgptError, _native, _slots, tl
from scgpt_rs._arguments import Option, default


def dense(matrix) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


@pytest.fixture
def words(monkeypatch) -> list[list[str]]:
    """The command lines that are run."""
    from scgpt_rs import _call

    lines = []

    def call(line, *rest):
        lines.append(line)
        return _native.call(line, *rest)

    monkeypatch.setattr(_call, "call", call)
    return lines


@pytest.fixture
def rich(adata) -> anndata.AnnData:
    """Cells with something of every kind."""
    adata.layers["counts"] = adata.X.copy()
    adata.obsm["X_spatial"] = np.arange(600, dtype=np.int32).reshape(300, 2)
    adata.obsm["table"] = pd.DataFrame({"a": np.arange(300.0)}, index=adata.obs_names)
    adata.obsm["sparse"] = sparse.random(300, 4, 0.5, format="csr", random_state=1)
    adata.obsp["near"] = sparse.random(300, 300, 0.01, format="csr", random_state=2)
    adata.varm["PCs"] = np.ones((200, 3))
    adata.varp["links"] = sparse.random(200, 200, 0.01, format="csr", random_state=3)
    adata.uns["study"] = {"name": "a", "sizes": np.arange(3), "odd": object()}
    adata.raw = adata.copy()
    return adata


def same_cells(path: Path, adata: anndata.AnnData) -> anndata.AnnData:
    there = anndata.read_h5ad(path)
    assert there.X.nnz > 0
    np.testing.assert_array_equal(dense(there.X), dense(adata.X))
    np.testing.assert_array_equal(dense(there.raw.X), dense(adata.raw.X))
    np.testing.assert_array_equal(dense(there.layers["counts"]), dense(adata.layers["counts"]))
    for group, names in {
        "obsm": ["X_spatial", "table", "sparse"],
        "obsp": ["near"],
        "varm": ["PCs"],
        "varp": ["links"],
    }.items():
        for name in names:
            here = getattr(adata, group)[name]
            np.testing.assert_array_equal(dense(getattr(there, group)[name]), dense(here), err_msg=name)
    assert there.obsm["X_spatial"].dtype == np.int32
    assert there.uns["study"]["name"] == "a" and list(there.uns["study"]["sizes"]) == [0, 1, 2]
    return there


def test_a_file_of_cells_in_memory_is_whole(rich, tmp_path, caplog):
    tl.convert(rich, output=tmp_path / "whole.h5ad")
    assert "uns/study/odd is left out" in caplog.text
    same_cells(tmp_path / "whole.h5ad", rich)
    backed = anndata.read_h5ad(tmp_path / "whole.h5ad", backed="r")
    tl.convert(backed, output=tmp_path / "backed.h5ad")
    same_cells(tmp_path / "backed.h5ad", rich)
    rich.X = rich.X.toarray()
    tl.convert(rich, output=tmp_path / "dense.h5ad", where="batch = 'batch_1'")
    some = anndata.read_h5ad(tmp_path / "dense.h5ad")
    chosen = (rich.obs["batch"] == "batch_1").to_numpy()
    np.testing.assert_array_equal(dense(some.X), rich.X[chosen])
    np.testing.assert_array_equal(some.obsm["X_spatial"], rich.obsm["X_spatial"][chosen])


def test_the_cells_beside_a_network_are_whole(rich, model, tmp_path):
    tl.grn_embedding(rich, model=model, output=tmp_path / "network", no_baselines=True)
    there = same_cells(tmp_path / "network" / "cells.h5ad", rich)
    assert "scGPT_gene_emb" in there.varm


def test_what_comes_back_is_small(adata, model, monkeypatch):
    sizes = []
    take = _slots.take

    def seen(cells, path, *rest):
        sizes.append(path.stat().st_size)
        written = anndata.read_h5ad(path)
        assert written.X is None and not written.layers and "cell_type" not in written.obs
        take(cells, path, *rest)

    monkeypatch.setattr(_slots, "take", seen)
    adata.layers["more"] = sparse.csr_matrix(np.random.default_rng(0).random((300, 200), dtype=np.float32))
    tl.embed(adata, model=model)
    tl.embed(adata, model=model, where="batch = 'batch_1'", key_added="X_some")
    assert len(sizes) == 2 and max(sizes) < 200_000
    assert adata.obsm["X_some"].shape == adata.obsm["X_scGPT"].shape


@pytest.mark.parametrize("where", [None, "batch = 'batch_1'"])
def test_columns_of_a_table_are_taken_over(adata, model, tmp_path, where):
    pd.DataFrame({"cell": adata.obs_names, "donor": ["a", "b", "c"] * 100}).to_csv(tmp_path / "donors.csv", index=False)
    tl.embed(adata, model=model, obs_from=tmp_path / "donors.csv", where=where)
    chosen = np.ones(300, bool) if where is None else (adata.obs["batch"] == "batch_1").to_numpy()
    assert list(adata.obs["donor"][chosen]) == list(np.array(["a", "b", "c"] * 100)[chosen])
    assert adata.obs["donor"][~chosen].isna().all()


def test_columns_of_a_table_of_several_modalities(adata, tmp_path):
    import mudata

    proteins = adata[:, :10].copy()
    proteins.var_names = [f"p{number}" for number in range(10)]
    cells = mudata.MuData({"rna": adata, "prot": proteins})
    cells.obs["batch"] = adata.obs["batch"].to_numpy()
    cells.write_h5mu(tmp_path / "cells.h5mu")
    pd.DataFrame({"cell": cells.obs_names, "donor": ["a", "b"] * 150}).to_csv(tmp_path / "donors.csv", index=False)
    named = {"batch_key": "batch", "method": "pca", "no_baselines": True, "obs_from": tmp_path / "donors.csv"}
    there = tl.integrate(tmp_path / "cells.h5mu", **named)
    here = tl.integrate(cells, copy=True, **named)
    assert list(here.obs["donor"]) == list(there.obs["donor"]) == ["a", "b"] * 150
    tl.integrate(cells, where="donor = 'a'", **named)
    assert np.isnan(cells.obsm["X_pca"][1::2]).all() and not np.isnan(cells.obsm["X_pca"][::2]).any()


def test_matrices_in_obsm_are_found(adata, model):
    tl.embed(adata, model=model)
    tl.cells(adata, no_umap=True)
    assert adata.uns["neighbors"]["params"]["use_rep"] == "X_scGPT"
    adata.obsm["X_own"] = np.asfortranarray(adata.obsm["X_scGPT"].astype(np.float64))
    by_own = tl.cells(adata, embedding="X_own", no_umap=True, copy=True)
    assert list(by_own.obs["leiden"]) == list(adata.obs["leiden"])
    adata.obs["other"] = adata.obs["cell_type"].to_numpy()[::-1]
    assert tl.evaluate_labels(adata, truth="cell_type", prediction="other", embedding="X_own").values


def test_an_index_of_an_embedding(adata, model, tmp_path):
    tl.embed(adata, model=model)
    tl.map_index(adata, embedding="X_scGPT", labels="cell_type", output=tmp_path / "atlas")
    query = adata[::2].copy()
    tl.map_query(query, index=tmp_path / "atlas")
    assert (query.obs["scgpt_map_cell_type"].astype(str) == query.obs["cell_type"].astype(str)).mean() > 0.5


def test_a_modality_in_obsm(adata):
    proteins = np.random.default_rng(1).poisson(3.0, (300, 4)).astype(np.float32)
    adata.obsm["protein"] = proteins
    adata.uns["protein_names"] = np.array(["p1", "p2", "p3", "p4"])
    named = {"obsm": "Protein=protein", "batch_key": "batch", "method": "pca", "no_baselines": True}
    tl.integrate(adata, **named)
    by_array = adata.obsm["X_pca"].copy()
    adata.obsm["protein"] = pd.DataFrame(proteins, index=adata.obs_names, columns=["p1", "p2", "p3", "p4"])
    tl.integrate(adata, **named)
    np.testing.assert_array_equal(by_array, adata.obsm["X_pca"])


def test_columns_that_a_file_cannot_hold(adata, model, caplog):
    index = adata.obs_names
    adata.obs["half"] = pd.Series([0.5, None, 1.0] * 100, index=index, dtype=object)
    adata.obs["float"] = pd.array([0.5, None, 1.0] * 100, dtype="Float64")
    adata.obs["nothing"] = pd.Series([None] * 300, index=index, dtype=object)
    adata.obs["took"] = pd.Timedelta("1s")
    adata.obs["month"] = pd.Period("2024-01")
    adata.obs["bins"] = pd.cut(np.arange(300), 3)
    adata.obs["types"] = pd.Categorical(pd.array(["a", "b", "c"] * 100, dtype="string"))
    adata.obsm["texts"] = np.array([["a"]] * 300)
    adata.obsm["odd"] = pd.DataFrame({"x": [object()] * 300, "y": np.arange(300)}, index=index)
    before = adata.obs.copy()
    with caplog.at_level(logging.WARNING, logger="scgpt_rs"):
        tl.embed(adata, model=model)
    pd.testing.assert_frame_equal(adata.obs, before)
    left = {name for name in adata.obs if f"{name!r} is left out" in caplog.text}
    assert left == {"took", "month", "bins"}
    assert "'x' is left out" in caplog.text


def test_a_matrix_that_is_not_read_may_be_anything(adata, model, caplog):
    adata.layers["objects"] = adata.X.toarray().astype(object)
    expected = tl.embed(adata, model=model, copy=True).obsm["X_scGPT"]
    assert "layers/objects is left out: holds object" in caplog.text
    with pytest.raises(ScgptError, match="layers/objects: holds object"):
        tl.embed(adata, model=model, layer="objects")
    adata.layers["objects"], adata.X = adata.X.copy(), adata.layers["objects"]
    tl.embed(adata, model=model, layer="objects")
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)


def test_dask(adata, model, caplog):
    array = pytest.importorskip("dask.array")
    adata.layers["later"] = array.from_array(adata.X.toarray(), chunks=100)
    tl.embed(adata, model=model)
    assert "layers/later is left out: a matrix of type dask" in caplog.text


def test_lists_and_rankings_in_uns_are_read(adata, model, tmp_path):
    rankings = {"a_ctrl": np.array(adata.var_names[:3], dtype=object)}
    adata.uns = {
        "rank_genes_groups_cov_all": rankings,
        "names": ["x", "y"],
        "cell_type_colors": ["#fff"],
        "more": {"a": 1},
    }
    said = scgpt_rs.read.inspect(adata).values
    assert {"uns/rank_genes_groups_cov_all", "uns/names", "uns/cell_type_colors"} <= set(said["elements"])
    assert "uns/more" not in said["elements"]


def test_texts_in_uns_of_every_kind(adata):
    adata.uns = {"index": pd.Index(["x", "y"]), "array": pd.array(["x", "y"], dtype="string")}
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        # As anndata has those of zarr.
        adata.uns["of_numpy"] = np.array(["x", "y"], dtype=np.dtypes.StringDType())
    expected = {f"uns/{name}" for name in adata.uns}
    assert expected == {it for it in scgpt_rs.read.inspect(adata)["elements"] if it.startswith("uns/")}


def test_several_modalities_where_one_is_wanted(adata, model):
    import mudata

    cells = mudata.MuData({"rna": adata, "same": adata[:, :3].copy()})
    with pytest.raises(ScgptError, match=r'mdata.mod\["rna"\]') as error:
        tl.embed(cells, model=model)
    assert "one was expected" in error.value.message and "output" not in error.value.message


def test_values_of_some_cells_are_spread(adata):
    rows = np.array([1, 3])
    spread = _slots._spread("obsm", np.array([[1], [2]]), rows, adata)
    assert spread[[1, 3], 0].tolist() == [1, 2] and np.isnan(spread[0, 0])
    table = pd.DataFrame({"a": [1, 2]}, index=adata.obs_names[rows])
    spread = _slots._spread("obsm", table, rows, adata)
    assert spread["a"].iloc[[1, 3]].tolist() == [1, 2] and spread["a"].isna().sum() == 298
    adata.obsm["table"] = spread


def test_arguments_are_told_from_defaults(adata, model, folder, words):
    (folder / "settings.toml").write_text("seed = 4\nmax_length = 20\n")
    by_file = tl.embed(adata, model=model, config=folder / "settings.toml", copy=True)
    tl.embed(adata, model=model, config=folder / "settings.toml", seed=0, max_length=np.int64(20))
    assert by_file.uns["scgpt"]["options"]["seed"] == 4 and adata.uns["scgpt"]["options"]["seed"] == 0
    assert not any(word.startswith("--seed") for word in words[0]) and "--seed=0" in words[1]
    assert "max_length=20, seed=0" in adata.uns["scgpt"]["command"]
    assert "seed" not in by_file.uns["scgpt"]["command"]


def test_words_of_options():
    assert Option("--recompute").words(False) == ["--recompute=false"]
    assert Option("--recompute").words(np.bool_(True)) == ["--recompute=true"]
    assert Option("--umap", is_bare=True).words(np.bool_(False)) == []
    assert Option("--umap", is_bare=True).words(np.bool_(True)) == ["--umap"]
    assert Option("--seed").words(default(0)) == [] and Option("--seed").words(0) == ["--seed=0"]
    assert Option("--labels", delimiter=",").words(pd.Index(["a", "b"])) == ["--labels=a,b"]
    assert repr(default("X")) == "'X'" and repr(default(0.5)) == "0.5"


def test_a_truth_value_is_spelled(adata, words):
    trained = {"label": "cell_type", "output": "nowhere", "plan": True}
    tl.annotate_train(adata, recompute=False, max_steps=2, **trained)
    assert "--recompute=false" in words[0]


def test_arrays_are_arguments(adata, model):
    tl.embed(adata, model=model, color=adata.var_names[:2], umap=np.bool_(False))
    command = adata.uns["scgpt"]["command"]
    assert f"color={list(adata.var_names[:2])!r}" in command and "umap=False" not in command


def test_no_dead_path_is_left(adata, model, caplog):
    with caplog.at_level(logging.INFO, logger="scgpt_rs"):
        result = tl.integrate(
            adata, model=model, batch_key="batch", label="cell_type", hvg=60, max_steps=3, epochs=1, report=True
        )
    assert caplog.text.count("the network is not kept") == 1 and caplog.text.count("not kept") == 1
    for text in (repr(result.values), repr(adata.uns), result.report.html, caplog.text):
        assert "/scgpt-" not in text
    assert "artefact" not in adata.uns["scgpt"]["integration"] and "artefact" not in result.values


def test_an_artefact_that_is_there(adata, tmp_path, caplog):
    options = {"batch_key": "batch", "method": "pca", "artefact": tmp_path / "pca", "no_baselines": True}
    with caplog.at_level(logging.INFO, logger="scgpt_rs"):
        tl.integrate(adata, **options)
    assert "not kept" not in caplog.text
    with pytest.raises(ScgptError, match="force"):
        tl.integrate(adata, **options)
    tl.integrate(adata, force=True, **options)


def test_errors_speak_of_arguments_by_their_names():
    error = ScgptError("--key X: name another -o, --data", "--layer", {"key": "key_added", "data": "adata"})
    assert str(error) == "key_added X: name another output, adata\nhint: layer"
