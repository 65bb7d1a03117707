"""A change of the embedding model: vectors mapped from those of the old one, and computed later."""

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.embed.hashing import HashingEmbedder
from mnemos.errors import InvalidInput
from mnemos.text.encode.vector_map import VectorMap

TEXTS = [f"{who} {did} the {what}" for who in ("Ana", "Rita", "Leo", "Tom", "Mia", "Ben") for did in (
    "bought", "sold", "painted", "repaired", "lost", "found", "borrowed") for what in (
    "boat", "lamp", "violin", "garden", "bicycle", "kitchen", "map", "clock")]  # fmt: skip


class Turned(HashingEmbedder):
    """A new model whose vectors are those of the old one, turned."""

    name = "turned"

    def __init__(self, dimension=64):
        super().__init__(dimension)
        self.turn = np.linalg.qr(np.random.default_rng(0).normal(size=(dimension, dimension)))[0]
        self.embedded = 0
        self.stop_at = None

    def embed(self, texts, *, progress=None):
        if self.stop_at is not None and self.embedded >= self.stop_at:
            raise KeyboardInterrupt
        self.embedded += len(texts)
        return (super().embed(texts, progress=progress) @ self.turn).astype(np.float32)


@pytest.fixture
def root(tmp_path):
    with Mnemos(tmp_path, embedder="hashing:64") as memory:
        memory.space("s").add_many({"content": text} for text in TEXTS)
    return tmp_path


def found(space, question="Who repaired the violin?"):
    return {hit.cube.text for hit in space.search(question, 6, method="vectors")}


def vectors(space):
    store = space.text.store
    return store.vectors.of(space.text.model_key(), [row.key for row in store.changes(0, None).rows])


def test_a_sample_is_embedded_and_the_others_are_mapped_then_a_reindex_computes_them(root):
    with Mnemos(root, embedder="hashing:64") as memory:
        wanted = found(memory.space("s"))
        assert wanted == {f"{who} repaired the violin" for who in ("Ana", "Rita", "Leo", "Tom", "Mia", "Ben")}
    new = Turned()
    with Mnemos(root, embedder=new) as memory:
        space = memory.space("s")
        assert space.reindex(sample=150) == len(TEXTS)
        assert new.embedded == 150
        assert found(space) == wanted
        assert [(m["name"], m["vectors"]) for m in space.stats()["models"]] == [("turned", len(TEXTS))]
        space.add("Zoe repaired the violin")
        asked = new.embedded
        assert space.reindex() == len(TEXTS), "the mapped ones, and nothing that came later"
        assert new.embedded == asked + len(TEXTS)
        exact = Turned().embed([*TEXTS, "Zoe repaired the violin"])
        assert np.allclose(np.stack(list(vectors(space).values())), exact, atol=1e-3)
        assert space.reindex() == 0
        assert space.doctor().healthy


def test_it_goes_on_where_it_was_stopped(root):
    new = Turned()
    new.stop_at = 100
    with Mnemos(root, embedder=new) as memory, pytest.raises(KeyboardInterrupt):
        memory.space("s").reindex(sample=300)
    new.stop_at = None
    with Mnemos(root, embedder=new) as memory:
        assert memory.space("s").reindex(sample=100) == len(TEXTS) - len(_done(new))
        assert len(vectors(memory.space("s"))) == len(TEXTS)


def _done(new):
    return range(new.embedded - 100)


def test_a_third_model_takes_mapped_vectors_for_those_of_the_second(root):
    with Mnemos(root, embedder=Turned()) as memory:
        memory.space("s").reindex(sample=100)
    with Mnemos(root, embedder="hashing:32") as memory:
        space = memory.space("s")
        assert space.reindex() == len(TEXTS)
        assert space.reindex() == 0, "nothing of the third model is mapped"


def test_what_cannot_be_mapped_is_refused(root):
    with Mnemos(root, embedder=Turned()) as memory:
        with pytest.raises(InvalidInput, match="at least 100"):
            memory.space("s").reindex(sample=99)
        with pytest.raises(InvalidInput, match="no vectors of another model"):
            memory.space("empty").reindex(sample=100)


def test_the_map_is_the_ridge_regression():
    draw = np.random.default_rng(1)
    old, new = draw.normal(size=(50, 5)).astype(np.float32), draw.normal(size=(50, 3)).astype(np.float32)
    stacked = np.concatenate([old, np.sqrt(0.5) * np.eye(5)]), np.concatenate([new, np.zeros((5, 3))])
    assert np.allclose(VectorMap.fit(old, new, 0.5).weights, np.linalg.lstsq(*stacked, rcond=None)[0])
    assert np.allclose(np.linalg.norm(VectorMap.fit(old, new)(old), axis=1), 1)
    with pytest.raises(InvalidInput, match="49 old"):
        VectorMap.fit(old[:49], new)
