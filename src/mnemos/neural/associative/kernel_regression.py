"""Online kernel regression whose memory admits a sample only if what it holds cannot express it.

B basis samples   K their kernel matrix   k_t the kernels of x_t with them   V channels of a value
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.neural.associative.base import pairs, rows
from mnemos.registry import Paper, register

Learner = Literal["gradient", "newton"]
Admit = Literal["novel", "all", "random"]
JITTER = 1e-6  # on the diagonal of K, so that its inverse stays exact with samples that are nearly equal


@register(
    "novelty-gated-regression",
    papers=(
        Paper("Nearly Optimal Algorithms with Sublinear Computational Complexity for Online Kernel Regression", "2306.08320"),
    ),
    task="associative",
)  # fmt: skip
class NoveltyGatedRegression:
    """Learns values of samples one by one with an RBF kernel over a basis that only novel samples join.

    A sample joins if k_tt - k_t^T K^-1 k_t > novelty (approximate linear dependence), and else is expressed by c = K^-1 k_t; K^-1
    grows by block inversion. The learner is a gradient step in the basis, a <- a - rate g c (AOGD-ALD of arXiv 2306.08320), or a
    Newton step, which is recursive least squares in it (after NONS-ALD). A sample costs O(B^2). Holds B samples, B^2 and
    B V numbers. Departures: a fixed rate; the Newton step is that of squared loss with the ridge `damping`, without the
    paper's projection to a ball. `admit` gives the baselines: all samples up to `most`, or one in ten.
    """

    def __init__(
        self,
        key: int,  # channels of a sample
        value: int = 1,  # V
        scale: float = 1.0,  # of the RBF kernel exp(-|x - y|^2 / (2 scale^2))
        novelty: float = 0.01,  # what a sample may lack before it joins
        learner: Learner = "newton",  # how values are learned
        rate: float = 0.5,  # of the gradient learner
        damping: float = 1e-2,  # of the Newton learner
        admit: Admit = "novel",  # which samples join the basis
        most: int = 10_000,  # samples in the basis, at most
        seed: int = 0,  # of random admission
    ) -> None:
        if learner not in get_args(Learner) or admit not in get_args(Admit):
            raise InvalidInput(
                f"learner is {learner!r}, admit {admit!r}: choose from {', '.join(get_args(Learner))}, "
                f"and from {', '.join(get_args(Admit))}."
            )
        if scale <= 0 or novelty < 0 or damping <= 0 or most < 1:
            raise InvalidInput(
                f"scale is {scale}, novelty {novelty}, damping {damping}, most {most}: give positive ones."
            )
        self.key, self.value, self.scale, self.novelty, self.learner = key, value, scale, novelty, learner
        self.rate, self.damping, self.admit, self.most = rate, damping, admit, most
        self.generator = torch.Generator().manual_seed(seed)
        self.basis = torch.zeros(0, key, dtype=torch.float64)
        self.inverse = torch.zeros(0, 0, dtype=torch.float64)  # K^-1
        self.spread = torch.zeros(0, 0, dtype=torch.float64)  # of the Newton learner
        self.weights = torch.zeros(0, value, dtype=torch.float64)

    def kernels(self, keys: Tensor) -> Tensor:
        """Return the kernels (M, B) of samples with the basis."""
        return (-torch.cdist(keys.double(), self.basis).square() / (2 * self.scale**2)).exp()

    def read(self, keys: Tensor) -> Tensor:
        """Return the values (M, V) expected of samples (M, K)."""
        return (self.kernels(rows(keys, self.key, "keys")) @ self.weights).to(keys.dtype)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Learn values (N, V) of samples (N, K), one after the other."""
        pairs(keys, values, self.key, self.value)
        for x, y in zip(keys.double().split(1), values.double().split(1), strict=True):
            self.learn(x, y)

    def learn(self, x: Tensor, y: Tensor) -> None:
        """Learn one sample (1, K) with its value (1, V)."""
        k = self.kernels(x)[0]
        error = y - k @ self.weights
        c = self.inverse @ k
        lacks = float(1 + JITTER - k @ c)
        joins = self.joins(lacks)
        if joins:
            self.grow(x, c, max(lacks, JITTER))
            c = torch.zeros(len(self.basis), dtype=torch.float64)
            c[-1] = 1
        if not len(self.basis):
            return
        if self.learner == "gradient":
            self.weights = self.weights + self.rate * c[:, None] * error
            return
        gain = self.spread @ c / (1 + c @ self.spread @ c)  # of the values at the basis samples
        self.spread = self.spread - gain[:, None] * (c @ self.spread)
        self.weights = self.weights + (self.inverse @ gain)[:, None] * error

    def joins(self, lacks: float) -> bool:
        """Tell whether a sample that the basis lacks so much of joins it."""
        if len(self.basis) >= self.most:
            return False
        if self.admit == "random":
            return bool(torch.rand(1, generator=self.generator) < 0.1)
        return self.admit != "novel" or lacks > self.novelty

    def grow(self, x: Tensor, c: Tensor, lacks: float) -> None:
        """Add a sample to the basis and the row that it adds to K^-1."""
        row = torch.cat([-c, torch.ones(1, dtype=torch.float64)])
        grown = torch.zeros(len(row), len(row), dtype=torch.float64)
        grown[:-1, :-1] = self.inverse
        self.inverse = grown + row[:, None] * row / lacks
        spread = torch.zeros_like(grown)
        spread[:-1, :-1] = self.spread
        before = self.spread @ c  # the prior of the new value: what the kernel says of it, given the others
        spread[-1, :-1], spread[:-1, -1] = before, before
        spread[-1, -1] = c @ before + lacks / self.damping
        self.spread, self.basis = spread, torch.cat([self.basis, x])
        self.weights = torch.cat([self.weights, torch.zeros(1, self.value, dtype=torch.float64)])
