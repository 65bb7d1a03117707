"""Weigh whether a text from outside would harm who reads or obeys it: orders, frauds, bad advice, slander.

A linear model over the cues of `cues` and the vector of the bundled embedder, fitted by `benchmarks/fit/guard.py` on texts
written for it and on those that hands wrote for `bench.text.attacks`; the weights are in harm.json. A long text is weighed in
parts, by its worst.
"""

from __future__ import annotations

import json
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from mnemos.guard.cues import FEATURES, cues
from mnemos.guard.disguise import as_read

Vector = NDArray[np.float32]  # (384,)
Vectors = Callable[[Sequence[str]], NDArray[np.float32]]  # (n, 384) unit vectors of texts, by the bundled embedder

PART = 320  # characters of a part
PARTS = 24  # of one text that are weighed at most, spread evenly
EACH = 0.5  # added to the threshold for each doubling of the parts: the worst of many is bad by chance
KEPT = 4_096  # verdicts that are kept, by hash: no text stays in RAM
BREAK = re.compile(r"(?<=[.!?。！？])\s+|\n+")


@dataclass(frozen=True)
class Head:
    """The fitted model."""

    vector: NDArray[np.float32]  # (384,)
    cues: NDArray[np.float32]  # (C,), in the order of `FEATURES`
    bias: float
    threshold: float  # texts above it are withheld

    @staticmethod
    @cache
    def load() -> Head:
        """Read the weights that the package has."""
        data = json.loads((Path(__file__).parent / "harm.json").read_text(encoding="utf-8"))
        weights = np.array([data["cues"][name] for name in FEATURES], dtype=np.float32)
        return Head(np.array(data["vector"], dtype=np.float32), weights, data["bias"], data["threshold"])

    def weigh(self, text: str, vector: NDArray[np.float32]) -> tuple[float, str]:
        """Return the log-odds that a short text is harmful, and the cue that speaks most against it."""
        found = np.array(cues(as_read(text).lower()), dtype=np.float32) * self.cues
        worst = FEATURES[int(found.argmax())] if found.max() > 0 else "wording"
        return float(found.sum() + self.vector @ vector + self.bias), worst


Verdict = tuple[
    float, str
]  # how far a text is above the threshold, in log-odds, and the cue that speaks most against it


class Verdicts:
    """The verdicts on texts, by hash, least recently used first out. Safe for threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Verdict] = OrderedDict()
        self._lock = Lock()

    def weigh(self, texts: Sequence[str], vectors: Vectors) -> list[Verdict]:
        """Return the verdict on each text: harmful if it is above 0.

        Costs 0.2 ms and a pass of the embedder for each part of 320 characters, about 3 ms, at the first time.
        """
        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:
            new = [i for i, key in enumerate(keys) if key not in self._kept]
        found = dict(zip(new, _judge([texts[i] for i in new], vectors), strict=True))
        with self._lock:
            found |= {i: self._kept[key] for i, key in enumerate(keys) if i not in found and key in self._kept}
            self._kept |= {keys[i]: verdict for i, verdict in found.items()}
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return [found[i] if i in found else _judge([text], vectors)[0] for i, text in enumerate(texts)]


def parts(text: str) -> list[str]:
    """Return a text in parts of about `PART` characters, cut between sentences where possible; at most `PARTS`."""
    if len(text) <= PART:
        return [text]
    found = [""]
    for sentence in BREAK.split(text):
        for start in range(0, max(len(sentence), 1), PART):
            piece = sentence[start : start + PART]
            if found[-1] and len(found[-1]) + len(piece) >= PART:
                found.append(piece)
            else:
                found[-1] = f"{found[-1]} {piece}".strip()
    step = max(len(found) / PARTS, 1.0)
    return [found[int(i * step)] for i in range(min(len(found), PARTS))]


def _judge(texts: Sequence[str], vectors: Vectors) -> list[Verdict]:
    if not texts:
        return []
    head, pieces = Head.load(), [parts(text) for text in texts]
    rows = iter(vectors([part for of_one in pieces for part in of_one]))
    verdicts = []
    for of_one in pieces:
        score, cue = max(head.weigh(part, next(rows)) for part in of_one)
        verdicts.append((score - head.threshold - EACH * math.log2(len(of_one)), cue))
    return verdicts
