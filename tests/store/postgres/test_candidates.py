"""Candidates from the indexes of the server, compared with a scan of everything."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mnemos.store.postgres import indexes, spaces
from mnemos.store.values import Entry, Filter
from tests.contracts.stores import cube, newer, put
from tests.store.postgres.stores import opened

N, D = 1_500, 16
RNG = np.random.default_rng(0)
WORDS = [f"w{min(int(x), 400)}" for x in RNG.zipf(1.3, 12 * N)]
VECTORS = RNG.normal(size=(N, D)).astype(np.float16)


@pytest.fixture(scope="module")
def space(postgres_server, tmp_path_factory):
    """A space of 1,500 cubes with both indexes, a neighbour with the same rows, and their cubes by key."""
    import psycopg

    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("CREATE DATABASE candidates STRATEGY file_copy")
    with opened(postgres_server.url("candidates"), tmp_path_factory.mktemp("c"), "s", "other") as (store, other):
        entries = []
        for i in range(N):
            text = " ".join(WORDS[12 * i : 12 * i + 12])
            c = cube(
                f"c{i}", text, session=f"s{i % 50}", day=i, speaker=("Ana", "Bo")[i % 7 == 0], metadata={"m": i % 3}
            )
            entries.append(Entry(c, tuple(text.split()), VECTORS[i]))
        for one in (store, other):
            keys = one.insert(entries, one.vectors.model("m", "1", D))
        store.lives.set_state(["c3"], "active", "archived")
        store.replace(Entry(newer(entries[5].cube, "changed"), ("changed",), VECTORS[5]), 1)
        made = indexes.make(store.connection.database, "s", least=0)
        assert len(made) == 2
        assert indexes.make(store.connection.database, "s", least=0) == [], "they are there"
        yield store, dict(zip(keys, entries, strict=True))
    with psycopg.connect(postgres_server.url(), autocommit=True) as db:
        db.execute("DROP DATABASE candidates WITH (FORCE)")


def live(cubes):
    return {n: e for n, e in cubes.items() if e.cube.id not in ("c3", "c5")}


def test_vectors_are_found_as_by_a_scan_with_filters_too(space):
    store, cubes = space
    for filter, keep in (
        (Filter(), lambda c: True),
        (Filter(speaker="Bo"), lambda c: c.speaker == "Bo"),
        (Filter(where={"m": 1}), lambda c: c.metadata["m"] == 1),
        (Filter(session="s7"), lambda c: c.session == "s7"),
    ):
        keys = [n for n, e in live(cubes).items() if keep(e.cube)]
        matrix = np.stack([cubes[n].vector for n in keys]).astype(np.float32)
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        share = []
        for query in RNG.normal(size=(10, D)).astype(np.float32):
            scores = matrix @ (query / np.linalg.norm(query))
            best = [keys[i] for i in np.argsort(-scores)[:10]]
            found = store.candidates.by_vector(1, query, filter, 10)
            assert (np.diff(found.scores) <= 0).all()
            assert set(found.keys.tolist()) <= {*keys, N + 1}
            share.append(len(set(best) & set(found.keys.tolist())) / 10)
            assert found.scores[0] == pytest.approx(scores.max(), abs=0.01)
        assert np.mean(share) >= 0.95


def test_words_are_found_by_the_rarest_as_a_scan_ranks_them(space):
    store, cubes = space
    present = live(cubes)
    documents = Counter(t for e in present.values() for t in set(e.terms))
    for terms in (["w1", "w17", "w60"], ["w2", "w33"], ["w90", "w91", "w92", "none"], ["none"], ["w1"]):
        found = store.candidates.by_terms(terms, Filter(), 20)
        sums = {n: sum(np.log1p(N / documents[t]) for t in set(terms) if t in e.terms) for n, e in present.items()}
        best = sorted((s for s in sums.values() if s), reverse=True)[:20]
        got = [sums[int(n)] for n in found.keys]
        assert len(got) == len(best)
        assert np.allclose(got, best, rtol=0.1), "the same sums, up to the estimates of how common a term is"
    one = store.candidates.by_terms(["w2"], Filter(session="s7"), 5)
    assert {present[int(n)].cube.session for n in one.keys} == {"s7"}


def test_how_common_terms_are(space):
    store, cubes = space
    documents = Counter(t for e in cubes.values() for t in set(e.terms))
    known = store.candidates.frequencies(["w1", "w2", "w50", "none"])
    assert known.count == N - 1
    assert known.documents["none"] == 0
    for term in ("w1", "w2", "w50"):
        assert known.documents[term] == pytest.approx(documents[term], rel=0.15, abs=3)
    assert known.mean_length == pytest.approx(12, rel=0.05)
    assert known.median_length == 12


def test_the_turns_around_and_what_recall_reads(space):
    store, cubes = space
    keys = list(cubes)
    assert store.candidates.around([keys[107]], 1) == [keys[57], keys[107], keys[157]]
    assert keys[53] in store.candidates.around([keys[103]], 1)
    assert keys[3] not in store.candidates.around([keys[53]], 1), "archived"
    [a, b] = store.candidates.rows([keys[9], keys[8]], 1)
    assert (a.key, b.key, a.terms) == (keys[8], keys[9], cubes[keys[8]].terms)
    assert (a.vector == VECTORS[8]).all()


def test_the_indexes_are_used_and_go_with_the_space(space):
    store, _ = space
    with store.connection.read() as db:
        store.candidates._choose(db, 30)
        db.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = on")
        near = (
            f"EXPLAIN SELECT n FROM vectors WHERE space = 's' AND m = 1 ORDER BY vector::halfvec({D}) <=> '{[0] * D}'"
        )
        plan = str(db.execute(near + " LIMIT 5").fetchall())
        words = "EXPLAIN SELECT n FROM words WHERE space = 's' AND string_to_array(terms, ' ') @> ARRAY['w300']"
        plan += str(db.execute(words).fetchall())
    assert indexes.name_of("s", 1) in plan
    assert f"{indexes.name_of('s')} " in plan
    put(store, cube("later", "w300"))
    assert len(store.candidates.by_terms(["w300"], Filter(), 200).keys) > 0
    spaces.remove(store.connection.database, "s")
    with store.connection.database.direct() as db:
        left = db.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'space\\_%'").fetchall()
    assert left == []
