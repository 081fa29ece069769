"""Views, files that stay where they are, names that are there twice, and NaN, wherever values are."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from scipy import sparse

from conftest import program
from scgpt_rs import ScgptError, tl


def rows(adata: anndata.AnnData, model: Path, path: Path, *words: object) -> np.ndarray:
    """What the program says of cells as a file."""
    adata.write_h5ad(path)
    out = path.with_suffix(".out.h5ad")
    program("embed", path, "-m", model, "-o", out, "--no-report", *words)
    return anndata.read_h5ad(out).obsm["X_scGPT"]


@pytest.fixture
def kept(adata: anndata.AnnData) -> anndata.AnnData:
    """Other values in a layer, and others again in raw."""
    adata.layers["double"] = adata.X * 2
    adata.layers["double"].data[::3] = 1
    adata.raw = adata.copy()
    adata = adata[:, :150].copy()
    adata.X.data[::2] = 5
    return adata


HELD = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": lambda it: it.toarray()}


@pytest.mark.parametrize("layer", [None, "double", "raw"])
def test_backed(kept, model, tmp_path, layer):
    expected = rows(kept, model, tmp_path / "cells.h5ad", *([f"--layer={layer}"] if layer else []))
    for held, change in HELD.items():
        cells, raw = kept.copy(), kept.raw.to_adata()
        cells.X, cells.layers["double"], raw.X = change(kept.X), change(kept.layers["double"]), change(raw.X)
        cells.raw = raw
        cells.write_h5ad(tmp_path / f"{held}.h5ad")
        backed = anndata.read_h5ad(tmp_path / f"{held}.h5ad", backed="r")
        tl.embed(backed, model=model, layer=layer)
        np.testing.assert_array_equal(backed.obsm["X_scGPT"], expected, err_msg=held)
        some = anndata.read_h5ad(tmp_path / f"{held}.h5ad", backed="r")[10:40]
        copied = tl.embed(some, model=model, layer=layer, copy=True)
        np.testing.assert_array_equal(copied.obsm["X_scGPT"], expected[10:40], err_msg=held)
        assert not copied.isbacked


@pytest.mark.parametrize(
    ("cells", "genes"),
    [
        (slice(None), slice(20, 160)),
        (slice(None, None, 2), slice(None, None, 3)),
        (np.array([5, 3, 200, 4]), np.arange(199, -1, -1)),
    ],
    ids=["some", "steps", "order"],
)
def test_views_along_both_axes(adata, model, tmp_path, cells, genes):
    expected = rows(adata[cells][:, genes].copy(), model, tmp_path / "cells.h5ad")
    for held, change in HELD.items():
        adata.X = change(sparse.csr_matrix(adata.X))
        adata.layers["same"] = adata.X.copy()
        view = adata[cells][:, genes]
        assert view.is_view
        for layer in (None, "same"):
            made = tl.embed(view, model=model, layer=layer, copy=True)
            np.testing.assert_array_equal(made.obsm["X_scGPT"], expected, err_msg=f"{held}, {layer}")
        tl.embed(view, model=model)
        np.testing.assert_array_equal(view.obsm["X_scGPT"], expected, err_msg=held)
        assert "X_scGPT" not in adata.obsm and adata.shape == (300, 200)


def test_views_of_a_modality(adata, model, tmp_path):
    mudata = pytest.importorskip("mudata")
    protein = adata[:, :10].copy()
    protein.var_names = [f"protein_{number}" for number in range(10)]
    cells = mudata.MuData({"rna": adata, "prot": protein})
    expected = rows(adata, model, tmp_path / "cells.h5ad")
    part = cells["rna"]
    tl.embed(part, model=model)
    np.testing.assert_array_equal(cells.mod["rna"].obsm["X_scGPT"], expected)
    view = cells[40:90]
    np.testing.assert_array_equal(tl.embed(view.mod["rna"], model=model, copy=True).obsm["X_scGPT"], expected[40:90])
    cells.obs["batch"] = adata.obs["batch"].to_numpy()
    options = {"method": "pca", "batch_key": "batch", "no_baselines": True}
    cells[40:290].copy().write_h5mu(tmp_path / "view.h5mu")
    there = tl.integrate(tmp_path / "view.h5mu", **options)
    here = tl.integrate(cells[40:290], copy=True, **options)
    np.testing.assert_array_equal(here.obsm["X_pca"], there.obsm["X_pca"])


def test_names_that_are_there_twice(adata, model, tmp_path):
    adata.obs_names = ["same"] * 300
    adata.var_names = [adata.var_names[0], *adata.var_names[:-1]]
    expected = rows(adata, model, tmp_path / "cells.h5ad")
    tl.embed(adata, model=model)
    np.testing.assert_array_equal(adata.obsm["X_scGPT"], expected)
    assert list(adata.obs_names) == ["same"] * 300


def in_dense(adata: anndata.AnnData) -> None:
    adata.X = adata.X.toarray()
    adata.X[3, 7] = np.nan


def in_columns(adata: anndata.AnnData) -> None:
    adata.X = adata.X.tocsc()
    adata.X.data[3] = np.nan


def in_layer(adata: anndata.AnnData) -> None:
    adata.layers["counts"] = adata.X.copy()
    adata.layers["counts"].data[3] = np.nan


def in_dense_layer(adata: anndata.AnnData) -> None:
    adata.layers["counts"] = adata.X.toarray()
    adata.layers["counts"][3, 7] = np.nan


def in_raw(adata: anndata.AnnData) -> None:
    adata.raw = adata.copy()
    adata.raw.X.data[3] = np.nan


@pytest.mark.parametrize(
    ("damage", "layer", "place"),
    [
        (in_dense, None, "X"),
        (in_columns, None, "X"),
        (in_layer, "counts", "layers/counts"),
        (in_dense_layer, "counts", "layers/counts"),
        (in_raw, "raw", "raw/X"),
    ],
)
def test_nan_is_named_wherever_it_is(adata, model, damage, layer, place):
    damage(adata)
    with pytest.raises(ScgptError, match="NaN") as error:
        tl.embed(adata, model=model, layer=layer)
    assert f"`{place}`" in str(error.value)
    assert "X_scGPT" not in adata.obsm
    if layer is not None:
        # What is not read does no harm.
        tl.embed(adata, model=model)
        assert np.isfinite(adata.obsm["X_scGPT"]).all()
