"""The search for what a block has to write at a subject, so that the model gives a new answer (ROME, arXiv 2202.05262)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.parametric.answers import device_of, differentiable, padded, token_losses
from mnemos.parametric.base import Edit
from mnemos.parametric.feedforward import Block, outputs_of
from mnemos.parametric.update.locate import Place, Where, place, places, read_at, states_of, targets

ENOUGH = 0.05  # loss at which the search stops


@dataclass(frozen=True)
class Search:
    """Settings of the search; the defaults are the paper's for GPT-2 XL, but for `openings`."""

    steps: int = 20  # of Adam; fewer where the answer is sure before
    rate: float = 0.5  # of Adam
    decay: float = 0.5  # weight of the relative size of what is added
    silence: float = 0.0625  # weight of the KL to the model as it was, on `essence`
    clamp: float = 4.0  # largest size of what is added, of the size of the layer's state there
    openings: int = 4  # texts of the model that the prompt is also read behind
    essence: str = "{} is a"  # what is to stay as it was, of the subject
    where: Where = "subject"  # whose last token is written at; shallow decoders look facts up at the prompt's


def added_state(
    model: Any, tokenizer: Any, edit: Edit, block: Block, openings: Sequence[Sequence[int]], search: Search
) -> Tensor:
    """Return what a block has to write beside what it writes there (D,).

    Minimises -log p(target), averaged over the openings, the KL to the model as it was on `essence`, and the size.
    """
    answer = targets(tokenizer, edit)
    found = places(tokenizer, edit, openings, search.where)
    quiet = place(tokenizer, search.essence.format(edit.subject), edit.subject, (), search.where)
    batch = [(p.tokens + answer, len(p.tokens)) for p in found]
    largest = search.clamp * float(read_at(model, found[:1], [states_of(block)])[0].norm())
    with differentiable(model, ()):
        before = _next(model, quiet, block, None).detach()
        added = torch.zeros(block.down.weight.shape[0], device=device_of(model), requires_grad=True)
        optimiser = torch.optim.Adam([added], lr=search.rate)
        for _ in range(search.steps):
            with outputs_of(block.down.module, _adding(added, [p.at for p in found])):
                losses, wanted = token_losses(model, batch)
            wrong = losses.sum() / wanted.sum()
            if float(wrong.detach()) < ENOUGH:
                break
            now = _next(model, quiet, block, added)
            moved = functional.kl_div(now, before, log_target=True, reduction="sum")
            loss = wrong + search.silence * moved + search.decay * added.norm() / largest * search.clamp
            (added.grad,) = torch.autograd.grad(loss, [added])
            optimiser.step()
            with torch.no_grad():
                size = float(added.norm())
                if size > largest:
                    added.mul_(largest / size)
        return added.detach()


def _adding(added: Tensor, at: Sequence[int]) -> Any:
    def read(states: Tensor) -> Tensor:
        mask = torch.zeros(states.shape[:2], dtype=states.dtype, device=states.device)
        mask[torch.arange(len(at)), torch.tensor(at)] = 1
        return states + mask[..., None] * added.to(states.dtype)

    return read


def _next(model: Any, at: Place, block: Block, added: Tensor | None) -> Tensor:
    """Return the log-probabilities of what follows a text, with something added at the subject."""
    tokens, _ = padded([(at.tokens, 0)], device_of(model))
    if added is None:
        return model(input_ids=tokens).logits[0, -1].float().log_softmax(-1)
    with outputs_of(block.down.module, _adding(added, [at.at])):
        return model(input_ids=tokens).logits[0, -1].float().log_softmax(-1)
