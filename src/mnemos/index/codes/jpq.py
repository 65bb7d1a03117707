"""Product quantisation whose centroids learn the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnemos.index.adam import Adam
from mnemos.index.base import Floats
from mnemos.index.codes.learning import batches, ranking_gradient
from mnemos.index.codes.product import LEVELS, PQ, ProductCoder
from mnemos.registry import Paper, register


@register(
    "jpq",
    papers=(
        Paper(
            "Injecting Domain Adaptation with Learning-to-hash for Effective and Efficient Zero-shot Dense Retrieval",
            "2205.11498",
            "thakur-nandan/income",
        ),
        Paper(
            "Jointly Optimizing Query Encoder and Product Quantization to Improve Retrieval Performance", "2108.00644"
        ),
    ),
    task="codes",
    baselines=("pq", "sign-pca"),
)
@dataclass(frozen=True, slots=True)
class JPQ:
    """Train the centroids of a product quantiser and the query side through the ranking loss; codes stay as they are.

    Deviations: the query encoder is a linear map over the given vectors, begun at the identity; exact search is the teacher.
    """

    bytes: int = 48  # a vector
    steps: int = 400  # batches
    batch: int = 96  # queries a batch
    rate: float = 3e-4  # of Adam
    heat: float = 20.0  # what multiplies a cosine in the ranking loss
    seed: int = 0  # of the batches

    def fit(self, vectors: Floats, questions: Floats | None = None) -> ProductCoder:
        """Return the trained centroids; half a minute for 400 batches."""
        return self.adapt(PQ(self.bytes, seed=self.seed).fit(vectors), vectors, questions)

    def adapt(self, coder: ProductCoder, vectors: Floats, questions: Floats | None = None) -> ProductCoder:
        """Return a coder trained further on other vectors; it chooses the same codes."""
        centroids, turn = Adam(coder.centroids.copy(), self.rate), Adam(coder.turn.copy(), self.rate)
        rng = np.random.default_rng(self.seed)
        codes = coder.encode(vectors)
        parts, _, width = coder.centroids.shape
        each = np.arange(parts)
        for batch in batches(vectors, questions, self.steps, self.batch, rng):
            chosen = codes[batch.places]
            made = centroids.value[each, chosen].reshape(len(chosen), -1)
            asked = batch.queries @ turn.value
            logits: Floats = (self.heat * asked @ made.T).astype(np.float32)
            ranks = ranking_gradient(logits, batch.right) * np.float32(self.heat)
            d_made = (ranks.T @ asked).reshape(len(chosen), parts, width)
            d_centroids: Floats = np.zeros((parts * LEVELS, width), dtype=np.float32)
            np.add.at(d_centroids, (each * LEVELS + chosen).ravel(), d_made.reshape(-1, width))
            turned: Floats = (batch.queries.T @ (ranks @ made)).astype(np.float32)
            centroids.step(d_centroids.reshape(parts, LEVELS, width))
            turn.step(turned)
        return ProductCoder(centroids.value, coder.assign, turn.value)
