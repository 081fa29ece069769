"""Ctrl-C, wherever something works: it is heard at once, and nothing is left half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import scgpt_rs
from scgpt_rs import Embedder, pp, tl

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")


class Stopped(BaseException):
    """What Ctrl-C raises in these tests."""


@contextmanager
def asked_to_stop() -> Iterator[None]:
    """Asks again and again, and the third time that it is heard raises: if nothing hears before it is done, all of
    them are one."""
    heard, done = 0, threading.Event()

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1
        if heard == 3:
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


def test_embedding_hears(whole, model):
    embedder = Embedder(model, genes=list(whole.var_names))
    matrix = whole.X.toarray().repeat(100, axis=0)
    with pytest.raises(Stopped), asked_to_stop():
        embedder.embed(matrix)
    assert embedder.embed(matrix[:2]).shape == (2, 32)


def test_binning_hears(whole):
    cells = type(whole)(np.random.default_rng(1).random((1000, 10_000), dtype=np.float32))
    with pytest.raises(Stopped), asked_to_stop():
        pp.bin(cells)
    assert not cells.layers


def test_tokenising_hears(whole, model):
    cells = type(whole)(whole.X.toarray().repeat(300, axis=0), var=whole.var)
    with pytest.raises(Stopped), asked_to_stop():
        pp.tokenize(cells, model=model)


def test_opening_hears(tmp_path):
    """Of a pipe that nobody writes to."""
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)
    release = threading.Timer(30, lambda: os.close(os.open(pipe, os.O_RDWR)))
    release.start()
    with pytest.raises(Stopped), asked_to_stop():
        Embedder(tmp_path, genes=[])
    release.cancel()
    release.function()


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


def interrupted(words: list[object], output: Path, temporary: Path) -> tuple[int, str]:
    """The exit code of a training that is stopped once it has done something, and what it prints."""
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    line = [sys.executable, *map(str, words)]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent, env=environment)
    while not any(log.stat().st_size for log in output.rglob("log.jsonl")):
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
