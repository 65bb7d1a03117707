"""Layers of other libraries beside those of Mnemos on a CPU: forward and backward, in one run.

The libraries are read from a folder of checkouts (`--code`), each under its own name, and are not installed: only their plain
PyTorch is called. They need einops, einx, tensordict, assoc-scan and omegaconf on the path:

    pip install --no-deps --target deps einops einx tensordict assoc-scan omegaconf frozendict orjson pyvers cloudpickle \
        importlib_metadata dacite
    PYTHONPATH=deps python -m benchmarks peers-neural --code checkouts

Where a library offers several forms in plain PyTorch, its fastest one is taken. Both sides get the same shapes, one thread, and
take turns; the median of each counts.
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.errors import InvalidInput

Run = Callable[[], Any]  # one forward and backward pass
HEADS, WIDTH = 4, 64  # heads of the rules; channels of a head, and of a layer


@dataclass(frozen=True)
class Options:
    """Where the libraries are, and how much is read."""

    code: Path | None = (
        None  # folder with flash-linear-attention, mamba-minimal, xlstm, titans-pytorch, hopfield-layers, ffm
    )
    length: int = 2048  # tokens
    repeats: int = 5  # turns of each side; the median counts


def table(result: Result) -> Rows:
    """Return milliseconds beside each other."""
    rows: Rows = [["layer", "library", "its form", "ms", "Mnemos ms", "times as fast"]]
    for name, pair in result["pairs"].items():
        cells = [f"{1000 * pair['peer']:,.0f}", f"{1000 * pair['mnemos']:,.0f}", f"{pair['peer'] / pair['mnemos']:.1f}"]
        rows.append([name, pair["library"], pair["form"], *cells])
    return rows


@benchmark(
    "peers-neural",
    help="Layers of other libraries beside ours on a CPU: time of a forward and backward pass.",
    options=Options,
    tables={"peers-neural": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Time each pair; see the module."""
    from mnemos.bench.kv.threads import one_thread

    if options.code is None:
        raise InvalidInput("name the folder of the libraries' sources: --code FOLDER.")
    progress.expect(len(PAIRS))
    found: dict[str, Any] = {}
    with one_thread():
        for name, (library, form, make) in PAIRS.items():
            peer, ours = make(options.code / library, options.length)
            times = [(timed(peer), timed(ours)) for _ in range(options.repeats + 1)][1:]  # the first one warms up
            medians = (statistics.median(side) for side in zip(*times, strict=True))
            found[name] = {"library": library, "form": form, **dict(zip(("peer", "mnemos"), medians, strict=True))}
            progress(1)
    return {"length": options.length, "repeats": options.repeats, "pairs": found}


def timed(run: Run) -> float:
    """Return the seconds of a run."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


# -- the rules of flash-linear-attention, which its plain files hold


def rule(name: str, function: str, checkout: Path, length: int) -> tuple[Run, Run]:
    """Return a rule of a matrix memory on both sides: (B 1, H 4, K V 64)."""
    import torch
    from torch.nn import functional as F

    from mnemos.neural.linear import rules

    theirs = getattr(by_path(checkout / "fla" / "ops" / name / "naive.py"), function)
    q, k, v = (torch.randn(1, HEADS, length, WIDTH, requires_grad=True) for _ in range(3))
    beta, channel = torch.rand(1, HEADS, length, 1), -torch.rand(1, HEADS, length, WIDTH) / 16
    decay, S = channel[..., :1].contiguous(), torch.zeros(1, HEADS, WIDTH, WIDTH)
    normed = partial(F.normalize, dim=-1)

    def turned(x: Any) -> Any:
        return x.transpose(1, 2)

    peers = {
        "delta_rule": lambda: theirs(q, normed(k), v, beta[..., 0]),
        "gated_delta_rule": lambda: theirs(
            turned(q), turned(normed(k)), turned(v), turned(decay)[..., 0], turned(beta)[..., 0]
        ),
        "gla": lambda: theirs(turned(q), turned(k), turned(v), turned(channel)),
        "simple_gla": lambda: theirs(turned(q), turned(k), turned(v), turned(decay)[..., 0]),
    }
    ours = {
        "delta_rule": lambda: rules.delta(q, normed(k), v, torch.zeros_like(decay), beta, S),
        "gated_delta_rule": lambda: rules.delta(q, normed(k), v, decay, beta, S),
        "gla": lambda: rules.additive(q, k, v, channel, S),
        "simple_gla": lambda: rules.additive(q, k, v, decay, S),
    }
    return both(peers[name]), both(ours[name])


def both(forward: Callable[[], Any]) -> Run:
    """Return a forward and backward pass of what returns outputs first."""

    def run() -> None:
        y = forward()
        (y[0] if isinstance(y, tuple) else y).sum().backward()

    return run


# -- whole layers


def mamba(checkout: Path, length: int) -> tuple[Run, Run]:
    """Return the block of mamba-minimal and ours: 64 channels, twice as many inside, 16 states each."""
    import torch

    from mnemos.neural.model import mixer

    code, x = by_path(checkout / "model.py"), torch.randn(1, length, WIDTH, requires_grad=True)
    theirs = code.MambaBlock(code.ModelArgs(d_model=WIDTH, n_layer=1, vocab_size=8))
    return both(partial(theirs, x)), both(partial(mixer("mamba", WIDTH), x))


def mlstm(checkout: Path, length: int) -> tuple[Run, Run]:
    """Return the mLSTM layer of xlstm and ours, of four heads."""
    import torch

    from mnemos.neural.model import mixer

    module = of_package(checkout, "xlstm.blocks.mlstm.layer")
    theirs = module.mLSTMLayer(module.mLSTMLayerConfig(embedding_dim=WIDTH, context_length=length, num_heads=HEADS))
    x = torch.randn(1, length, WIDTH, requires_grad=True)
    return both(partial(theirs, x)), both(partial(mixer(("mlstm", {"heads": HEADS, "key": 32, "value": 32}), WIDTH), x))


def slstm(checkout: Path, length: int) -> tuple[Run, Run]:
    """Return the sLSTM layer of xlstm, in its vanilla form, and ours, of four heads."""
    import torch

    from mnemos.neural.model import mixer

    module = of_package(checkout, "xlstm.blocks.slstm.layer")
    config = module.sLSTMLayerConfig(embedding_dim=WIDTH, num_heads=HEADS, backend="vanilla", conv1d_kernel_size=0)
    theirs, x = module.sLSTMLayer(config), torch.randn(1, length, WIDTH, requires_grad=True)
    return both(partial(theirs, x)), both(partial(mixer(("slstm", {"heads": HEADS}), WIDTH), x))


def titans(checkout: Path, length: int) -> tuple[Run, Run]:
    """Return the neural memory of titans-pytorch and ours: a memory of two layers, chunks of 64 tokens."""
    import torch

    from mnemos.neural.model import mixer

    bare = types.ModuleType("titans_pytorch")  # its __init__ needs more libraries than its memory
    bare.__path__ = [str(checkout / "titans_pytorch")]
    sys.modules["titans_pytorch"] = bare
    theirs = importlib.import_module("titans_pytorch.neural_memory").NeuralMemory(dim=WIDTH, chunk_size=64)
    x = torch.randn(1, length, WIDTH, requires_grad=True)
    return both(partial(theirs, x)), both(partial(mixer(("titans", {"chunk": 64}), WIDTH), x))


def ffm(checkout: Path, length: int) -> tuple[Run, Run]:
    """Return the fast and forgetful memory of its authors and ours: 64 traces at four periods."""
    import torch

    from mnemos.neural.model import mixer

    theirs = of_package(checkout / "standalone", "ffm").FFM(WIDTH, WIDTH, WIDTH, 4, WIDTH)
    x = torch.randn(1, length, WIDTH, requires_grad=True)
    ours = mixer(("fast-and-forgetful-memory", {"memory": WIDTH, "context": 4}), WIDTH)
    return both(partial(theirs, x)), both(partial(ours, x))


def by_path(path: Path) -> Any:
    """Return a module of a file, without its package."""
    if not path.exists():
        raise InvalidInput(f"{path} is not there: check the library out below --code.")
    spec = importlib.util.spec_from_file_location(f"peer_{abs(hash(path))}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def of_package(folder: Path, name: str) -> Any:
    """Return a module of a package in a folder."""
    if not folder.exists():
        raise InvalidInput(f"{folder} is not there: check the library out below --code.")
    sys.path.insert(0, str(folder))
    return importlib.import_module(name)


FLA = "flash-linear-attention"
PAIRS: dict[str, tuple[str, str, Callable[[Path, int], tuple[Run, Run]]]] = {
    "delta rule": (FLA, "by chunks", partial(rule, "delta_rule", "delta_rule_chunkwise")),
    "gated delta rule": (FLA, "by chunks", partial(rule, "gated_delta_rule", "naive_chunk_gated_delta_rule")),
    "fading sum": (FLA, "by chunks", partial(rule, "simple_gla", "naive_chunk_simple_gla")),
    "sum fading by channel": (FLA, "token by token", partial(rule, "gla", "naive_recurrent_gla")),
    "Mamba": ("mamba-minimal", "token by token", mamba),
    "mLSTM": ("xlstm", "in parallel", mlstm),
    "sLSTM": ("xlstm", "token by token", slstm),
    "Titans": ("titans-pytorch", "by chunks", titans),
    "FFM": ("ffm", "in parallel", ffm),
}
