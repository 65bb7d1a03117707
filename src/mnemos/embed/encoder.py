"""Sentence encoders on onnxruntime: texts in windows, windows in batches, the vectors of single texts in a cache."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.base import Progress, TakeTokens, Tokens, Vectors, unit_rows
from mnemos.errors import EmbedderError

OVERLAP = 32  # word pieces that neighbouring windows share
MAX_WINDOWS = 128  # of one text; a longer one is sampled evenly
CHARACTERS = 4_000  # of a text that are tokenised at once, which bounds the memory of the tokeniser
BATCH = 256  # word pieces in one forward pass, padding included: they fit into the cache of a core
BULK = 8  # windows from which batches are spread over the cores
CACHED = 512  # vectors of single texts in the cache: the same question is often asked again


States = Vectors | None  # (B, L, width of the output "tokens"), where asked for


class Window(NamedTuple):
    """Word pieces between the marks of start and end, and the characters of the text that its last ones stand for."""

    ids: list[int]
    spans: NDArray[np.int64]  # (L, 2)


class OnnxEncoder:
    """A sentence encoder in a folder: model.onnx, tokenizer.json and MODEL.json. The model is loaded on the first use.

    A text of more word pieces than `window` is read in overlapping windows whose vectors are averaged, so that nothing is
    cut off; of one with more than 128 windows 128 are read, spread evenly. The vector of a text does not depend on its
    batch. Safe for threads.
    """

    dimension: ClassVar[int] = 384
    window: ClassVar[int]  # word pieces in one window, without the marks of its ends
    marks: ClassVar[tuple[str, str]]  # the word pieces that mark the ends
    remedy: ClassVar[str]  # what to do about a file that cannot be read

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._threads = cores()

    def __reduce__(self) -> tuple[object, ...]:
        """Tell how to make it in another process: by the place of the model, unless that is the default there."""
        return _in_worker, (type(self), *(() if type(self)().folder == self.folder else (self.folder,)))  # type: ignore[call-arg]

    def clear_cache(self) -> None:
        """Empty the cache of single texts, so that a benchmark times new questions."""
        with self._lock:
            self._cache.clear()

    def _vectors(self, texts: Sequence[str], progress: Progress | None, prefix: str = "") -> Vectors:
        """Return (n, D) unit vectors of texts that `prefix` is put before, in each of their windows."""
        if len(texts) == 1:
            vectors = self._cached(texts[0], prefix)[None]
            if progress:
                progress(1)
            return vectors
        return self._embed(texts, progress, prefix)

    def _cached(self, text: str, prefix: str) -> NDArray[np.float32]:
        key = prefix + text
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key].copy()
        vector: NDArray[np.float32] = self._embed([text], None, prefix)[0]
        if len(text) <= CHARACTERS:
            with self._lock:
                self._cache[key] = vector.copy()
                while len(self._cache) > CACHED:
                    self._cache.popitem(last=False)
        return vector

    def _embed(
        self, texts: Sequence[str], progress: Progress | None, prefix: str, take: TakeTokens | None = None
    ) -> Vectors:
        windows: list[Window] = []
        owner: list[int] = []
        for i, text in enumerate(texts):
            for window in self._windows(text, prefix):
                windows.append(window)
                owner.append(i)
        left = np.bincount(np.array(owner, dtype=np.int64), minlength=len(texts))
        sums = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for batch, vectors, states in self._run([w.ids for w in windows], tokens=take is not None):
            for row, (w, vector) in enumerate(zip(batch, vectors, strict=True)):
                ids, spans = windows[w]
                sums[owner[w]] += len(ids) * vector
                left[owner[w]] -= 1
                if take is not None and states is not None:
                    take(owner[w], Tokens(spans, states[row, len(ids) - 1 - len(spans) : len(ids) - 1]))
            if progress:
                progress(sum(1 for i in {owner[w] for w in batch} if left[i] == 0))
        return unit_rows(sums)

    def _run(self, windows: Sequence[Sequence[int]], *, tokens: bool) -> Iterator[tuple[list[int], Vectors, States]]:
        """Yield batches of window numbers with their vectors and states; the rest is cancelled when the caller stops."""
        with self._lock:
            session = self._session

        def forward(batch: list[int]) -> tuple[list[int], Vectors, States]:
            return batch, *_forward(session, [windows[w] for w in batch], tokens=tokens)

        batches = _batches(windows)
        if len(windows) < BULK or self._threads == 1:
            yield from map(forward, batches)
            return
        pool = ThreadPoolExecutor(self._threads)
        try:
            yield from pool.map(forward, batches)
        finally:
            pool.shutdown(cancel_futures=True)

    def _windows(
        self, text: str, prefix: str, room: int | None = None, overlap: int = OVERLAP, most: int = MAX_WINDOWS
    ) -> list[Window]:
        """Return the word pieces of each window of a text, between the marks of start and end, and where they are.

        A window has `room` pieces of the text, by default as many as the model takes; there are at most `most`.
        """
        tokenizer = self._tokenizer
        first, last = (tokenizer.token_to_id(mark) for mark in self.marks)
        before = tokenizer.encode(prefix, add_special_tokens=False).ids if prefix else []
        pieces: list[int] = []
        places: list[tuple[int, int]] = []
        start = 0
        for part in _parts(text.encode("utf-8", "replace").decode("utf-8")):
            encoded = tokenizer.encode(part, add_special_tokens=False)
            pieces += encoded.ids
            places += [(a + start, b + start) for a, b in encoded.offsets] if start else encoded.offsets
            start += len(part)
        spans = np.array(places, dtype=np.int64).reshape(-1, 2)
        room = room or self.window - len(before)
        count = 1 if len(pieces) <= room else -(-(len(pieces) - overlap) // (room - overlap))
        starts = np.linspace(0, max(len(pieces) - room, 0), min(count, most)).round().astype(int)
        return [Window([first, *before, *pieces[s : s + room], last], spans[s : s + room]) for s in starts]

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.folder / "tokenizer.json", self.remedy)

    @cached_property
    def _session(self) -> Any:
        return load_session(self.folder / "model.onnx", self.remedy)


def cores() -> int:
    """Return how many batches are read at once: the cores of this process, up to eight."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8)


def load_tokenizer(path: Path, remedy: str) -> Any:
    """Return the tokenizer of a file. Raises EmbedderError, with the `remedy`."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower type
        raise EmbedderError(f"{path} cannot be loaded ({error}). {remedy}.") from error


def load_session(path: Path, remedy: str) -> Any:
    """Return a model that uses one core: one text is too small to share. Raises EmbedderError, with the `remedy`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own, which are not public
        raise EmbedderError(f"{path} cannot be loaded ({error}). {remedy}.") from error


def _in_worker(kind: type[Any], *folder: Path) -> Any:
    """Return an encoder that uses one core: other workers use the others."""
    encoder = kind(*folder)
    encoder._threads = 1
    return encoder


def _forward(session: Any, windows: Sequence[Sequence[int]], *, tokens: bool) -> tuple[Vectors, States]:
    ids = np.zeros((len(windows), max(map(len, windows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    vectors, *states = session.run(["vectors", "tokens"] if tokens else ["vectors"], {"ids": ids, "mask": mask})
    return vectors, states[0].reshape(*ids.shape, -1) if tokens else None


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
