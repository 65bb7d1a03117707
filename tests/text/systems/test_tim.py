"""What TiM claims (arXiv 2311.08719): buckets that compare little, conclusions that stay, thoughts that are forgotten."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.store.values import Changes, IndexRow
from mnemos.text.base import View
from mnemos.text.recall.buckets import Buckets
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.query import Query
from mnemos.text.recall.snapshot import Snapshot

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def clustered(n, centres=50, d=64, noise=0.02):
    """Return n unit vectors around some centres, and the view of their thoughts."""
    rng = np.random.default_rng(1)
    middle = rng.normal(size=(centres, d)) / np.sqrt(d)
    rows = middle[rng.integers(centres, size=n)] + noise * rng.normal(size=(n, d)) / np.sqrt(d) * 4
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    made = [IndexRow(i + 1, None, None, None, "turn", i, "", (), v.astype(np.float16), ()) for i, v in enumerate(rows)]
    snapshot = Snapshot()
    snapshot.apply(Changes(1, made, []))
    return rows, View(snapshot.corpus, None, snapshot.corpus.alive), rng


def ask(vector):
    return Query(frozenset(), (), vector, None, False, False, False, False)


def test_a_bucket_compares_a_small_part_and_finds_nearly_what_a_full_search_finds():
    rows, view, rng = clustered(10_000)
    buckets, shares, recalls = Buckets(), [], []
    for i in rng.integers(len(rows), size=60):
        question = rows[i] + 0.002 * rng.normal(size=rows.shape[1])
        shares.append(len(buckets.compared(view, question)) / len(rows))
        best = np.argsort(-Cosine().rank(view, ask(question)).scores)[:10]
        found = np.argsort(-buckets.rank(view, ask(question)).scores)[:10]
        recalls.append(len(set(best) & set(found)) / 10)
    assert np.mean(shares) < 2 / buckets.buckets
    assert np.mean(recalls) > 0.9


def test_a_small_space_is_compared_as_a_whole_and_new_rows_get_their_bucket():
    rows, view, _ = clustered(80)
    assert len(Buckets().compared(view, rows[0])) == 80
    corpus = view.corpus
    new = IndexRow(1_000, None, None, None, "turn", 9, "", (), rows[3].astype(np.float16), ())
    corpus.add([new])
    later = View(corpus, None, corpus.alive)
    scores = Buckets(least=1).rank(later, ask(rows[3])).scores
    assert {int(i) for i in np.argsort(-scores)[:2]} == {3, 80}


def test_a_repeated_question_gets_the_same_answer_whatever_was_said_since(memory, clock):
    """The conclusion is stored; among raw turns another one comes first once it has the words of the question."""
    same = {}
    for name in ("tim", "vectors"):
        space = memory.space(name, system=name)
        space.add("I live in Porto.", speaker="Ana", id="home")
        same[name] = 0
        for i in range(10):
            clock.now += timedelta(days=1)
            space.add(f"Where does Ana live, asked visitor {i}?", speaker="Bo")
            same[name] += space.search("Where does Ana live?", k=1)[0].cube.id == "home"
    assert same["tim"] == 10
    assert same["vectors"] < 5


def test_a_contradicted_thought_is_forgotten_and_thoughts_about_one_head_are_merged(memory, clock):
    space = memory.space("ana", system="tim")
    for i, text in enumerate(("I live in Porto.", "I work at Acme.", "My favourite tea is sencha.")):
        space.add(text, speaker="Ana", id=f"c{i}")
    space.consolidate()
    [thoughts] = space.cubes(kind="profile").items
    assert all(word in thoughts.text for word in ("Porto", "Acme"))
    clock.now += timedelta(days=1)
    space.add("I moved to Faro.", speaker="Ana")
    space.consolidate()
    [thoughts] = space.cubes(kind="profile").items
    assert "Faro" in thoughts.text
    assert "Porto" not in thoughts.text
    assert space.get("c0").state == "superseded"  # the turn itself is kept
