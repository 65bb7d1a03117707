"""Weights of a BERT encoder, as they are read from a file and written into a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # weights that share a scale in a table of 4 bits
WORDS = "embeddings.word_embeddings.weight"
Weights = dict[str, NDArray[np.float32]]  # under the names of the transformers library


@dataclass(frozen=True)
class Shape:
    """The dimensions of a BERT encoder."""

    name: str
    layers: int
    heads: int
    width: int
    positions: int  # word pieces that it reads at most


class Blocks(NamedTuple):
    """A table of 4-bit codes, as Q4_0 of llama.cpp: weight = (code - 8) * scale.

    Byte j of the 16 of a block has the code of weight j in its low half, that of weight j + 16 in its high one.
    """

    codes: NDArray[np.uint8]  # (rows, blocks, 16)
    scales: NDArray[np.float16]  # (rows, blocks)

    def dequantised(self) -> NDArray[np.float32]:
        """Return the table, (rows, width)."""
        codes = np.concatenate([self.codes & 15, self.codes >> 4], axis=-1).astype(np.float32) - 8
        return (codes * self.scales[..., None].astype(np.float32)).reshape(len(self.codes), -1)
