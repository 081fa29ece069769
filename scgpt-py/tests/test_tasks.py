"""What functions do that the program does not: tables, plans, settings beside arguments, several modalities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import scgpt_rs
from conftest import program
from scgpt_rs import tl


def test_a_plan_is_a_result_and_changes_no_cells(adata, model):
    options = {"batch_key": "batch", "label": "cell_type", "max_steps": 3, "no_baselines": True}
    planned = tl.integrate(adata, model=model, plan=True, **options)
    assert planned["memory"]["weights"] > 0 and planned.report is None
    assert not adata.obsm and not adata.uns


def test_an_artefact_is_where_it_was_wanted(adata, model, tmp_path):
    options = {"batch_key": "batch", "hvg": 60, "max_steps": 2, "no_baselines": True, "model": model}
    tl.integrate(adata, artefact=tmp_path / "artefact", **options)
    assert adata.uns["scgpt"]["integration"]["artefact"] == str(tmp_path / "artefact")
    assert (tmp_path / "artefact" / "model.safetensors").is_file()
    tl.integrate(adata, **options)
    gone = adata.uns["scgpt"]["integration"].get("artefact")
    assert gone is None or Path(gone).exists(), gone


def test_tables_of_a_network(folder, adata, model):
    found = tl.grn_embedding(adata, model=model, output=folder / "network", no_baselines=True)
    assert "edges" in found.tables()
    assert list(found.table("edges").columns[:3]) == ["source", "target", "weight"]
    with pytest.raises(KeyError, match="nothing"):
        found.table("nothing")


def test_settings_of_a_file_hold_unless_an_argument_says_otherwise(folder, adata, model):
    (folder / "embed.toml").write_text('key = "X_file"\nseed = 4\n')
    tl.embed(adata, model=model, config=folder / "embed.toml")
    assert "X_file" in adata.obsm
    tl.embed(adata, model=model, config=folder / "embed.toml", key_added="X_argument")
    assert "X_argument" in adata.obsm


def test_several_modalities(folder):
    mudata = pytest.importorskip("mudata")
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
