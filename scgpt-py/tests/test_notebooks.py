"""Every notebook runs from its first cell to its last; ``SCGPT_NOTEBOOKS=write`` saves what it shows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

#: Each is to take two minutes on two cores of its own; more is of a machine that does other things, too.
SECONDS = 300


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("scanpy")
    notebook = nbformat.read(path, as_version=4)
    shown = [cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert shown or os.environ.get("SCGPT_NOTEBOOKS"), f"{path.name} has no output saved"
    begin = time.monotonic()
    client.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3").execute()
    seconds = time.monotonic() - begin
    with capsys.disabled():
        print(f"{path.stem}: {seconds:.0f} s")
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # Bars belong to those who watch.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    if os.environ.get("SCGPT_NOTEBOOKS") == "write":
        nbformat.write(notebook, path)
