"""Cell embeddings by Dask: each partition opens the model once, and writes its own file.

python embed_dask.py cells.zarr MODEL embedded/ [WORKERS]
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import dask
import dask.bag
import pyarrow as pa
import pyarrow.parquet

import scgpt_rs

CELLS = 1000  # that are read at a time


def embed(parts: Iterable[tuple[int, int]], path: str, model: str, genes: list[str], output: str) -> list[str]:
    """Embeds the cells of a partition, part by part."""
    embedder, reader = scgpt_rs.Embedder(model, genes), scgpt_rs.read.Reader(path)
    files = []
    for begin, end in parts:
        batch = reader.batch(begin, end)
        batch = batch.append_column("place", pa.array(range(begin, end), pa.int64()))
        file = Path(output) / f"{begin:09d}.parquet"
        pyarrow.parquet.write_table(pa.Table.from_batches([embedder(batch)]), file)
        files.append(str(file))
    return files


def main(path: str, model: str, output: str, workers: int = 2) -> None:
    n_cells, genes = scgpt_rs.read.shape(path)
    Path(output).mkdir(parents=True, exist_ok=True)
    # A worker computes with its share of the cores; a cluster sets this where its workers start.
    os.environ["RAYON_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    parts = [(begin, min(begin + CELLS, n_cells)) for begin in range(0, n_cells, CELLS)]
    bag = dask.bag.from_sequence(parts, npartitions=workers)
    files = bag.map_partitions(embed, path, model, genes, output)
    print(len(files.compute(scheduler="processes", num_workers=workers)), "files")


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
