"""Cell embeddings by Ray Data: each actor holds one model, and rows are those of one process, to the last bit.

python embed_ray.py cells.zarr MODEL embedded/ [WORKERS]
"""

import os
import sys

import pyarrow as pa
import ray

import scgpt_rs

CELLS = 1000  # that travel together


class Read:
    """Reads the cells of parts, from a file that a process opens once."""

    def __init__(self, path: str) -> None:
        self.reader = scgpt_rs.read.Reader(path)

    def __call__(self, part: pa.Table) -> pa.Table:
        (begin,), (end,) = part["begin"].to_pylist(), part["end"].to_pylist()
        place = pa.array(range(begin, end), pa.int64())
        return pa.Table.from_batches([self.reader.batch(begin, end).append_column("place", place)])


def main(path: str, model: str, output: str, workers: int = 2) -> None:
    n_cells, genes = scgpt_rs.read.shape(path)
    threads = max(1, (os.cpu_count() or 1) // workers)
    # A worker computes with its share of the cores.
    ray.init(
        num_cpus=max(workers + 1, os.cpu_count() or 1),
        include_dashboard=False,
        runtime_env={"env_vars": {"RAYON_NUM_THREADS": str(threads)}},
    )
    parts = [{"begin": begin, "end": min(begin + CELLS, n_cells)} for begin in range(0, n_cells, CELLS)]
    (
        ray.data.from_items(parts)
        .map_batches(
            Read,
            fn_constructor_kwargs={"path": path},
            batch_size=1,
            batch_format="pyarrow",
            concurrency=(1, workers),
            num_cpus=0.1,
        )
        .map_batches(
            scgpt_rs.Embedder,
            fn_constructor_kwargs={"model": model, "genes": genes},
            batch_size=None,
            batch_format="pyarrow",
            concurrency=workers,
        )
        .write_parquet(output)
    )


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:5]))
