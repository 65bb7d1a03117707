"""Real vectors: what the bundled embedder makes of the texts and questions of LoCoMo, BEAM and QMSum."""

from __future__ import annotations

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


def real(data: Data, progress: Progress) -> Real:
    """Return the vectors; embeds for some minutes where the cache has none. Raises InvalidInput for a wrong file."""
    paths = {name: getattr(data, name) for name in SETS}
    model = MiniLM()
    sums = "-".join(checksum(path)[:8] for path in paths.values())
    path = data.cache and data.cache / f"{model.revision}-{sums}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            return Real(*(kept[name] for name in Real._fields))
    texts: dict[str, int] = {}
    questions: dict[str, int] = {}
    for number, (name, load) in enumerate(SETS.items()):
        for haystack in load(paths[name]).haystacks:
            for message in haystack.messages:
                texts.setdefault(message["content"], number)
            for question in haystack.questions:
                questions.setdefault(question.text, number)
    progress.expect(len(texts) + len(questions))
    found = Real(
        _embed(model, list(texts), progress),
        _embed(model, list(questions), progress),
        np.array(list(texts.values())),
        np.array(list(questions.values())),
    )
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found._asdict())
    return found


def _embed(model: MiniLM, texts: list[str], progress: Progress) -> NDArray[np.float32]:
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of like length cost no padding
    rows = np.empty((len(texts), model.dimension), np.float32)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        rows[batch] = model.embed([texts[i] for i in batch])
        progress(len(batch))
    return rows
