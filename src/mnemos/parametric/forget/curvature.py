"""Curvature edit: keep what bends the loss on text in general, drop what holds recitations.

W (out, in) of a feed-forward block, a (in) what it reads, g (out) the gradient of the loss at what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import Encoded, differentiable, encode, token_losses
from mnemos.parametric.base import Example
from mnemos.parametric.changes import Change, recorded
from mnemos.parametric.feedforward import Matrix, chosen_blocks
from mnemos.registry import Paper, register


@register(
    "curvature-edit",
    papers=(
        Paper(
            "From Memorization to Reasoning in the Spectrum of Loss Curvature",
            "2510.24256",
            "goodfire-ai/memorization_kfac",
        ),
    ),
    task="recitation",
    baselines=("random-dampening",),
)
@dataclass(frozen=True)
class CurvatureEdit:
    """Drops the parts of feed-forward matrices along which the loss on text in general hardly bends.

    With A = E[a a^T] and G = E[g g^T] over the tokens of `keep` (K-FAC), C = U_G^T W U_A is W in their eigenbases; entry (i,
    j) counts lambda_i mu_j, and what is outside the entries that hold the top `mass` of it is set to zero. What is to be
    forgotten need not be named: `forget` is not read, and facts that only few texts state fall, too. With `basis="singular"`
    as many numbers are kept by truncated SVD, the paper's comparison. Costs a forward and a backward pass a text and
    O(out^3 + in^3) a matrix.
    """

    mass: float = 0.7  # share of the curvature that is kept
    layers: tuple[int, ...] = ()  # which blocks; none: all
    basis: Literal["curvature", "singular"] = "curvature"  # singular: truncated SVD of as many numbers

    def __post_init__(self) -> None:
        if not 0 < self.mass <= 1:
            raise InvalidInput(f"mass is {self.mass}: give a share above 0, at most 1.")

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Change:
        """Change the model's weights in place; see `Unlearner`."""
        blocks = chosen_blocks(model, self.layers)
        matrices = [m for block in blocks for m in (*block.ups, block.down)]
        factors = curvature(model, matrices, [encode(tokenizer, example) for example in keep])
        with recorded(model, [m.name for m in matrices]) as recording, torch.no_grad():
            for matrix, (of_inputs, of_gradients) in zip(matrices, factors, strict=True):
                matrix.weight.copy_(self._edited(matrix.weight.double().cpu(), of_inputs, of_gradients))
        return recording.change

    def _edited(self, weight: Tensor, of_inputs: Tensor, of_gradients: Tensor) -> Tensor:
        mu, u_in = torch.linalg.eigh(of_inputs)
        lam, u_out = torch.linalg.eigh(of_gradients)
        kept = top_mass(lam.clamp(min=0)[:, None] * mu.clamp(min=0)[None], self.mass)
        if self.basis == "curvature":
            return u_out @ (u_out.T @ weight @ u_in * kept) @ u_in.T
        rank = max(int(kept.sum()) // sum(weight.shape), 1)
        left, singular, right = torch.linalg.svd(weight, full_matrices=False)
        return (left[:, :rank] * singular[:rank]) @ right[:rank]


def top_mass(scores: Tensor, share: float) -> Tensor:
    """Return the fewest entries that hold a share of the sum of all, as a mask."""
    order = scores.flatten().sort(descending=True, stable=True).indices
    below = scores.flatten()[order].cumsum(0) - scores.flatten()[order] < share * scores.sum()
    mask = torch.zeros_like(below)
    mask[order] = below
    return mask.view(scores.shape)


def curvature(model: Any, matrices: Sequence[Matrix], texts: Sequence[Encoded]) -> list[tuple[Tensor, Tensor]]:
    """Return A (in, in) and G (out, out) of each matrix over the tokens of texts, in double precision.

    The gradients are those of the loss of each text's next tokens. Raises InvalidInput without texts.
    """
    if not texts:
        raise InvalidInput("there is no text in general to tell what bends the loss: give examples to keep.")
    sums = [tuple(torch.zeros(n, n, dtype=torch.double) for n in m.weight.shape[::-1]) for m in matrices]
    seen: dict[int, Tensor] = {}

    def hook(i: int) -> Callable[[Any, Any, Tensor], None]:
        def note(_: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
            _add(sums[i][0], args[0])
            seen[i] = output

        return note

    with differentiable(model, [m.name for m in matrices]), ExitStack() as hooks:
        for i, matrix in enumerate(matrices):
            hooks.callback(matrix.module.register_forward_hook(hook(i)).remove)
        for text in texts:
            losses, _ = token_losses(model, [text])
            gradients = torch.autograd.grad(losses.sum(), [seen[i] for i in range(len(matrices))])
            for (_, total), gradient in zip(sums, gradients, strict=True):
                _add(total, gradient)
    count = sum(len(tokens) for tokens, _ in texts)
    return [(of_inputs / count, of_gradients / count) for of_inputs, of_gradients in sums]


def _add(total: Tensor, vectors: Tensor) -> None:
    rows = vectors.detach().double().flatten(0, -2).cpu()
    total.add_(rows.T @ rows)
