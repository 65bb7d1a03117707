"""Codes: what they keep of the ranking, that old codes never change, and that learning a ranking learns one."""

import numpy as np
import pytest
from test_vector_index import QUERIES, clustered

from mnemos.errors import InvalidInput
from mnemos.index.base import unit
from mnemos.index.codes.base import Code
from mnemos.index.codes.bpr import BPR, _margin_gradient
from mnemos.index.codes.itq import ITQ
from mnemos.index.codes.jpq import JPQ
from mnemos.index.codes.learning import ranking_gradient
from mnemos.index.codes.lifelong import LifelongHash
from mnemos.index.codes.product import PQ
from mnemos.index.codes.scalar import Scalar
from mnemos.index.codes.sign_pca import SignPCA
from mnemos.index.codes.sign_random import SignRandom
from mnemos.registry import satisfies

D, N = 32, 800
ROWS = clustered(N, seed=5)
CODES = {
    "sign-random": SignRandom(4), "sign-pca": SignPCA(4), "itq": ITQ(4, rounds=10), "scalar": Scalar(),
    "pq": PQ(4, rounds=3), "bpr": BPR(4, steps=3), "jpq": JPQ(4, steps=3),
}  # fmt: skip
LEAST = {"scalar": 0.95, "pq": 0.3, "jpq": 0.3}  # of the ten nearest among the first ten; of bits .2


@pytest.fixture(params=CODES)
def name(request):
    return request.param


def share(coder, depth=10):
    codes = coder.encode(ROWS)
    found = []
    for query in QUERIES:
        right = np.argsort(-(ROWS @ query))[:10]
        found.append(np.isin(right, np.argsort(-coder.scores(codes, query), kind="stable")[:depth]).mean())
    return np.mean(found)


def test_a_code_satisfies_the_contract_and_keeps_the_ranking(name):
    assert satisfies(type(CODES[name]), Code)
    coder = CODES[name].fit(ROWS)
    assert coder.encode(ROWS).dtype == np.uint8
    assert coder.encode(ROWS).shape == (N, D if name == "scalar" else 4)
    assert share(coder) >= LEAST.get(name, 0.2)  # ten of 800 at random are .0125
    assert share(coder, 200) >= 0.75


def test_the_code_of_a_vector_does_not_depend_on_others_and_a_fit_can_be_repeated(name):
    one, two = (CODES[name].fit(ROWS, QUERIES) for _ in range(2))
    assert (one.encode(ROWS)[:7] == two.encode(ROWS[:7])).all()
    assert type(one)(**one.arrays()).encode(ROWS).tobytes() == one.encode(ROWS).tobytes()


def test_jpq_trains_centroids_and_leaves_codes_as_they_are():
    before = PQ(4).fit(ROWS)
    after = JPQ(4, steps=5).adapt(before, ROWS)
    assert (before.encode(ROWS) == after.encode(ROWS)).all()
    assert not np.array_equal(before.centroids, after.centroids)


@pytest.mark.parametrize("code", [SignPCA(5), ITQ(5), PQ(5), SignRandom(0)])
def test_sizes_that_do_not_fit_are_refused(code):
    with pytest.raises(InvalidInput, match="bytes"):
        code.fit(ROWS)
    with pytest.raises(InvalidInput, match="vectors: give 200 or more"):
        BPR(4).fit(ROWS[:100])


def test_gradients_are_those_of_their_losses():
    rng = np.random.default_rng(0)
    logits, right = rng.standard_normal((3, 6)), np.eye(3, 6, dtype=bool)
    move = 1e-4 * rng.standard_normal((3, 6))

    def ranking(x):
        return -np.mean([np.log(np.exp(row[i]) / np.exp(row).sum()) for i, row in enumerate(x)])

    def margin(x):
        over = [np.maximum(0, 2 + np.delete(row, i) - row[i]).mean() for i, row in enumerate(x)]
        return np.mean(over)

    for loss, gradient in ((ranking, ranking_gradient(logits, right)), (margin, _margin_gradient(logits, right, 2.0))):
        assert loss(logits + move) - loss(logits - move) == pytest.approx(
            2 * (gradient * move).sum(), rel=0.02, abs=1e-8
        )


def two_views(categories, each, seed):
    rng = np.random.default_rng(seed)
    hidden = np.random.default_rng(7).standard_normal((6, 8))[np.repeat(categories, each)]
    maps = [np.random.default_rng(s).standard_normal((8, w)) for s, w in ((1, 20), (2, 30))]
    views = [np.tanh((hidden + 0.3 * rng.standard_normal(hidden.shape)) @ m).astype(np.float32) for m in maps]
    return views, np.eye(6, dtype=np.float32)[np.repeat(categories, each)]


def found(hashes):
    views, labels = two_views(range(6), 10, seed=9)
    nearest = (hashes.hash(0, views[0]) @ hashes.codes.T).argmax(axis=1)
    return float(((hashes.labels[nearest] * labels).sum(axis=1) > 0.5).mean())


def test_new_categories_are_learned_while_old_codes_stay_byte_for_byte():
    lifelong, naive = (LifelongHash((20, 30), 32, steps=60, **w) for w in ({}, {"anchor": 0, "old": 0}))
    for hashes in (lifelong, naive):
        before = b""
        for start in (0, 2, 4):
            hashes.learn(*two_views(range(start, start + 2), 20, seed=start))
            assert hashes.codes.tobytes().startswith(before)
            before = hashes.codes.tobytes()
    assert unit(lifelong.codes).shape == (120, 32)
    assert found(lifelong) > max(0.9, found(naive))


def test_views_of_another_width_are_refused():
    with pytest.raises(InvalidInput, match="give \\(n, D\\)"):
        LifelongHash((20, 31)).learn(*two_views([0], 5, seed=0))
