"""SciFact (Wadden et al., EMNLP 2020, arXiv 2004.14974) as BEIR has it: claims, and the abstracts that bear on them.

A folder with corpus.jsonl, queries.jsonl, qrels_train.tsv and qrels_test.tsv. Claims are written from sentences that cite
abstracts, so that some abstracts have claims of both splits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnemos.bench.text.task import checksum, existing
from mnemos.errors import InvalidInput
from mnemos.text.recall.base import Ints

FILES = ("corpus.jsonl", "queries.jsonl", "qrels_train.tsv", "qrels_test.tsv")


@dataclass(frozen=True, slots=True)
class Split:
    """Questions, and the positions of the texts that answer each."""

    questions: list[str]
    gold: list[Ints]


@dataclass(frozen=True, slots=True)
class SciFact:
    """The abstracts and the two splits of claims."""

    texts: list[str]
    train: Split
    test: Split
    source: dict[str, Any]


def load(folder: Path) -> SciFact:
    """Read the four files. Raises InvalidInput for another format."""
    for name in FILES:
        existing(folder / name, "the folder of SciFact in BEIR's layout")
    try:
        corpus, queries = (_lines(folder / name) for name in FILES[:2])
        place = {str(row["_id"]): i for i, row in enumerate(corpus)}
        text = {str(row["_id"]): str(row["text"]) for row in queries}
        splits = []
        for name in FILES[2:]:
            gold: dict[str, list[int]] = {}
            for line in (folder / name).read_text(encoding="utf-8").splitlines()[1:]:
                query, document, _ = line.split("\t")
                gold.setdefault(query, []).append(place[document])
            splits.append(Split([text[q] for q in gold], [np.array(g) for g in gold.values()]))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{folder} is not SciFact in BEIR's layout ({error!r:.80}).") from error
    texts = [f"{row['title']} {row['text']}" for row in corpus]
    return SciFact(texts, splits[0], splits[1], {"file": "scifact", "sha256": checksum(folder / FILES[0])})


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
