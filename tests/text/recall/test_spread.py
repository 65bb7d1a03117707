"""PageRank against a dense solution, links of rare terms, and spreading over planted two-step questions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.store.values import IndexRow
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.spread import (
    COVERED,
    Graph,
    PageRank,
    make_graph,
    rare_links,
    recall_graph,
    spread,
    unsureness,
)

NONE = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def dense(graph: Graph, s, damping):
    """p = (1 - damping) s + damping (P' p + s * what cubes without links hold), solved at once."""
    n = len(graph)
    matrix = np.zeros((n, n))
    for i in range(n):
        links = slice(graph.starts[i], graph.starts[i + 1])
        np.add.at(matrix[i], graph.targets[links], graph.weights[links])  # a link may be there twice
        if links.start == links.stop:
            matrix[i] = s
    return np.linalg.solve(np.eye(n) - damping * matrix.T, (1 - damping) * s)


def random_graph(rng, n, links):
    return make_graph(n, rng.integers(0, n, links), rng.integers(0, n, links), rng.random(links))


def links(*pairs):
    i, j = np.array(pairs).T
    return i, j, np.ones(len(i))


def corpus_of(sessions, terms=None):
    corpus = Corpus()
    texts = terms or [("x",)] * len(sessions)
    corpus.add(
        [
            IndexRow(n, s, None, None, "turn", n, "x", t, None, ())
            for n, (s, t) in enumerate(zip(sessions, texts, strict=True), 1)
        ]
    )
    return corpus


def scores_of(*values):
    return np.array(values, dtype=np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(0, 90), st.floats(0.1, 0.95))
def test_equals_the_dense_solution(seed, n, count, damping):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, n, count)
    ranker = PageRank(seeds=5, damping=damping)
    s = ranker.start(rng.normal(size=n))
    p = ranker.rank(graph, s)
    assert p == pytest.approx(dense(graph, s, damping), abs=1e-6)
    assert p.sum() == pytest.approx(1)


def test_a_star_gives_half_of_what_it_hands_on_back():
    graph = make_graph(4, *links((0, 1), (0, 2), (0, 3)))
    p = PageRank(damping=0.5).rank(graph, np.array([1.0, 0, 0, 0]))
    assert p == pytest.approx([2 / 3, 1 / 9, 1 / 9, 1 / 9], abs=1e-6)  # c = 1/2 + (1 - c)/2, the leaves share c/2


def test_on_a_line_what_is_nearer_gets_more():
    graph = make_graph(5, *links((0, 1), (1, 2), (2, 3), (3, 4)))
    p = PageRank(damping=0.5).rank(graph, np.array([1.0, 0, 0, 0, 0]))
    assert (np.diff(p) < 0).all()
    assert p[4] == pytest.approx(p[3] / 4, abs=1e-6)  # the end gets damping times half of its only neighbour's


def test_without_links_the_seeds_keep_everything():
    graph = make_graph(4, *NONE)
    ranker = PageRank(seeds=2)
    s = ranker.start(np.array([3.0, 1.0, 2.0, -np.inf]))
    assert s == pytest.approx([np.e / (1 + np.e), 0, 1 / (1 + np.e), 0])
    assert ranker.rank(graph, s) == pytest.approx(s)


def test_nothing_to_start_from_gives_nothing():
    ranker = PageRank()
    s = ranker.start(np.full(3, -np.inf))
    assert not s.any()
    assert not ranker.rank(make_graph(3, *links((0, 1))), s).any()
    assert len(ranker.rank(make_graph(0, *NONE), ranker.start(np.zeros(0)))) == 0


def test_a_quick_walk_still_sums_to_one_and_is_near():
    rng = np.random.default_rng(5)
    graph = random_graph(rng, 300, 1200)
    scores = rng.normal(size=300)
    s = PageRank().start(scores)
    quick = PageRank(least=1e-3, small=1e-4).rank(graph, s)
    assert quick.sum() == pytest.approx(1)
    assert np.abs(quick - dense(graph, s, PageRank().damping)).max() < 5e-3


def test_links_go_both_ways_add_up_and_leave_out_loops():
    graph = make_graph(3, np.array([0, 1, 1, 2]), np.array([1, 0, 2, 2]), np.array([1.0, 2.0, 1.0, 9.0]))
    assert graph.starts.tolist() == [0, 2, 5, 6]
    assert np.bincount(np.repeat(range(3), np.diff(graph.starts)), graph.weights) == pytest.approx([1, 1, 1])
    assert graph.targets.tolist() == [1, 1, 0, 0, 2, 1]
    assert sorted(graph.weights[2:4]) + [graph.weights[4]] == pytest.approx([0.25, 0.5, 0.25])


def test_rare_terms_link_the_cubes_that_share_them():
    postings = [np.array([0, 2]), np.array([1, 2, 4]), np.array([3]), np.arange(5)]
    i, j, weight = rare_links(5, postings, rare=3)
    found = {(int(a), int(b)): w for a, b, w in zip(i, j, weight, strict=True)}
    assert found == pytest.approx(
        {(0, 2): np.log(5 / 2) / 2, **{pair: np.log(5 / 3) / 3 for pair in [(1, 2), (1, 4), (2, 4)]}}
    )
    assert rare_links(3, [np.array([1])])[0].size == 0


def test_a_linked_cube_rises_and_hidden_ones_stay_hidden():
    corpus = corpus_of([None] * 4)
    scores = scores_of(8, 1, 1, -np.inf)
    graph = recall_graph(4, links((0, 1), (0, 3)), NONE)
    after = spread(corpus, scores, graph)
    assert after[1] > after[2]
    assert after[3] == -np.inf
    assert after.argmax() == 0
    assert scores.tolist() == [8, 1, 1, -np.inf]


def test_cubes_that_came_after_the_graph_have_no_links():
    corpus = corpus_of([None] * 3)
    after = spread(corpus, scores_of(1, 0, 3), recall_graph(2, links((0, 1)), NONE))
    assert np.isfinite(after).all()
    assert after.argmax() == 2


def test_unsure_answers_take_other_sessions():
    corpus = corpus_of(["a", "a", "a", "b", "c", None])
    graph = make_graph(6, *NONE)
    sure, unsure = scores_of(20, 1.05, 1.05, 1, 1, 1), scores_of(1.05, 1.05, 1.05, 1, 1, 1)
    assert unsureness(sure, np.arange(6)) == 0
    assert 0 < unsureness(unsure, np.arange(6)) <= 1
    assert spread(corpus, sure, graph)[1] >= spread(corpus, sure, graph)[3]
    after = spread(corpus, unsure, graph)
    assert sorted(after[:3])[0] < after[3:].min() < after[:3].max()
    assert after[:3].max() - after[:3].min() == pytest.approx(2 * COVERED * unsureness(unsure, np.arange(6)), rel=0.2)


@pytest.mark.parametrize("scores", [(), (np.nan,), (-np.inf, -np.inf)])
def test_nothing_to_rank_stays_as_it_is(scores):
    corpus = corpus_of([None] * len(scores))
    after = spread(corpus, scores_of(*scores), make_graph(len(scores), *NONE))
    assert not np.isfinite(after).any()


def planted(rng, people=60, noise=400, dimension=64):
    """Facts "A works with B" and "B lives in C": a question asks where A's colleague lives.

    The second fact shares only the rare name B with the first. Returns (scores by question, gold pairs, terms).
    """
    terms, gold = [], []
    for p in range(people):
        gold.append((len(terms), len(terms) + 1))
        terms += [(f"person{p}", "work", f"friend{p}"), (f"friend{p}", "live", f"town{p}")]
    terms += [("talk", f"word{rng.integers(60)}") for _ in range(noise)]
    questions = []
    for first, second in gold:
        scores = rng.normal(0, 1, len(terms)).astype(np.float32)
        scores[first], scores[second] = 6, rng.normal(0.5, 1)
        questions.append(scores)
    return questions, gold, terms


def test_the_second_fact_of_a_question_is_reached_over_a_shared_name():
    questions, gold, terms = planted(np.random.default_rng(1))
    corpus = corpus_of([None] * len(terms), terms)
    where = {}
    for n, words in enumerate(terms):
        for word in words:
            where.setdefault(word, []).append(n)
    graph = recall_graph(len(terms), NONE, rare_links(len(terms), [np.array(v) for v in where.values()]))

    def recall(change):
        found = [
            len({*np.argsort(-change(s), kind="stable")[:5].tolist()} & {*g}) / 2
            for s, g in zip(questions, gold, strict=True)
        ]
        return float(np.mean(found))

    flat, spreading = recall(lambda s: s), recall(lambda s: spread(corpus, s, graph))
    assert flat < 0.6
    assert spreading > flat + 0.25
