"""The bundled cross-encoder: reads a question and a text together, and says how likely the text answers.

A vector is made of a text before anybody asks; a cross-encoder sees both, so that it can tell "my vet is Dr. Moura" from an
answer to "who is my dentist?" (Nogueira and Cho, arXiv 1901.04085). It is the bundled embedder with a low-rank update of
each matrix (LoRA, arXiv 2106.09685), whose 8-bit weights it shares. Fitted by benchmarks/fit/cross_encoder.py on English.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.encoder import cores, load_session, load_tokenizer
from mnemos.embed.minilm import FOLDER, MiniLM

FILE, RECORD = "cross_encoder.onnx", "CROSS_ENCODER.json"
QUESTION, TEXT = 40, 72  # word pieces of either that are read; answers stand early, and the cost grows with them
CHARACTERS = 1_000  # of either that are tokenised
TOGETHER = 4  # pairs in one forward pass, which fit into the cache of a core
Pieces = NDArray[np.int64]


class CrossEncoder:
    """Log-odds that a text answers a question. The model is loaded on the first use; safe for threads."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def log_odds(self, question: str, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the log-odds that each of n texts answers a question, (n,).

        A text that somebody said begins with his name, "Ana: I moved", as they did in the fit. Cost: linear in the
        texts, some 7 ms of a core for a chat turn. Raises EmbedderError where the model cannot be read.
        """
        with self._lock:
            tokenizer, session = self._tokenizer, self._session
        asked, *told = (
            tokenizer.encode(text[:CHARACTERS], add_special_tokens=False).ids for text in (question, *texts)
        )
        order = sorted(range(len(texts)), key=lambda i: len(told[i]))
        batches = [order[start : start + TOGETHER] for start in range(0, len(order), TOGETHER)]

        def read(batch: list[int]) -> NDArray[np.float32]:
            ids, types, mask = pack([(asked, told[i]) for i in batch])
            log_odds: NDArray[np.float32] = session.run(["log_odds"], {"ids": ids, "types": types, "mask": mask})[0]
            return log_odds

        found = np.zeros(len(texts))
        with ThreadPoolExecutor(min(cores(), max(len(batches), 1))) as pool:
            for batch, log_odds in zip(batches, pool.map(read, batches), strict=True):
                found[batch] = log_odds
        return found

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder / "tokenizer.json", MiniLM.remedy)

    @cached_property
    def _session(self) -> Any:
        return load_session(self.folder / FILE, MiniLM.remedy)


@cache
def cross_encoder() -> CrossEncoder:
    """Return the bundled one, of which a process needs one."""
    return CrossEncoder()


def pack(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], start: int = 101, end: int = 102
) -> tuple[Pieces, Pieces, Pieces]:
    """Return the word pieces of pairs, their types and the mask, (B, L) each. `start` and `end` are the marks of BERT."""
    rows = [([start, *first[:QUESTION], end], [*second[:TEXT], end]) for first, second in pairs]
    ids, types, mask = np.zeros((3, len(rows), max(len(a) + len(b) for a, b in rows)), dtype=np.int64)
    for i, (first, second) in enumerate(rows):
        length = len(first) + len(second)
        ids[i, :length] = [*first, *second]
        types[i, len(first) : length] = 1
        mask[i, :length] = 1
    return ids, types, mask
