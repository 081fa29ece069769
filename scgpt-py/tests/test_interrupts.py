"""Ctrl-C, wherever something works: it is heard at once, and nothing is left half."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import scgpt_rs
from scgpt_rs import Embedder, _native, _rows, tl

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")


@pytest.fixture(scope="session")
def embedder(whole, model) -> Embedder:
    return Embedder(model, genes=list(whole.var_names))


class Stopped(BaseException):
    """What Ctrl-C raises in these tests."""


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """Asks again and again, and raises the second time that it is heard: what does not hear before it is done hears
    once."""
    heard, done = 0, threading.Event()

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 2:
            raise Stopped

    def ask() -> None:
        while not done.wait(0.02):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, hear)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join()
        signal.signal(signal.SIGINT, before)


def hears(work: Callable[..., object], given: Callable[[int], tuple[object, ...]]) -> bool:
    """Whether work is stopped, given so much of it that it takes some time on this machine."""
    for n in (1, 4, 16, 64):
        arguments = given(n)
        try:
            with asked_to_stop():
                work(*arguments)
        except Stopped:
            return True
    return False


def test_embedding_hears(whole, embedder):
    def rows(n: int) -> tuple[object, ...]:
        many = sparse.vstack([whole.X] * (50 * n), format="csr")
        return embedder._genes, _rows.of_matrix(many, whole.n_vars)

    assert hears(embedder._native.embed, rows)
    assert hears(embedder._native.tokenize, rows)
    assert embedder.embed(whole.X[:2]).shape == (2, 32)


def test_binning_hears():
    def rows(n: int) -> tuple[object, ...]:
        indptr = np.arange(0, 4_000_000 * n + 1, 10_000)
        return indptr, np.random.default_rng(1).random(4_000_000 * n, dtype=np.float32), 51, "upper", 0

    assert hears(_native.bin_values, rows)


def test_opening_hears(model, tmp_path):
    """Of a file that takes some time to be hashed, for a tensor of 1 GiB."""
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    end = len(content) - begin
    large = {"dtype": "U8", "shape": [2**30], "data_offsets": [end, end + 2**30]}
    header = json.dumps({**json.loads(content[8:begin]), "large": large}).encode()
    weights.write_bytes(len(header).to_bytes(8, "little") + header + content[begin:])
    os.truncate(weights, 8 + len(header) + end + 2**30)
    with pytest.raises(Stopped), asked_to_stop():
        Embedder(folder, genes=[])
    assert Embedder(model, genes=[]).width == 32


def test_the_program_stops_at_once_where_nothing_is_written(tmp_path):
    """While it reads its settings from a pipe."""
    pipe = tmp_path / "config.toml"
    os.mkfifo(pipe)
    child = subprocess.Popen([sys.executable, "-m", "scgpt_rs", "inspect", "cells.h5ad", "--config", pipe])
    with open(pipe, "w"):
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == -signal.SIGINT


def learn(kind: str, folder: Path, output: Path, *, resume: bool = False) -> None:
    """A training of some seconds."""
    if kind == "pretrain":
        settings = folder / "pretrain.toml"
        tl.pretrain(data=folder / "shards", output=output, config=settings, max_steps=300, epochs=1000, resume=resume)
    else:
        cells = scgpt_rs.simulate(cells=300, genes=200, types=3, seed=1)
        model = folder / "run" / "model"
        tl.annotate_train(
            cells, output=output, label="cell_type", model=model, epochs=20, no_baselines=True, resume=resume
        )


LEARNING = """
import sys
from pathlib import Path
from test_interrupts import learn
try:
    learn(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
except KeyboardInterrupt:
    print("stopped")
"""


def has_begun(output: Path) -> bool:
    """Whether a training has done a step."""
    try:
        return any(log.stat().st_size for log in output.rglob("log.jsonl"))
    except FileNotFoundError:
        # A checkpoint was renamed meanwhile.
        return False


def interrupted(words: list[object], output: Path, temporary: Path) -> tuple[int, str]:
    """The exit code of a training that is stopped once it has done something, and what it prints."""
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    line = [sys.executable, *map(str, words)]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent, env=environment)
    while not has_begun(output):
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    printed, _ = child.communicate(timeout=60)
    assert not list(temporary.iterdir())
    assert not list(output.rglob(".tmp*"))
    return child.returncode, printed


@pytest.mark.parametrize(
    ("kind", "weights"), [("pretrain", "model/model.safetensors"), ("annotate_train", "model.safetensors")]
)
def test_a_training_that_was_stopped_comes_to_the_same_weights(kind, weights, folder, model, tmp_path):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    words = ["-c", LEARNING, kind, folder, stopped]
    assert interrupted(words, stopped, tmp_path / "temporary") == (0, "stopped\n")
    assert not (stopped / weights).exists()
    learn(kind, folder, stopped, resume=True)
    learn(kind, folder, whole)
    assert (stopped / weights).read_bytes() == (whole / weights).read_bytes()


def test_the_program_cleans_up_where_something_is_written(folder, model, tmp_path):
    output = tmp_path / "run"
    words = ["-m", "scgpt_rs", "pretrain", "--data", folder / "shards", "-o", output, "--max-steps", 100_000]
    words += ["--epochs", 100_000, "--config", folder / "pretrain.toml"]
    code, _ = interrupted(words, output, tmp_path / "temporary")
    assert code == 130 and list((output / "checkpoints").iterdir())
