"""The bundled embedder: all-MiniLM-L6-v2, 8 bits, on onnxruntime. No download, no PyTorch."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.distribution import DISTRIBUTION
from mnemos.embed.base import Progress, Vectors, unit_rows
from mnemos.errors import EmbedderError
from mnemos.index.function_words import LATIN

FOLDER = Path(__file__).parent / "minilm_model"
WINDOW = 254  # word pieces in one window; the model was trained on 256, two of which mark the ends
OVERLAP = 32  # word pieces that neighbouring windows share
MAX_WINDOWS = 128  # of one text; a longer one is sampled evenly
CHARACTERS = 4_000  # of a text that are tokenised at once, which bounds the memory of the tokeniser
BATCH = 256  # word pieces in one forward pass, padding included: they fit into the cache of a core
BULK = 8  # windows from which batches are spread over the cores
CACHED = 512  # vectors of single texts in the cache: the same question is often asked again

_CYRILLIC = frozenset({"ru", "uk", "bg", "sr", "mk", "be", "el"})
_LATIN = frozenset(LATIN) | {"*", "**"}


class MiniLM:
    """Sentence embeddings of 384 numbers, about 3 ms for a chat turn; the model is loaded on the first use.

    Reimers and Gurevych, Sentence-BERT (arXiv 1908.10084); Wang et al., MiniLM (arXiv 2002.10957). A text of more than
    256 word pieces is read in overlapping windows whose vectors are averaged, so that nothing is cut off; of one with
    more than 128 windows (about 100 kB) 128 are read, spread evenly. The vector of a text does not depend on its batch.
    Safe for threads.
    """

    dimension = 384
    languages = frozenset({"en"})

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._threads = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8)

    @cached_property
    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.folder / "MODEL.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EmbedderError(f"the bundled model cannot be read ({error}). Reinstall {DISTRIBUTION}.") from error
        return record

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self._record["name"])

    @property
    def revision(self) -> str:
        """The version of the weights: their quantisation and the start of their checksum."""
        return str(self._record["revision"])

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, 384) unit vectors. Cost: linear in the word pieces, about 10,000 a second on two cores."""
        if len(texts) == 1:
            vectors = self._cached(texts[0])[None]
            if progress:
                progress(1)
            return vectors
        return self._embed(texts, progress)

    def fluency(self, language: str) -> float:
        """Return how well it knows a language: hit@1 on XQuAD, relative to English, of the best known of its group."""
        return 1.0 if language == "en" else 0.25 if language in _CYRILLIC else 0.5 if language in _LATIN else 0.1

    def knows(self, text: str) -> bool:
        """Tell whether the vector of a text is in the cache. Never waits."""
        return text in self._cache

    def clear_cache(self) -> None:
        """Empty the cache of single texts, so that a benchmark times new questions."""
        with self._lock:
            self._cache.clear()

    def _cached(self, text: str) -> NDArray[np.float32]:
        with self._lock:
            if text in self._cache:
                self._cache.move_to_end(text)
                return self._cache[text].copy()
        vector: NDArray[np.float32] = self._embed([text], None)[0]
        if len(text) <= CHARACTERS:
            with self._lock:
                self._cache[text] = vector.copy()
                while len(self._cache) > CACHED:
                    self._cache.popitem(last=False)
        return vector

    def _embed(self, texts: Sequence[str], progress: Progress | None) -> Vectors:
        windows: list[list[int]] = []
        owner: list[int] = []
        for i, text in enumerate(texts):
            for window in self._windows(text):
                windows.append(window)
                owner.append(i)
        left = np.bincount(np.array(owner, dtype=np.int64), minlength=len(texts))
        sums = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for batch, vectors in self._run(windows):
            for w, vector in zip(batch, vectors, strict=True):
                sums[owner[w]] += len(windows[w]) * vector
                left[owner[w]] -= 1
            if progress:
                progress(sum(1 for i in {owner[w] for w in batch} if left[i] == 0))
        return unit_rows(sums)

    def _run(self, windows: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], Vectors]]:
        """Yield batches of window numbers with their vectors; the rest is cancelled when the caller stops."""
        with self._lock:
            session = self._session

        def forward(batch: list[int]) -> tuple[list[int], Vectors]:
            return batch, _forward(session, [windows[w] for w in batch])

        batches = _batches(windows)
        if len(windows) < BULK or self._threads == 1:
            yield from map(forward, batches)
            return
        pool = ThreadPoolExecutor(self._threads)
        try:
            yield from pool.map(forward, batches)
        finally:
            pool.shutdown(cancel_futures=True)

    def _windows(self, text: str) -> list[list[int]]:
        """Return the word pieces of each window of a text, between the marks of start and end."""
        first, last = self._marks
        pieces: list[int] = []
        for part in _parts(text.encode("utf-8", "replace").decode("utf-8")):
            pieces += self._tokenizer.encode(part, add_special_tokens=False).ids
        count = 1 if len(pieces) <= WINDOW else -(-(len(pieces) - OVERLAP) // (WINDOW - OVERLAP))
        starts = np.linspace(0, max(len(pieces) - WINDOW, 0), min(count, MAX_WINDOWS)).round().astype(int)
        return [[first, *pieces[s : s + WINDOW], last] for s in starts]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        path = self.folder / "tokenizer.json"
        try:
            return Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises no narrower type
            raise EmbedderError(f"{path} cannot be loaded ({error}). Reinstall {DISTRIBUTION}.") from error

    @cached_property
    def _marks(self) -> tuple[int, int]:
        return self._tokenizer.token_to_id("[CLS]"), self._tokenizer.token_to_id("[SEP]")

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        path = self.folder / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # one text is too small to share; batches are spread over the cores above
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own, which are not public
            raise EmbedderError(f"{path} cannot be loaded ({error}). Reinstall {DISTRIBUTION}.") from error


def _forward(session: Any, windows: Sequence[Sequence[int]]) -> Vectors:
    ids = np.zeros((len(windows), max(map(len, windows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    vectors: Vectors = session.run(None, {"ids": ids, "mask": mask})[0]
    return vectors


def _batches(windows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the window numbers in batches of similar length, so that little is padded."""
    batch: list[int] = []
    for i in sorted(range(len(windows)), key=lambda i: len(windows[i])):
        if batch and (len(batch) + 1) * len(windows[i]) > BATCH:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts of about 4,000 characters, cut at spaces where possible."""
    start = 0
    while len(text) - start > CHARACTERS:
        cut = text.rfind(" ", start + CHARACTERS // 2, start + CHARACTERS) + 1 or start + CHARACTERS
        yield text[start:cut]
        start = cut
    yield text[start:]
