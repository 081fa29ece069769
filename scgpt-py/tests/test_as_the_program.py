"""Every function says of cells in memory what the program says of their file, to the last bit."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from alike import same, same_files, without_paths
from conftest import printed, program, started
from scgpt_rs import Result, tl


class Made(str):
    """The path of what a fixture of this name made."""


@dataclass(frozen=True)
class Call:
    """A call of a function.

    Attributes
    ----------
    cells
        Fixtures of cells, by arguments.
    options
        Further arguments; several values of a tuple are options of their own.
    output
        What the file or folder is called that is written, if the caller says so.
    """

    cells: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    output: str = ""


#: Where the program wants the path of cells, if it is not their place on the command line.
FLAGS = {
    ("evaluate_perturb", "truth"): ["--truth"],
    ("grn_embedding", "adata"): ["--data"],
    ("perturb_predict", "controls"): ["--controls"],
}
#: Arguments of another name than their option; an empty one is a place on the command line.
RENAMED = {("embed", "key_added"): "key", ("evaluate_grn", "edges"): ""}

MODEL = {"model": Made("model")}
TYPES = {"label": "cell_type", "max_steps": 4, "seed": 3, **MODEL}
BATCHES = {"batch_key": "batch", "label": "cell_type", "hvg": 60, "max_steps": 3, "epochs": 1, "no_baselines": True}
CALLS = {
    "annotate_explain": [Call({"adata": "query"}, {"model": Made("types"), "cells": 30}, "genes.csv")],
    "annotate_predict": [
        Call(
            {"adata": "query"},
            {"model": Made("types"), "umap": True, "leiden": 0.8, "majority_voting": True, "probabilities": True},
        ),
        Call({"adata": "query"}, {"model": Made("logistic"), "unknown_score": "confidence"}),
    ],
    "annotate_train": [
        Call({"adata": "reference"}, {"method": "network", **TYPES}, "types"),
        Call({"adata": "reference"}, {"method": "logistic", **TYPES}, "types"),
    ],
    "cells": [
        Call({"adata": "embedded"}, {"embedding": "X_scGPT", "neighbours": 10}),
        Call({"adata": "embedded"}, {"no_umap": True}),
        Call({"adata": "whole"}),
    ],
    "convert": [
        Call({"adata": "whole"}, {"obs": ["batch", "cell_type"]}, "shards"),
        Call({"adata": "embedded"}, {}, "cells.h5ad"),
    ],
    "embed": [Call({"adata": "whole"}, {"key_added": "X", "umap": True, "leiden": 1.0, "max_length": 40, **MODEL})],
    "evaluate_grn": [Call({}, {"edges": Made("edges"), "truth": Made("truth")}, "page.html")],
    "evaluate_integration": [
        Call(
            {"adata": "embedded"},
            {"embedding": ["X_scGPT"], "batch_key": "batch", "label": "cell_type", "no_baselines": True},
        )
    ],
    "evaluate_labels": [
        Call(
            {"adata": "embedded"},
            {"truth": "cell_type", "prediction": "guess", "confidence": "trust", "embedding": "X_scGPT"},
            "page.html",
        )
    ],
    "evaluate_perturb": [Call({"predicted": "predicted", "truth": "screen"})],
    "generate": [
        Call({"adata": "whole"}, {"hide": 0.3, "seed": 5, **MODEL}),
        Call({"adata": "embedded"}, {"from_embedding": "X_scGPT", "genes": Made("genes"), "rounds": 1, **MODEL}),
    ],
    "grn_attention": [
        Call(
            {"adata": "whole"},
            {"hvg": 30, "max_cells": 60, "permutations": 3, "no_baselines": True, **MODEL},
            "attention",
        )
    ],
    "grn_embedding": [
        Call({"adata": "whole"}, {"hvg": 60, "no_baselines": True, **MODEL}, "network"),
        Call({}, MODEL, "network"),
    ],
    "integrate": [
        Call({"adata": "whole"}, {"method": "network", **BATCHES, **MODEL}),
        Call({"adata": "whole"}, {"method": "harmony", **BATCHES}),
    ],
    "map_index": [
        Call({"adata": "reference"}, {"labels": ["cell_type", "batch"], **MODEL}, "atlas"),
        Call({"adata": "embedded"}, {"labels": "cell_type", "embedding": "X_scGPT"}, "atlas"),
    ],
    "map_query": [Call({"adata": "query"}, {"index": Made("atlas"), "neighbours": True, "leiden": 1.0})],
    "perturb_predict": [
        Call({}, {"model": Made("responses"), "genes": ("GENE00001", "GENE00002,GENE00003"), "cells": 5}),
        Call({"controls": "screen"}, {"model": Made("responses"), "genes": "GENE00002"}, "predicted.h5ad"),
    ],
    "perturb_prepare": [Call({"adata": "measured"}, {"control": "ctrl", "min_cells": 5, "hvg": 40})],
    "perturb_reverse": [
        Call({"adata": "screen"}, {"model": Made("responses"), "candidates": "all", "cells": 5}, "found.json")
    ],
    "perturb_train": [Call({"adata": "screen"}, {"max_steps": 3, "epochs": 1}, "responses")],
    "pretrain": [Call({}, {"data": Made("shards"), "config": Made("settings"), "max_steps": 3}, "run")],
    "simulate": [
        Call({}, {"cells": 60, "genes": 40, "types": 2, "seed": 4}),
        Call({}, {"cells": 60, "genes": 40, "perturb": 3, "seed": 4}, "screen.h5ad"),
    ],
}


@pytest.fixture(scope="session")
def reference(whole: anndata.AnnData) -> anndata.AnnData:
    return whole[:200].copy()


@pytest.fixture(scope="session")
def query(whole: anndata.AnnData) -> anndata.AnnData:
    return whole[200:].copy()


@pytest.fixture(scope="session")
def embedded(whole: anndata.AnnData, model: Path) -> anndata.AnnData:
    """Cells with an embedding, types that somebody guessed, and all else that an AnnData may have."""
    cells = tl.embed(whole, model=model, copy=True)
    cells.raw = cells.copy()
    cells.layers["half"] = cells.X / 2
    cells.obsm["frame"] = pd.DataFrame({"a": range(300), "b": [f"text {it % 7}" for it in range(300)]}, cells.obs_names)
    cells.obsp["near"] = sparse.eye(300, format="csr", dtype=np.float32)
    cells.var["length"] = np.arange(200)
    cells.varm["loads"] = np.eye(200, 3)
    cells.varp["pairs"] = sparse.eye(200, format="csr")
    cells.uns["study"] = {"year": 2024, "names": np.array(["one", "two"], dtype=object), "table": cells.var[["length"]]}
    cells.obs["guess"] = cells.obs["cell_type"].to_numpy()[::-1]
    cells.obs["trust"] = [number / cells.n_obs for number in range(cells.n_obs)]
    return cells


@pytest.fixture(scope="session")
def measured(folder: Path) -> anndata.AnnData:
    """A screen of four genes."""
    program("simulate", "--cells=300", "--genes=60", "--perturb=4", "--seed=2", "-o", folder / "measured.h5ad")
    return anndata.read_h5ad(folder / "measured.h5ad")


@pytest.fixture(scope="session")
def screen(measured: anndata.AnnData) -> anndata.AnnData:
    return tl.perturb_prepare(measured, min_cells=5)


@pytest.fixture(scope="session")
def predicted(responses: Path) -> anndata.AnnData:
    return tl.perturb_predict(model=responses, genes=["GENE00001", "GENE00002"])


@pytest.fixture(scope="session")
def shards(model: Path, folder: Path) -> Path:
    """What the model learned from."""
    return folder / "shards"


@pytest.fixture(scope="session")
def settings(model: Path, folder: Path) -> Path:
    return folder / "pretrain.toml"


@pytest.fixture(scope="session")
def genes(folder: Path, whole: anndata.AnnData) -> Path:
    """Some of the genes, a line each."""
    (folder / "genes.txt").write_text("\n".join(whole.var_names[:30]))
    return folder / "genes.txt"


@pytest.fixture(scope="session")
def types(folder: Path, reference: anndata.AnnData, model: Path) -> Path:
    options = TYPES | {"model": model}
    return tl.annotate_train(reference, output=folder / "types", **options).output


@pytest.fixture(scope="session")
def logistic(folder: Path, reference: anndata.AnnData) -> Path:
    return tl.annotate_train(reference, output=folder / "logistic", label="cell_type", method="logistic").output


@pytest.fixture(scope="session")
def atlas(folder: Path, reference: anndata.AnnData, model: Path) -> Path:
    return tl.map_index(reference, model=model, labels="cell_type", output=folder / "atlas").output


@pytest.fixture(scope="session")
def responses(folder: Path, screen: anndata.AnnData) -> Path:
    return tl.perturb_train(screen, output=folder / "responses", max_steps=3, epochs=1).output


@pytest.fixture(scope="session")
def truth(measured: anndata.AnnData, folder: Path) -> Path:
    """Which gene acts on which, in the screen."""
    return folder / "measured.network.csv"


@pytest.fixture(scope="session")
def edges(folder: Path, screen: anndata.AnnData) -> Path:
    found = tl.grn_embedding(screen, output=folder / "edges", method="pearson", no_baselines=True)
    return found.output / "edges.csv"


def words(name: str, options: dict[str, Any]) -> list[str]:
    """Arguments as the options of the same name."""
    line = []
    for argument, value in options.items():
        option = RENAMED.get((name, argument), argument).replace("_", "-")
        for one in value if isinstance(value, tuple) else [value]:
            said = ",".join(one) if isinstance(one, list) else one
            line.append(f"--{option}" if said is True else f"--{option}={said}" if option else str(said))
    return line


@pytest.mark.parametrize(
    ("name", "call"),
    [
        pytest.param(name, call, id=f"{name}-{number}")
        for name in tl.__all__
        for number, call in enumerate(CALLS.get(name, [None]))
    ],
)
def test_it_says_what_the_program_says(name, call, tmp_path, request):
    assert call is not None, f"nothing here calls {name}"
    function = getattr(tl, name)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    options = {
        argument: request.getfixturevalue(value) if isinstance(value, Made) else value
        for argument, value in call.options.items()
    }
    line: list[Any] = [*name.split("_", 1), *words(name, options), "--json"]
    cells = {}
    for number, (argument, fixture) in enumerate(call.cells.items()):
        cells[argument] = request.getfixturevalue(fixture).copy()
        path = tmp_path / f"cells{number or ''}.h5ad"
        cells[argument].write_h5ad(path)
        line += [*FLAGS.get((name, argument), []), path]
    takes = inspect.signature(function).parameters
    written = there / (call.output or "written.h5ad")
    writes_cells = not call.output and not name.startswith("evaluate")
    if call.output or writes_cells:
        line += ["-o", written]
    if call.output:
        options["output"] = here / call.output
    if "report" in takes:
        options["report"] = True
    with started(*line) as process:
        found = function(**cells, **options)
        said = json.loads(printed(process))

    places = here, there
    if isinstance(found, Result):
        same(found.values, said["result"], "result", places)
        page = Path(said["report"] or written / "report.html")
        assert (found.report is not None) == page.is_file()
        if found.report is not None:
            texts = [without_paths(text, places) for text in (found.report.html, page.read_text())]
            if "better" in found:
                # A call here, a command line there.
                texts = [re.sub("(?<=The better result</h2>\n<p>).*", "", text) for text in texts]
            assert texts[0] == texts[1]
    elif call.output:
        assert found == options["output"]
    if call.output:
        same_files(here, there)
    elif writes_cells:
        same(cells["adata"] if "copy" in takes else found, anndata.read_h5ad(written), name, places)
