"""BitStack: a matrix as a stack of residual blocks, of which any number can be loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.planes import pack, size_of, unpack
from mnemos.registry import Paper, register

EXACT = 256  # rows or columns up to which all singular values are computed


@register(
    "bitstack",
    papers=(
        Paper(
            "BitStack: Fine-Grained Size Control for Compressed Large Language Models in Variable Memory Environments",
            "2410.23918",
            "xinghaow99/BitStack",
        ),
    ),
    task="weight-compression",
    baselines=("round-to-nearest",),
)
@dataclass(frozen=True)
class BitStack:
    """Splits a matrix into blocks of about a bit a number, each the sign and a low-rank size of what is left.

    R_0 = W scaled by the size of the activations of each input; block i = sign(R_i) and the factors U V of rank k nearest
    to |R_i|; R_(i+1) = R_i - sign(R_i) U V. The more blocks are loaded, the nearer is their sum. Compressing costs an SVD a
    block; loading and unloading a block costs nothing. `mnemos.parametric.compress.stack` sorts the blocks of a model.
    """

    blocks: int = 16  # residual blocks of a matrix
    rank: int = 16  # k: of the size of a residual

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.rank < 1:
            raise InvalidInput(f"blocks is {self.blocks} and rank is {self.rank}: give 1 or more of both.")

    def compress(self, weight: Tensor, activations: Tensor | None = None) -> Stack:
        """Return the blocks of a matrix (out, in), all of them loaded.

        `activations` (in,) are the norms of each input on some text; without them the matrix is not scaled.
        """
        scale = torch.ones(weight.shape[1]) if activations is None else _scale(activations)
        scale = scale.half()
        rest = weight.detach().float() * scale.float()
        blocks = []
        for _ in range(self.blocks):
            size, rank = rest.abs(), min(self.rank, *rest.shape)
            left, right = _factors(size, rank)
            block = Block(pack(rest >= 0, 1)[0], left.half(), right.half())
            blocks.append(block)
            rest = rest - block.decompress()
        return Stack(tuple(blocks), scale, len(blocks), weight.dtype)


def _factors(size: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return factors of a rank, by singular values; of a large matrix by a random projection, which a seed makes the same."""
    if min(size.shape) <= EXACT:
        left, singular, right = torch.linalg.svd(size, full_matrices=False)
        right = right.T
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            left, singular, right = torch.svd_lowrank(size, q=rank + 8, niter=4)
    root = singular[:rank].sqrt()
    return left[:, :rank] * root, (right[:, :rank] * root).T


def _scale(activations: Tensor) -> Tensor:
    """Return the scale of inputs, of mean 1; an input that never was there is scaled as the weakest that was."""
    norms = activations.detach().float().cpu()
    seen = norms[norms > 0]
    if not len(seen):
        raise InvalidInput("all activations are zero: give the norms of inputs on some text, or none.")
    return norms.clamp(min=float(seen.min())) / norms.mean()


@dataclass(frozen=True)
class Block:
    """Signs and size of a residual."""

    signs: Tensor  # uint8 (out, in / 8): a set bit is +1
    left: Tensor  # float16 (out, k)
    right: Tensor  # float16 (k, in)

    @property
    def nbytes(self) -> int:
        """Bytes of signs and factors."""
        return size_of(self.signs, self.left, self.right)

    def decompress(self) -> Tensor:
        """Return the residual (out, in)."""
        return (2 * unpack(self.signs[None], self.right.shape[1]) - 1) * (self.left.float() @ self.right.float())


@dataclass(frozen=True)
class Stack:
    """The blocks of a matrix, of which the first `loaded` are in memory and count."""

    blocks: tuple[Block, ...]
    scale: Tensor  # float16 (in,): of the inputs
    loaded: int
    dtype: torch.dtype  # of the matrix

    @property
    def nbytes(self) -> int:
        """Bytes of the loaded blocks and the scale."""
        return size_of(self.scale) + sum(block.nbytes for block in self.blocks[: self.loaded])

    def at(self, loaded: int) -> Stack:
        """Return the stack with its first `loaded` blocks; nothing is computed."""
        return replace(self, loaded=min(max(loaded, 0), len(self.blocks)))

    def decompress(self) -> Tensor:
        """Return the sum of the loaded blocks (out, in)."""
        total = torch.zeros(self.blocks[0].left.shape[0], len(self.scale))
        for block in self.blocks[: self.loaded]:
            total += block.decompress()
        return (total / self.scale.float()).to(self.dtype)
