"""The bundled embedder: all-MiniLM-L6-v2, 8 bits, on onnxruntime. No download, no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from mnemos.distribution import DISTRIBUTION
from mnemos.embed.base import Progress, TakeTokens, Vectors
from mnemos.embed.encoder import OnnxEncoder
from mnemos.errors import EmbedderError

FOLDER = Path(__file__).parent / "minilm_model"


class MiniLM(OnnxEncoder):
    """Sentence embeddings of 384 numbers, about 3 ms for a chat turn.

    Reimers and Gurevych, Sentence-BERT (arXiv 1908.10084); Wang et al., MiniLM (arXiv 2002.10957). The model was trained
    on English texts of up to 256 word pieces.
    """

    languages = frozenset({"en"})
    window: ClassVar[int] = 254
    marks: ClassVar[tuple[str, str]] = "[CLS]", "[SEP]"
    remedy: ClassVar[str] = f"Reinstall {DISTRIBUTION}"

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(folder)

    @cached_property
    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.folder / "MODEL.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise EmbedderError(f"the bundled model cannot be read ({error}). {self.remedy}.") from error
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
        return self._vectors(texts, progress)

    def embed_tokens(self, texts: Sequence[str], take: TakeTokens, *, progress: Progress | None = None) -> Vectors:
        """Return what `embed` returns, and call `take` with the states of the tokens, (L, 768), of each window."""
        return self._embed(texts, progress, "", take)

    def knows(self, text: str) -> bool:
        """Tell whether the vector of a text is in the cache. Never waits."""
        return text in self._cache
