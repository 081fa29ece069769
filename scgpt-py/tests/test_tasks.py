"""Every task says of cells in memory what the command line says of their file, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import scgpt_rs
from conftest import program
from scgpt_rs import Result, tl


def same_slots(here: anndata.AnnData, there: anndata.AnnData, but: tuple[str, ...] = ()) -> None:
    """All that the file has beside its matrix, the cells in memory have, too."""
    for name in there.obs:
        left, right = here.obs[name].reset_index(drop=True), there.obs[name].reset_index(drop=True)
        pd.testing.assert_series_equal(left, right, check_names=False, obj=name)
    for name, value in there.obsm.items():
        np.testing.assert_array_equal(np.asarray(here.obsm[name]), np.asarray(value), err_msg=name)
    for name, value in there.obsp.items():
        assert (here.obsp[name] != value).nnz == 0, name
    for name in there.uns:
        assert name in but or name in here.uns, name


@pytest.fixture(scope="session")
def halves(folder: Path, whole: anndata.AnnData) -> tuple[anndata.AnnData, anndata.AnnData]:
    """A reference and a query, which are files, too."""
    reference, query = whole[:200].copy(), whole[200:].copy()
    reference.write_h5ad(folder / "reference.h5ad")
    query.write_h5ad(folder / "query.h5ad")
    return reference, query


@pytest.mark.parametrize("method", ["network", "logistic"])
def test_annotation(folder, halves, model, method):
    reference, query = halves[0], halves[1].copy()
    options = {"label": "cell_type", "method": method, "max_steps": 4, "seed": 3}
    here, there = folder / f"types-{method}", folder / f"types-there-{method}"
    trained = tl.annotate_train(reference, output=here, model=model, **options)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    program("annotate", "train", folder / "reference.h5ad", "-o", there, "-m", model, *flags)
    report = json.loads((there / "report.json").read_text())
    assert isinstance(trained, Result) and trained.report is not None
    assert trained["test"] == report["test"] if "test" in report else trained.values.keys() >= {"warnings"}

    tl.annotate_predict(query, model=here, umap=True, leiden=0.8, majority_voting=True)
    words = ["--umap", "--leiden=0.8", "--majority-voting", "--no-report"]
    out = folder / f"annotated-{method}.h5ad"
    program("annotate", "predict", folder / "query.h5ad", "-m", there, "-o", out, *words)
    same_slots(query, anndata.read_h5ad(out))
    assert query.obs["scgpt_prediction"].dtype == "category"
    assert len(query.uns["scgpt_prediction_colors"]) == len(query.obs["scgpt_prediction"].cat.categories)

    explained = tl.annotate_explain(query, model=here, output=folder / f"genes-{method}.csv")
    assert explained.output is not None and len(pd.read_csv(explained.output)) > 0


def test_mapping(folder, halves, model):
    reference, query = halves[0], halves[1].copy()
    tl.map_index(reference, model=model, labels=["cell_type", "batch"], output=folder / "atlas")
    program(
        "map",
        "index",
        folder / "reference.h5ad",
        "-m",
        model,
        "--labels",
        "cell_type,batch",
        "-o",
        folder / "atlas-there",
    )
    tl.map_query(query, index=folder / "atlas", neighbours=True)
    program(
        "map",
        "query",
        folder / "query.h5ad",
        "--index",
        folder / "atlas-there",
        "-o",
        folder / "mapped.h5ad",
        "--neighbours",
        "--no-report",
    )
    same_slots(query, anndata.read_h5ad(folder / "mapped.h5ad"))


@pytest.mark.parametrize("method", ["network", "harmony"])
def test_integration(folder, adata, model, method):
    adata.write_h5ad(folder / "batches.h5ad")
    options = {"batch_key": "batch", "label": "cell_type", "method": method, "hvg": 60, "max_steps": 3, "epochs": 1}
    result = tl.integrate(adata, model=model, report=True, no_baselines=True, **options)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    out = folder / f"integrated-{method}.h5ad"
    program("integrate", folder / "batches.h5ad", "-m", model, "-o", out, "--no-baselines", *flags)
    same_slots(adata, anndata.read_h5ad(out))
    assert result.report is not None and "<html" in result.report.html
    if method == "network":
        planned = tl.integrate(adata, model=model, plan=True, **options)
        assert planned["memory"]["weights"] > 0 and planned.report is None


def test_cells_and_evaluation(folder, adata, model):
    tl.embed(adata, model=model)
    adata.write_h5ad(folder / "embedded-here.h5ad")
    tl.cells(adata, embedding="X_scGPT", neighbours=10)
    program(
        "cells",
        folder / "embedded-here.h5ad",
        "--embedding",
        "X_scGPT",
        "--neighbours",
        "10",
        "-o",
        folder / "neighbours.h5ad",
    )
    same_slots(adata, anndata.read_h5ad(folder / "neighbours.h5ad"))
    assert adata.uns["neighbors"]["params"]["n_neighbors"] == 10

    scores = tl.evaluate_integration(adata, embedding=["X_scGPT"], batch_key="batch", label="cell_type")
    said = program(
        "evaluate",
        "integration",
        folder / "embedded-here.h5ad",
        "--embedding",
        "X_scGPT",
        "--batch-key",
        "batch",
        "--label",
        "cell_type",
        "--json",
    )
    there = json.loads(said)["result"]
    for values in (scores.values, there):
        values.pop("input", None)
    assert scores.values == there
    adata.obs["other"] = adata.obs["cell_type"].to_numpy()[::-1]
    labels = tl.evaluate_labels(adata, truth="cell_type", prediction="other", output=folder / "labels.html")
    assert labels.report is not None and "accuracy" in json.dumps(labels.values)


def test_perturbations(folder):
    raw = scgpt_rs.simulate(cells=400, genes=60, perturb=4, seed=2)
    key = next(name for name in raw.obs if "cond" in name or "guide" in name or "pert" in name)
    screen = tl.perturb_prepare(raw, condition_key=key, control="ctrl", min_cells=5)
    assert "condition" in screen.obs
    trained = tl.perturb_train(screen, output=folder / "screen", max_steps=3, epochs=1)
    assert trained.report is not None
    genes = [name for name in screen.obs["condition"].unique() if name != "ctrl"][:2]
    wanted = [name.split("+")[0] for name in genes]
    predicted = tl.perturb_predict(model=folder / "screen", genes=wanted)
    path = tl.perturb_predict(model=folder / "screen", genes=wanted, output=folder / "predicted.h5ad")
    program(
        "perturb",
        "predict",
        "--model",
        folder / "screen",
        *(f"--genes={gene}" for gene in wanted),
        "-o",
        folder / "there.h5ad",
    )
    there = anndata.read_h5ad(folder / "there.h5ad")
    for cells in (predicted, anndata.read_h5ad(path)):
        np.testing.assert_array_equal(np.asarray(cells.X.todense()), np.asarray(there.X.todense()))
    found = tl.perturb_reverse(screen, model=folder / "screen", candidates="all", output=folder / "found.json")
    assert found.values
    judged = tl.evaluate_perturb(path, truth=screen)
    assert judged.values


def test_networks(folder, adata, model):
    found = tl.grn_embedding(adata, model=model, output=folder / "network")
    assert found.report is not None and found.tables()
    assert len(found.table(found.tables()[0])) > 0
    with pytest.raises(KeyError, match="nothing"):
        found.table("nothing")
    attention = tl.grn_attention(adata, model=model, output=folder / "attention", hvg=40)
    assert attention.tables()


def test_generation(folder, adata, model):
    adata.write_h5ad(folder / "known.h5ad")
    tl.generate(adata, model=model, hide=0.3, seed=5)
    program(
        "generate",
        folder / "known.h5ad",
        "-m",
        model,
        "--hide",
        "0.3",
        "--seed",
        "5",
        "-o",
        folder / "generated.h5ad",
        "--no-report",
    )
    same_slots(adata, anndata.read_h5ad(folder / "generated.h5ad"))


def test_settings_of_a_file_hold_unless_an_argument_says_otherwise(folder, adata, model):
    (folder / "embed.toml").write_text('key = "X_file"\nseed = 4\n')
    tl.embed(adata, model=model, config=folder / "embed.toml")
    assert "X_file" in adata.obsm
    tl.embed(adata, model=model, config=folder / "embed.toml", key_added="X_argument")
    assert "X_argument" in adata.obsm


def test_several_modalities(folder):
    import mudata

    rna = scgpt_rs.simulate(cells=200, genes=80, types=2, seed=6)
    protein = rna[:, :10].copy()
    protein.var_names = [f"protein_{number}" for number in range(10)]
    protein.X = (protein.X.toarray() + 1).astype(np.float32)
    cells = mudata.MuData({"rna": rna, "prot": protein})
    cells.obs["batch"] = rna.obs["batch"].to_numpy()
    cells.write_h5mu(folder / "cells.h5mu")
    options = {"batch_key": "batch", "method": "pca"}
    tl.integrate(cells, no_baselines=True, **options)
    program(
        "integrate",
        folder / "cells.h5mu",
        "-o",
        folder / "integrated.h5mu",
        "--batch-key",
        "batch",
        "--method",
        "pca",
        "--no-baselines",
    )
    there = mudata.read_h5mu(folder / "integrated.h5mu")
    np.testing.assert_array_equal(cells.obsm["X_pca"], there.obsm["X_pca"])
