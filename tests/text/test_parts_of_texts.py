"""Vectors of the parts of a long text: stored beside that of the whole, found again, checked, and computed by reindex."""

import sqlite3

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.embed.hashing import HashingEmbedder

LONG = "The harbour has a budget. The committee met. Nobody came late. A rhinoceros escaped."


class InSentences(HashingEmbedder):
    def embed_parts(self, texts, *, progress=None):
        whole = self.embed(texts, progress=progress)
        parts = [t.split(". ") for t in texts]
        return [
            np.vstack([v[None], self.embed(p)]) if len(p) > 1 else v[None] for v, p in zip(whole, parts, strict=True)
        ]


def score(memory, question):
    hits = memory.space("s").search(question, method="vectors")
    return next(hit.score for hit in hits if hit.cube.text == LONG)


def test_a_question_about_a_part_finds_the_text_also_after_it_is_opened_again(tmp_path):
    with Mnemos(tmp_path, embedder=InSentences(256)) as memory:
        memory.space("s").add_many({"content": text} for text in (LONG, "A short text about bread"))
        with_parts = score(memory, "rhinoceros escaped")
        assert memory.space("s").doctor().healthy
    with Mnemos(tmp_path, embedder=HashingEmbedder(256)) as memory:  # the same model, which does not look at parts
        assert score(memory, "rhinoceros escaped") == pytest.approx(with_parts)


@pytest.mark.sqlite_only("it damages the file")
def test_reindex_computes_parts_and_doctor_finds_damage_in_one(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("s").add(LONG)
        path = memory.space("s").store.path
    with Mnemos(tmp_path, embedder=InSentences(256)) as memory:
        assert memory.space("s").reindex() == 1
        before = score(memory, "rhinoceros escaped")
    with sqlite3.connect(path) as db:
        [(vectors,)] = db.execute("SELECT vector FROM vectors")
        assert len(vectors) == 5 * 512
        broken = np.frombuffer(vectors, "<f2").copy()
        broken[3 * 256] = np.nan
        db.execute("UPDATE vectors SET vector = ?", (broken.tobytes(),))
    with Mnemos(tmp_path, embedder=InSentences(256)) as memory:
        assert memory.space("s").doctor().problems == ["1 have a damaged vector."]
        assert memory.space("s").doctor(repair=True).healthy
        assert score(memory, "rhinoceros escaped") == pytest.approx(before)
