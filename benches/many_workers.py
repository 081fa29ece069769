"""Share of the ideal speed that many workers reach, by a model of one step; the table of `docs/many-workers.md`.

python3 benches/many_workers.py                  # the table
python3 benches/many_workers.py BATCH RATE       # a step as it was measured by `benches/two_hosts.sh`, for comparison

A step is `rounds` batches of each worker. It takes as long as the slowest worker computes, plus what is exchanged
and is not hidden behind that. What the table assumes are the fields of `Machine` and the constants. For comparison the
seconds of a batch and the bytes that pass between both hosts in a second are measured, and the step follows.
"""

import random
import sys
from dataclasses import dataclass, replace

#: Cells of a batch, and cells that one GPU trains in a second, alone.
BATCH, RATE = 32, 300
#: Standard deviation of the time of a batch.
SPREAD = 0.03
STEPS = 500


@dataclass(frozen=True)
class Machine:
    """What gradients pass, in bytes and seconds; rates are those of one direction."""

    parameters: float = 51.3e6  # of a network of 12 x 512 with 60 697 genes
    batch: float = BATCH / RATE  # seconds that one GPU computes, alone
    gpus: int = 8
    network: float = 12.5e9  # of a machine, 100 Gb/s
    memory: float = 10e9  # of a worker, to others of its machine through memory
    bus: float = 20e9  # between a GPU and memory; None if gradients stay on GPUs
    latency: float = 20e-6  # of one message
    bytes: int = 4  # of a number


def ordered(m: Machine, n: int, rounds: int) -> float:
    """Each worker sends every other one its part in every round, while the next is computed, and the sums at the end."""
    gradients = m.parameters * m.bytes
    own = min(n, m.gpus)
    inside = gradients * (own - 1) / n / m.memory
    across = own * gradients * (n - own) / n / m.network
    once = max(inside, across) + n * m.latency
    left = max(0.0, once - m.batch)
    return (rounds - 1) * left + 2 * once + (rounds + 1) * gradients / m.bus


def fast(m: Machine, n: int, _: int) -> float:
    """A ring passes the gradients twice, once a step; the network is passed by one worker of a machine."""
    gradients = m.parameters * m.bytes
    slowest = m.memory if n <= m.gpus else min(m.memory, m.network)
    ring = 2 * gradients * (n - 1) / n / slowest + 2 * n * m.latency / 8
    return ring + 2 * gradients / m.bus


def efficiency(exchange, m: Machine, n: int, rounds: int, hidden: float = 0.0) -> float:
    """Computing without others over computing with them; `hidden` of the exchange takes place meanwhile."""
    generator = random.Random(n)
    batch = m.batch
    took = exchange(m, n, rounds)
    total = 0.0
    for _ in range(STEPS):
        computed = batch * max(
            rounds + generator.gauss(0, SPREAD * rounds**0.5) for _ in range(n)
        )
        total += computed + took - min(hidden * took, computed)
    return STEPS * rounds * batch / total


HOST = Machine()
NVLINK = replace(HOST, memory=300e9, network=8 * 12.5e9, bus=1e12)
COLUMNS = [
    ("ordered, 1", ordered, HOST, 1, 0.0),
    ("ordered, 8", ordered, HOST, 8, 0.0),
    ("fast, 1", fast, HOST, 1, 0.0),
    ("fast, 4", fast, HOST, 4, 0.0),
    ("fast, 16", fast, HOST, 16, 0.0),
    ("fast, 4, bf16", fast, replace(HOST, bytes=2), 4, 0.0),
    ("fast, 4, hidden", fast, HOST, 4, 0.7),
    ("nccl, 1", fast, NVLINK, 1, 0.0),
]


def compare(batch: float, rate: float) -> None:
    """A step of two hosts with a worker each, of four batches a worker, of the network of 4 x 512 of the docs."""
    m = Machine(parameters=7.7e6, batch=batch, gpus=1, network=rate, bus=float("inf"))
    for name, took in [("hidden", ordered(m, 2, 4)), ("not hidden", ordered(replace(m, batch=0.0), 2, 4))]:
        print(f"{name}: {4 * batch + took:.2f} s a step, of which {took:.2f} s are waited for")


if __name__ == "__main__" and len(sys.argv) == 3:
    compare(*map(float, sys.argv[1:]))
elif __name__ == "__main__":
    print("| workers | " + " | ".join(name for name, *_ in COLUMNS) + " |")
    print("|---:|" + "---:|" * len(COLUMNS))
    for n in (2, 8, 16, 32, 64, 128, 256, 512):
        values = [efficiency(exchange, m, n, rounds, hidden) for _, exchange, m, rounds, hidden in COLUMNS]
        print(f"| {n} | " + " | ".join(f"{100 * it:.0f} %" for it in values) + " |")
