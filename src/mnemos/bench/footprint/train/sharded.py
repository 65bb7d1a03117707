"""Two processes train one model on different rows, with gloo: the states that each holds, and whether the weights are DDP's."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mnemos.bench.parts import Row
from mnemos.footprint import attached
from mnemos.footprint.states.sharded import Sharded

WAYS: dict[str, Sharded | None] = {
    "data-parallel (DDP)": None,
    "states shared out": Sharded(),
    "states and gradients shared out": Sharded(stage=2),
}
WIDTH, STEPS = 256, 3


def measure(options: Any) -> dict[str, Row]:
    """Return the bytes of the first process, and whether the weights of both are those of DDP bit for bit."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (folder, WIDTH), nprocs=2)
        first, second = (torch.load(Path(folder) / f"{rank}.pt") for rank in range(2))
    plain = first[next(iter(WAYS))]["weights"]
    return {
        name: {
            "states, first process kB": round(first[name]["states"] / 1e3),
            "second process kB": round(second[name]["states"] / 1e3),
            "gradients, first process kB": round(first[name]["gradients"] / 1e3),
            "weights equal": str(all(torch.equal(of[name]["weights"], plain) for of in (first, second))).lower(),
        }
        for name in WAYS
    }


def train(rank: int, folder: str, width: int) -> None:
    """Train in one process of two, each way, and write what it ended with."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.set_num_threads(1)
    try:
        torch.save({name: _trained(rank, method, width) for name, method in WAYS.items()}, Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def _trained(rank: int, method: Sharded | None, width: int) -> dict[str, Any]:
    torch.manual_seed(0)
    wide = 2 * width
    model = nn.Sequential(nn.Linear(width, wide), nn.Tanh(), nn.Linear(wide, width), nn.Tanh(), nn.Linear(width, wide), nn.Tanh(),
                          nn.Linear(wide, width))  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    run = DistributedDataParallel(model) if method is None else model
    with attached(model, *([method] if method else []), optimiser=optimiser):
        for step in range(STEPS):
            optimiser.zero_grad()
            x = torch.randn(8, width, generator=torch.Generator().manual_seed(2 * step + rank))
            run(x).square().mean().backward()
            optimiser.step()
        states = sum(t.nbytes for state in optimiser.state.values() for t in state.values() if t.dim())
        gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    return {"weights": weights, "states": states, "gradients": gradients, "all": len(optimiser.state)}
