"""What the network sees of cells: bins and tokens of any matrix of an AnnData."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from scgpt_rs import ScgptError, pp


def test_bins_and_tokens(whole, model):
    cells = pp.bin(whole, copy=True)
    bins = cells.layers["X_binned"]
    assert bins.max() == 50 and (bins != whole.X).nnz > 0 and "X_binned" not in whole.layers
    tokens = pp.tokenize(whole, model=model)
    assert tokens.genes.shape == tokens.values.shape == tokens.is_pad.shape and tokens.genes.shape[0] == 300
    assert tokens.vocabulary[tokens.genes[0, 0]] == "<cls>"
    cell, at = 5, 1
    gene = tokens.vocabulary[tokens.genes[cell, at]]
    known = (
        whole.var_names[whole.var_names == gene]
        if gene in whole.var_names
        else whole.var.index[whole.var["feature_name"] == gene]
    )
    assert tokens.values[cell, at] == cells[cell, known[0]].layers["X_binned"].toarray().item()


def test_the_layer_is_a_matrix_of_its_own(adata):
    adata.X = adata.X.tocsr()
    adata.X.data[::3] = 0
    pp.bin(adata)
    before = adata.layers["X_binned"].toarray()
    adata.X.eliminate_zeros()
    adata.X.indices[:] = 0
    adata.X.indptr[:] = 0
    np.testing.assert_array_equal(adata.layers["X_binned"].toarray(), before)


@pytest.mark.parametrize("tie_mode", ["upper", "random"])
def test_order_and_repetition_do_not_matter(adata, tie_mode):
    """Genes in descending order, and each count in two halves, one of them 1."""
    pp.bin(adata, tie_mode=tie_mode)
    matrix = adata.X.tocsr()
    rest = matrix.copy()
    rest.data -= 1
    halves = [
        np.concatenate([(part.data[part.indptr[i] : part.indptr[i + 1]])[::-1] for part in (matrix > 0, rest)])
        for i in range(adata.n_obs)
    ]
    genes = [np.tile(matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]][::-1], 2) for i in range(adata.n_obs)]
    arrays = (np.concatenate(halves).astype(np.uint8), np.concatenate(genes), 2 * matrix.indptr)
    messy = anndata.AnnData(sparse.csr_matrix(arrays, shape=matrix.shape), obs=adata.obs, var=adata.var)
    stored = messy.X.nnz
    pp.bin(messy, tie_mode=tie_mode)
    np.testing.assert_array_equal(messy.layers["X_binned"].toarray(), adata.layers["X_binned"].toarray())
    assert messy.X.nnz == stored == 2 * matrix.nnz


def test_matrices_are_called_as_in_files(whole, adata, model):
    adata.raw = adata
    adata.layers["twice"] = adata.X * 2
    adata.X = sparse.csr_matrix(adata.shape, dtype=np.float32)
    adata.obs_names_make_unique()
    expected = pp.bin(whole, copy=True).layers["X_binned"].toarray()
    for layer in ("raw", "twice"):
        np.testing.assert_array_equal(pp.bin(adata, layer=layer, copy=True).layers["X_binned"].toarray(), expected)
    assert pp.bin(adata, layer="X", copy=True).layers["X_binned"].nnz == 0
    few = adata[:, :50].copy()
    with pytest.raises(ScgptError, match="raw has other genes than X .200, not 50."):
        pp.bin(few, layer="raw")
    of_raw, of_x = pp.tokenize(few, model=model, layer="raw"), pp.tokenize(whole, model=model)
    np.testing.assert_array_equal(of_raw.genes, of_x.genes)
    np.testing.assert_array_equal(of_raw.values, of_x.values)


def test_what_is_no_matrix_in_memory_is_refused(adata, file, model):
    backed = anndata.read_h5ad(file, backed="r")
    with pytest.raises(ScgptError, match="(?s)X: .*expected a matrix of numpy or of scipy.*to_memory"):
        pp.bin(backed)
    backed.file.close()
    dask = pytest.importorskip("dask.array")
    adata.layers["lazy"] = dask.from_array(adata.X.toarray(), chunks=(100, 200))
    adata.layers["text"] = np.full(adata.shape, "a", dtype=object)
    with pytest.raises(ScgptError, match="(?s)lazy: dask.*compute"):
        pp.tokenize(adata, model=model, layer="lazy")
    with pytest.raises(ScgptError, match="text: holds object, expected numbers"):
        pp.bin(adata, layer="text")
    with pytest.raises(ScgptError, match="no layer `absent`, expected one of X, lazy, text"):
        pp.bin(adata, layer="absent")
    with pytest.raises(ScgptError, match="the cells have no raw"):
        pp.tokenize(adata, model=model, layer="raw")
    with pytest.raises(ScgptError, match="var has no column `absent`"):
        pp.tokenize(adata, model=model, gene_column="absent")
    adata.X.data[0] = np.inf
    with pytest.raises(ScgptError, match="not finite"):
        pp.bin(adata)
    with pytest.raises(ScgptError, match="the cells have no X"):
        pp.bin(anndata.AnnData(obs=adata.obs, var=adata.var))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1, expected a whole number from 0"),
        ({"seed": 2**64}, "seed is 18446744073709551616"),
        ({"n_bins": 70_000}, "n_bins is 70000, expected a whole number from 0 to 65535"),
        ({"n_bins": 2.5}, "n_bins is 2.5"),
        ({"n_bins": 1}, "n_bins"),
        ({"tie_mode": "lower"}, "tie_mode is `lower`, expected one of upper"),
    ],
)
def test_arguments_that_cannot_work_are_named(adata, arguments, message):
    with pytest.raises(ScgptError, match=message):
        pp.bin(adata, **arguments)
    assert not adata.layers


def test_whole_numbers_may_be_floats_as_r_has_them(whole):
    few = pp.bin(whole, n_bins=6.0, seed=1.0, copy=True)  # type: ignore[arg-type]
    assert few.layers["X_binned"].max() == 5


def test_names_of_genes_may_be_missing(adata, model):
    names = pd.Series(adata.var_names, index=adata.var_names, dtype=object)
    names.iloc[:3] = np.nan
    adata.var["symbol"] = names
    tokens = pp.tokenize(adata, model=model, gene_column="symbol")
    assert not {tokens.vocabulary[gene] for gene in np.unique(tokens.genes)} & set(adata.var_names[:3])
