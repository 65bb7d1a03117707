"""An embedder behind an OpenAI-compatible `/embeddings` endpoint, in a cloud or on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mnemos.credentials import secret
from mnemos.distribution import install_command
from mnemos.embed.base import Progress, Vectors, unit_rows
from mnemos.errors import EmbedderError, InvalidInput

BATCH = 128
RETRIES = 3
SECONDS = 30.0


class EndpointEmbedder:
    """Posts texts to BASE_URL/embeddings. The texts leave this machine: choose an endpoint that you trust.

    The key, if it needs one, is read from MNEMOS_EMBED_KEY or OPENAI_API_KEY. Status 429 and 5xx and failed connections
    are retried three times. Raises EmbedderError when the endpoint cannot be used.
    """

    revision = "endpoint"

    def __init__(self, model: str, base_url: str) -> None:
        if not model or not base_url.startswith(("http://", "https://")):
            raise InvalidInput(
                f"openai:{model}@{base_url} is not an endpoint: write openai:MODEL@http://HOST:PORT/v1 (or https)."
            )
        self.name = model
        self.url = base_url.rstrip("/") + "/embeddings"
        self._dimension: int | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return EndpointEmbedder, (self.name, self.url.removesuffix("/embeddings"))

    @property
    def dimension(self) -> int:
        """The numbers of a vector; the endpoint is asked once."""
        if self._dimension is None:
            self._post(["dimension"])
        return self._dimension or 0

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return (n, D) unit vectors; 128 texts a request."""
        rows = []
        for start in range(0, len(texts), BATCH):
            part = list(texts[start : start + BATCH])
            rows.append(self._post(part))
            if progress:
                progress(len(part))
        return np.concatenate(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    @cached_property
    def _client(self) -> Any:
        try:
            import httpx
        except ImportError as error:
            raise EmbedderError(f"an endpoint needs httpx: {install_command('llm')}.") from error
        key = secret("MNEMOS_EMBED_KEY", "OPENAI_API_KEY")
        return httpx.Client(timeout=SECONDS, headers={"Authorization": f"Bearer {key}"} if key else {})

    def _post(self, texts: list[str]) -> Vectors:
        response = self._answer({"model": self.name, "input": [t or " " for t in texts]})
        try:
            data = sorted(response.json()["data"], key=lambda item: int(item["index"]))
            vectors = np.array([item["embedding"] for item in data], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise EmbedderError(f"{self.url} did not answer like an /embeddings endpoint ({error!r}).") from error
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise EmbedderError(
                f"{self.url} answered with shape {vectors.shape} for {len(texts)} texts. Is it an embedding model?"
            )
        if self._dimension not in (None, vectors.shape[1]):
            raise EmbedderError(
                f"{self.url} answered with vectors of {vectors.shape[1]} numbers, earlier with {self._dimension}. "
                "Did the model behind the endpoint change?"
            )
        self._dimension = vectors.shape[1]
        return unit_rows(vectors)

    def _answer(self, body: dict[str, Any]) -> Any:
        client = self._client
        from httpx import HTTPError

        problem = ""
        for attempt in range(RETRIES + 1):
            if attempt:
                time.sleep(0.25 * 2**attempt)
            try:
                response = client.post(self.url, json=body)
            except HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if response.status_code == 200:
                return response
            problem = f"status {response.status_code}: {response.text[:200]}"
            if response.status_code != 429 and response.status_code < 500:
                break
        raise EmbedderError(f"{self.url} cannot be used ({problem}). Check the address, the model and the key.")
