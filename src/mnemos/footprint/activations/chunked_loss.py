"""The loss over a large vocabulary, without the logits of more than some tokens at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mnemos.errors import InvalidInput
from mnemos.registry import Paper, register

CHUNK = 256  # tokens
UNASKED = -100  # a target that does not count


@register(
    "chunked-loss",
    papers=(
        Paper("Liger Kernel: Efficient Triton Kernels for LLM Training", "2410.10989", "linkedin/Liger-Kernel"),
        Paper("Cut Your Losses in Large-Vocabulary Language Models", "2411.09009", "apple/ml-cross-entropy"),
    ),
)
def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    chunk: int = CHUNK,  # tokens whose logits are in memory at once
) -> Tensor:
    """Return the mean cross-entropy of tokens from their last hidden states, with the logits of `chunk` tokens in memory at most.

    `hidden` (..., D) and `targets` (...) of the same tokens, -100 for one that does not count; `weight` (V, D) of the output
    layer. The gradient is computed with the loss, chunk by chunk, so that nothing is computed twice, and kept as (..., D)
    instead of two times (..., V) numbers. Equal to the plain loss up to rounding. Raises InvalidInput where shapes do not fit.
    """
    if hidden.shape[:-1] != targets.shape or hidden.shape[-1] != weight.shape[-1]:
        raise InvalidInput(
            f"hidden states {tuple(hidden.shape)} do not fit targets {tuple(targets.shape)} and a weight {tuple(weight.shape)}."
        )
    if chunk < 1:
        raise InvalidInput(f"chunk is {chunk}: give at least 1 token.")
    loss: Tensor = _Chunked.apply(hidden.flatten(0, -2), weight, targets.flatten(), chunk)
    return loss


class _Chunked(torch.autograd.Function):  # type: ignore[misc]  # torch is not read where types are checked
    """The loss, and its gradient for states and, where it is trained, the weight."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        count = (targets != UNASKED).sum().clamp(min=1)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        wanted, learned = ctx.needs_input_grad[:2]
        slopes = torch.empty_like(hidden) if wanted else None
        of_weight = torch.zeros_like(weight) if learned else None
        for at in range(0, len(hidden), chunk):
            rows, right = hidden[at : at + chunk], targets[at : at + chunk]
            asked, place = (right != UNASKED)[:, None], right.clamp(min=0)[:, None]
            logits = (rows @ weight.T).float()
            norm = logits.logsumexp(-1, keepdim=True)
            total += ((norm - logits.gather(-1, place)) * asked).sum()
            if slopes is None and of_weight is None:
                continue
            slope = logits.sub_(norm).exp_()  # the chances
            slope.scatter_add_(-1, place, torch.full_like(norm, -1.0)).mul_(asked / count)
            slope = slope.to(weight.dtype)
            if slopes is not None:
                torch.mm(slope, weight, out=slopes[at : at + chunk])
            if of_weight is not None:
                of_weight.addmm_(slope.T, rows)
        ctx.save_for_backward(slopes, of_weight)
        return total / count

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        slopes, of_weight = ctx.saved_tensors
        times = [None if kept is None else kept * outer.to(kept.dtype) for kept in (slopes, of_weight)]
        return times[0], times[1], None, None
