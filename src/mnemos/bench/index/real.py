"""Real vectors: what the bundled embedder makes of the texts and questions of LoCoMo, BEAM and QMSum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnemos.bench.progress import Progress
from mnemos.bench.text import beam, locomo, qmsum
from mnemos.bench.text.task import checksum
from mnemos.embed.minilm import MiniLM

BATCH = 512  # texts a call of the embedder
SETS = {"locomo": locomo.load, "beam": beam.load, "qmsum": qmsum.load}


@dataclass(frozen=True)
class Data:
    """The files with the texts, and where their vectors are kept."""

    locomo: Path  # locomo10.json
    beam: Path  # the folder of BEAM's chats
    qmsum: Path  # QMSum's val.jsonl
    cache: Path | None = None  # a folder for the vectors, so that a second run does not embed again


class Real(NamedTuple):
    """Unit vectors of texts and of questions, each with the number of its set, in the order of `SETS`."""

    texts: NDArray[np.float32]  # (N, D), equal texts once
    questions: NDArray[np.float32]  # (Q, D)
    text_sets: NDArray[np.int64]  # (N,)
    question_sets: NDArray[np.int64]  # (Q,)
    development: NDArray[np.bool_]  # (Q,) whether a question is of a half that things may be fitted on


def real(data: Data, progress: Progress) -> Real:
    """Return the vectors; embeds for some minutes where the cache has none. Raises InvalidInput for a wrong file."""
    paths = {name: getattr(data, name) for name in SETS}
    texts: dict[str, int] = {}
    questions: dict[str, tuple[int, bool]] = {}
    for number, (name, load) in enumerate(SETS.items()):
        for haystack in load(paths[name]).haystacks:
            for message in haystack.messages:
                texts.setdefault(message["content"], number)
            for question in haystack.questions:
                questions.setdefault(question.text, (number, question.split == "development"))
    sets, development = zip(*questions.values(), strict=True)
    vectors = _vectors(data, paths, list(texts), list(questions), progress)
    return Real(*vectors, np.array(list(texts.values())), np.array(sets), np.array(development))


def _vectors(
    data: Data, paths: Mapping[str, Path], texts: list[str], questions: list[str], progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of texts and questions, from the cache where it has them."""
    model = MiniLM()
    sums = "-".join(checksum(path)[:8] for path in paths.values())
    path = data.cache and data.cache / f"{model.revision}-{sums}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            return kept["texts"], kept["questions"]
    progress.expect(len(texts) + len(questions))
    made = _embed(model, texts, progress), _embed(model, questions, progress)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, texts=made[0], questions=made[1])
    return made


def _embed(model: MiniLM, texts: list[str], progress: Progress) -> NDArray[np.float32]:
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of like length cost no padding
    rows = np.empty((len(texts), model.dimension), np.float32)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        rows[batch] = model.embed([texts[i] for i in batch])
        progress(len(batch))
    return rows
