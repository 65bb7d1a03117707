"""Sources that switch without a sign: `mnemos bench switching`. Is a memory's loss near the best that there can be?

After "Memory-Based Meta-Learning on Non-Stationary Distributions" (arXiv 2302.03067): coins whose bias is drawn again at
hidden moments, from the prior of Partition Tree Weighting (PTW) or at a regular period. A predictor's regret is its loss less
that of one that knows every bias, in bits a sequence. PTW over KT estimators (Veness et al. 2013) is the Bayes mixture for
its own prior; a KT counter assumes that nothing switches, and one with decay forgets at a fixed rate. Networks are
meta-trained by log-loss on the PTW prior and then frozen; longer sequences than they were trained on come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.neural.working_memory import named
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark

if TYPE_CHECKING:
    from torch import nn

Bits = NDArray[np.int64]  # (N, T) symbols
Losses = NDArray[np.float64]  # (N,) bits a sequence
DECAY = 0.95  # of the counts of the forgetting counter, a step


@dataclass(frozen=True)
class Options:
    """The sources, the networks and their training."""

    memories: tuple[str, ...] = ("gru", "gru with memory", "window")  # networks that are meta-trained
    parameters: int = 6_000  # of each network, at most
    steps: int = 600  # of training
    batch: int = 32  # sequences of a step
    length: int = 128  # symbols of a sequence that is trained on, a power of two
    longer: int = 512  # symbols of the longer sequences, a power of two
    window: int = 24  # symbols that each layer of the window sees
    sequences: int = 200  # sequences of each source that is measured
    seeds: int = 3  # networks of each kind


def biases(kind: str, count: int, length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the bias at every step, (N, T): of the PTW prior, or drawn again every 20 steps."""
    found = np.empty((count, length))
    for row in found:
        if kind == "regular":
            row[:] = np.repeat(rng.beta(0.5, 0.5, -(-length // 20)), 20)[:length]
        else:
            _split(row, rng)
    return found


def _split(row: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Fill a block with one bias, or with even odds split it into halves."""
    if len(row) == 1 or rng.random() < 0.5:
        row[:] = rng.beta(0.5, 0.5)
    else:
        _split(row[: len(row) // 2], rng)
        _split(row[len(row) // 2 :], rng)


def known(bits: Bits, bias: NDArray[np.float64]) -> Losses:
    """Return the loss of one that knows every bias."""
    p = np.where(bits == 1, bias, 1 - bias)
    return np.asarray(-np.log2(np.maximum(p, 1e-12)).sum(1))


def counter(bits: Bits, decay: float = 1.0) -> Losses:
    """Return the loss of a KT counter whose counts decay at every step."""
    counts = np.zeros((len(bits), 2))
    loss = np.zeros(len(bits))
    row = np.arange(len(bits))
    for symbol in bits.T:
        loss -= np.log2((counts[row, symbol] + 0.5) / (counts.sum(1) + 1))
        counts *= decay
        counts[row, symbol] += 1
    return loss


def partition_tree(bits: Bits) -> Losses:
    """Return the loss of PTW over KT estimators, for sequences as long as a power of two. O(log T) a symbol.

    A node of the tree covers a block: half its weight is on one KT estimator for all of it, half on its two halves.
    """
    count, length = bits.shape
    depth = length.bit_length() - 1
    counts = np.zeros((depth + 1, count, 2))
    one = np.zeros((depth + 1, count))  # log2 of the estimator's probability of the block so far
    left = np.zeros((depth + 1, count))  # of the finished left half, 0 while in it
    whole = np.zeros((depth + 1, count))  # of the mixture
    row = np.arange(count)
    for t, symbol in enumerate(bits.T):
        for level in range(depth + 1):
            block = length >> level
            if t % block == 0:
                counts[level], one[level], left[level] = 0, 0, 0
            elif block > 1 and t % block == block // 2:
                left[level] = whole[level + 1]  # of the step before: the half is complete
        for level in range(depth, -1, -1):
            seen = counts[level]
            one[level] += np.log2((seen[row, symbol] + 0.5) / (seen.sum(1) + 1))
            seen[row, symbol] += 1
            if level == depth:
                whole[level] = one[level]
            else:
                whole[level] = np.logaddexp2(one[level], left[level] + whole[level + 1]) - 1
    return np.asarray(-whole[0])


def of_network(model: nn.Module, bits: Bits) -> Losses:
    """Return the loss of a network that predicts each symbol from those before."""
    import torch

    with torch.no_grad():
        x, y = shifted(bits)
        logits = torch.cat([model(part) for part in x.split(64)])
        nats = torch.nn.functional.cross_entropy(logits.transpose(1, 2), y, reduction="none").sum(1)
    return np.asarray(nats.double().numpy() / np.log(2))


def shifted(bits: Bits) -> tuple[Any, Any]:
    """Return the inputs (N, T, 3): the symbol before, or that there is none; and the symbols (N, T)."""
    import torch

    y = torch.from_numpy(bits)
    before = torch.cat([torch.full((len(bits), 1), 2), y[:, :-1]], 1)
    return torch.nn.functional.one_hot(before, 3).float(), y


def table(result: Result) -> Rows:
    """Return the regret of every predictor on every source."""
    sources = list(next(iter(result["predictors"].values())))
    lines: Rows = [["predictor", *(f"regret, bits: {source}" for source in sources)]]
    for name, row in result["predictors"].items():
        cells = [
            f"{v['mean']:.1f}" + (f" ± {v['spread']:.1f}" if v["spread"] is not None else "") for v in row.values()
        ]
        lines.append([name, *cells])
    return lines


@benchmark(
    "switching",
    help="Regret on sources that switch without a sign: networks by their memory against the Bayes mixture.",
    options=Options,
    tables={"switching": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Meta-train the networks and return the regret of all predictors on every source."""
    progress.expect(len(options.memories) * options.seeds)
    rng = np.random.default_rng(2026)
    sources = {}
    for name, kind, length in (("PTW prior", "ptw", options.length), ("regular switches", "regular", options.length),
                               ("PTW prior, longer", "ptw", options.longer)):  # fmt: skip
        bias = biases(kind, options.sequences, length, rng)
        sources[name] = ((rng.random(bias.shape) < bias).astype(np.int64), bias)
    best = {name: known(bits, bias) for name, (bits, bias) in sources.items()}

    def regret(losses: Sequence[dict[str, Losses]]) -> dict[str, Any]:
        means = {name: [float((each[name] - best[name]).mean()) for each in losses] for name in sources}
        return {
            n: {"mean": round(fmean(v), 3), "spread": round(pstdev(v), 3) if len(v) > 1 else None}
            for n, v in means.items()
        }

    found = {
        "PTW": regret([{name: partition_tree(bits) for name, (bits, _) in sources.items()}]),
        "KT counter": regret([{name: counter(bits) for name, (bits, _) in sources.items()}]),
        f"KT, decay {DECAY}": regret([{name: counter(bits, DECAY) for name, (bits, _) in sources.items()}]),
    }
    for memory in options.memories:
        losses = []
        for seed in range(options.seeds):
            model = trained(memory, options, seed)
            losses.append({name: of_network(model, bits) for name, (bits, _) in sources.items()})
            progress(1)
        found[memory] = regret(losses)
    return {"seeds": options.seeds, "length": options.length, "longer": options.longer, "predictors": found}


def trained(memory: str, options: Options, seed: int) -> nn.Module:
    """Return a network that was meta-trained on the PTW prior."""
    import torch

    from mnemos.bench.neural.memories import Batch, build, train

    rng = np.random.default_rng(seed)

    def drawn(step: int) -> Batch:
        bias = biases("ptw", options.batch, options.length, rng)
        x, y = shifted((rng.random(bias.shape) < bias).astype(np.int64))
        return x, y, torch.ones_like(y, dtype=torch.bool)

    model = build(named(memory), 3, 2, options.parameters, options.window, seed)
    train(model, drawn, options.steps)
    return model
