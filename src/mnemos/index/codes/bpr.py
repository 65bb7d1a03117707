"""Binary codes that learn the ranking of the vectors they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.adam import Adam
from mnemos.index.base import Floats
from mnemos.index.codes.bits import BitCoder
from mnemos.index.codes.itq import ITQ
from mnemos.index.codes.learning import Batch, batches, ranking_gradient
from mnemos.registry import Paper, register

SHARPNESS = 0.1  # how fast tanh becomes sign: beta = sqrt(1 + 0.1 step), the paper's


@register(
    "bpr",
    papers=(
        Paper(
            "Injecting Domain Adaptation with Learning-to-hash for Effective and Efficient Zero-shot Dense Retrieval",
            "2205.11498",
            "thakur-nandan/income",
        ),
        Paper("Efficient Passage Retrieval with Hashing for Open-domain Question Answering", "2106.00882"),
    ),
    task="codes",
    baselines=("sign-pca", "itq"),
)
@dataclass(frozen=True, slots=True)
class BPR:
    """Learn directions whose signs rank as the vectors do: tanh(beta x) is annealed to sign(x).

    Two losses: the ranking loss of the real-valued query against binary vectors, and a margin loss of the binary query against
    them. Deviations: one linear map, begun at ITQ's, stands for the encoders, which stay as they are; exact search is the
    teacher in place of labelled passages.
    """

    bytes: int = 48  # a vector
    steps: int = 400  # batches
    batch: int = 96  # queries a batch
    rate: float = 1e-4  # of Adam
    margin: float = 2.0  # of the loss of candidates, the paper's, in bits
    heat: float = 25.0  # what multiplies a cosine in the ranking loss
    seed: int = 0  # of the batches

    def fit(self, vectors: Floats, questions: Floats | None = None) -> BitCoder:
        """Return the learned directions; a minute or two for 400 batches of 384 bits."""
        return self.adapt(ITQ(self.bytes, seed=self.seed).fit(vectors), vectors, questions)

    def adapt(self, coder: BitCoder, vectors: Floats, questions: Floats | None = None) -> BitCoder:
        """Return a coder trained further on other vectors: how codes are brought to a new domain."""
        axes, rng = Adam(coder.axes.copy(), self.rate), np.random.default_rng(self.seed)
        for step, batch in enumerate(batches(vectors, questions, self.steps, self.batch, rng)):
            sharp = np.float32(np.sqrt(1 + SHARPNESS * step))
            axes.step(self._gradient(axes.value, coder.centre, batch, sharp))
        return BitCoder(axes.value, coder.centre)

    def _gradient(self, axes: Floats, centre: Floats, batch: Batch, sharp: np.float32) -> Floats:
        """Return the gradient by the directions (D, bits) of both losses."""
        bits, scale = axes.shape[1], np.float32(np.sqrt(axes.shape[1]))
        asked, rows = batch.queries - centre, batch.vectors - centre
        real, other = scale * (asked @ axes), scale * (rows @ axes)
        q, p = np.tanh(sharp * real), np.tanh(sharp * other)
        length = np.linalg.norm(real, axis=1, keepdims=True)
        heat = np.float32(self.heat / np.sqrt(bits))
        ranks = ranking_gradient(heat * (real / length) @ p.T, batch.right) * heat  # (b, m)
        near = ranks.T @ (real / length)
        products: Floats = q @ p.T
        hinge = _margin_gradient(products, batch.right, self.margin) / bits
        d_q, d_p = hinge @ p, near + hinge.T @ q
        d_real, d_other = d_q * sharp * (1 - q**2), d_p * sharp * (1 - p**2)
        found: Floats = scale * (asked.T @ d_real + rows.T @ d_other)
        return found


def _margin_gradient(products: Floats, right: np.ndarray, margin: float) -> Floats:
    """Return the gradient of the mean of max(0, margin + wrong - right), with the worst right one of each query."""
    worst = np.where(right, products, np.inf).argmin(axis=1)
    least = products[np.arange(len(products)), worst]
    over = (~right & (products + margin > least[:, None])).astype(np.float32)
    over /= np.maximum((~right).sum(axis=1, keepdims=True), 1) * len(products)
    gradient: Floats = over.copy()
    gradient[np.arange(len(products)), worst] -= over.sum(axis=1)
    return gradient
