"""How the tiny model is trained: to copy, to read, and to know by heart, in one mixture.

Reading is learned all at once after some hundred steps, and copying random words brings it forward; weights of the layers are
trained by Muon (arXiv 2502.16982), the rest by AdamW. A third of what is asked in an episode is known and was not told, so
that knowing works after a text about others, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from mnemos.bench.parametric.tiny import KNOWN, NAMES, PLACES, WORDS, untrained

STEPS, ROWS, WARM_UP = 1500, 64, 100
RATE, MUON = 3e-3, 0.02
MOST, ASKED = 16, 6  # facts that are told, and asked for
STATED = 0.1  # weight of a token of what is told, against 1 of an answer
_ID = {word: i for i, word in enumerate(WORDS)}


def fit(seed: int = 0, steps: int = STEPS, progress: Callable[[int], None] | None = None) -> tuple[Any, list[float]]:
    """Return a trained model and the losses of the steps: of `steps` of the mixture, then of a third as many of episodes."""
    model, rng = untrained(seed), random.Random(seed)
    losses = phase(model, rng, steps, True, 1.0, progress)
    return model, losses + phase(model, rng, steps // 3, False, 0.5, progress)


def phase(
    model: Any, rng: random.Random, steps: int, copy: bool, rate: float, progress: Callable[[int], None] | None = None
) -> list[float]:
    """Train a model in place for some steps, a third of whose rows are copies if `copy`; return their losses."""
    model.requires_grad_(True).train()
    layers = [p for name, p in model.named_parameters() if p.ndim == 2 and ".layers." in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in name)]
    muon = torch.optim.Muon(layers, lr=MUON, weight_decay=0.0)
    adam = torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    losses = []
    for step in range(steps):
        share = rate * min(1.0, (step + 1) / WARM_UP, 3 * (steps - step) / steps)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = MUON * share, RATE * share
        loss = _loss(model, [copying(rng) if copy and i % 3 == 0 else episode(rng) for i in range(ROWS)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        muon.step()
        adam.step()
        model.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if progress:
            progress(1)
    model.eval().requires_grad_(False)
    return losses


def copying(rng: random.Random) -> tuple[list[int], list[float]]:
    """Return random words twice, with the weight of every token as a target."""
    part = [rng.randrange(2, len(WORDS)) for _ in range(rng.randint(4, 20))]
    return [0, *part, *part], [0.0] * (len(part) + 2) + [1.0] * (len(part) - 1)


def episode(rng: random.Random) -> tuple[list[int], list[float]]:
    """Return facts that are told, and names with what is to be answered, in the same form."""
    names = rng.sample(NAMES, rng.choice((0, rng.randint(1, MOST))))
    facts = {name: rng.choice(PLACES) for name in names}
    untold = [name for name in KNOWN if name not in facts]
    ids, weights = [0], [0.0]
    for name, place in facts.items():
        ids += [_ID[name], _ID[place], _ID["."]]
        weights += [STATED, 0.0 if name in KNOWN else STATED, STATED]
    for _ in range(ASKED):
        name = rng.choice(names) if names and rng.random() < 0.67 else rng.choice(untold)
        ids += [_ID[name], _ID[facts.get(name) or KNOWN[name]], _ID["."]]
        weights += [0.0, 1.0, STATED]
    return ids, weights


def _loss(model: Any, rows: list[tuple[list[int], list[float]]]) -> Tensor:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [1] * (width - len(row)) for row, _ in rows])
    weight = torch.tensor([w + [0.0] * (width - len(w)) for _, w in rows])[:, 1:]
    counted = weight > 0
    hidden = model.model(ids, use_cache=False).last_hidden_state[:, :-1]
    losses = functional.cross_entropy(model.lm_head(hidden[counted]), ids[:, 1:][counted], reduction="none")
    return (losses * weight[counted]).sum() / weight.sum()


def save(model: Any, path: Path) -> None:
    """Write the weights of a model in float16."""
    tied = {"lm_head.weight"}
    state = {n: t.half().contiguous() for n, t in model.state_dict().items() if n not in tied}
    save_file(state, path, metadata={"format": "pt"})
