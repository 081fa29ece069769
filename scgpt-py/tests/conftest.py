"""Cells and a model that the tests share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata
import pytest

import scgpt_rs

NETWORK = """
batch_size = 16
max_length = 64
validation_cells = 50

[network]
n_layers = 2
n_heads = 2
d_model = 32
d_ff = 32
"""


def started(*words: object) -> subprocess.Popen[str]:
    """Starts the command-line program, which prints into a pipe."""
    line = [sys.executable, "-m", "scgpt_rs", *map(str, words)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def printed(process: subprocess.Popen[str]) -> str:
    """What a program prints until it ends well."""
    said, _ = process.communicate()
    assert process.returncode == 0, f"{process.args}: {said}"
    return said


def program(*words: object) -> str:
    """Runs the command-line program, and returns what it prints."""
    return printed(started(*words))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scgpt")


@pytest.fixture(scope="session")
def whole() -> anndata.AnnData:
    """300 cells of three types and two batches."""
    return scgpt_rs.simulate(cells=300, genes=200, types=3, seed=1)


@pytest.fixture(scope="session")
def model(folder: Path, whole: anndata.AnnData) -> Path:
    """A network that learned a little of them."""
    scgpt_rs.tl.convert(whole, output=folder / "shards")
    (folder / "pretrain.toml").write_text(NETWORK)
    run = scgpt_rs.tl.pretrain(
        data=folder / "shards", output=folder / "run", max_steps=8, config=folder / "pretrain.toml"
    )
    assert run.output is not None
    return run.output / "model"


@pytest.fixture
def adata(whole: anndata.AnnData) -> anndata.AnnData:
    """A copy of the cells, to be changed."""
    return whole.copy()


@pytest.fixture
def file(tmp_path: Path, whole: anndata.AnnData) -> Path:
    """The cells as a file."""
    path = tmp_path / "cells.h5ad"
    whole.write_h5ad(path)
    return path
