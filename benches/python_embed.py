"""What `scgpt_rs.tl.embed` of cells in memory costs beside `scgpt embed` of the same cells as a file.

    python benches/python_embed.py                    # 20 000 cells of 2 000 genes, five runs of each, in turn
    python benches/python_embed.py CELLS GENES RUNS

Each run is a process of its own, by the Python that has `scgpt_rs`; the program is `python -m scgpt_rs`. Printed are medians
of CPU seconds (user and system) and of peak memory, of whole processes and without what a process needs that does the
same but for the work: `import anndata` and `read_h5ad` for the function, `--version` for the program. A machine that does
nothing else is best; a run after the other is fair to both otherwise.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

NETWORK = """
batch_size = 32
max_length = 300
validation_cells = 200

[network]
n_layers = 2
n_heads = 2
d_model = 64
d_ff = 64
"""
READ = "import anndata, scgpt_rs, sys; cells = anndata.read_h5ad(sys.argv[1]); cells.X.sum()"
EMBED = READ + "; scgpt_rs.tl.embed(cells, model=sys.argv[2])"


def run(*line: object) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a process."""
    words = [sys.executable, *map(str, line)]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)]
    process = os.posix_spawn(words[0], words, os.environ, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(words)}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main(n_cells: int = 20_000, n_genes: int = 2_000, runs: int = 5) -> None:
    program = "-m", "scgpt_rs"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells, model = folder / "cells.h5ad", folder / "run" / "model"
        (folder / "pretrain.toml").write_text(NETWORK)
        run(*program, "simulate", f"--cells={n_cells}", f"--genes={n_genes}", "-o", cells)
        run(*program, "convert", cells, "-o", folder / "shards")
        run(
            *program,
            "pretrain",
            f"--data={folder}/shards",
            f"--config={folder}/pretrain.toml",
            "--max-steps=20",
            "-o",
            folder / "run",
        )
        embedded = "-o", folder / "embedded.h5ad", "--no-report", "--force"
        kinds = {
            "tl.embed": ("-c", EMBED, cells, model),
            "read_h5ad": ("-c", READ, cells),
            "scgpt embed": (*program, "embed", cells, "-m", model, *embedded),
            "--version": (*program, "--version"),
        }
        found = {kind: [] for kind in kinds}
        for _ in range(runs):
            for kind, line in kinds.items():
                found[kind].append(run(*line))
    median = {kind: [statistics.median(it) for it in zip(*all_runs)] for kind, all_runs in found.items()}
    for kind, (seconds, memory) in median.items():
        print(f"{kind:12} {seconds:7.2f} CPU s {memory:7.0f} MB")
    (here, here_memory), (read, read_memory) = median["tl.embed"], median["read_h5ad"]
    (there, there_memory), (start, start_memory) = median["scgpt embed"], median["--version"]
    print(f"work         {here - read:7.2f} CPU s by the function, {there - start:.2f} by the program", end="")
    print(f": {100 * ((here - read) / (there - start) - 1):+.1f} %")
    print(
        f"memory       {here_memory - read_memory:7.0f} MB more than the cells, {there_memory - start_memory:.0f} MB",
        end="",
    )
    print(" by the program")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
