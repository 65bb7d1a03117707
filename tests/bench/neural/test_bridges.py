"""Bridges from neural memories to a space's vectors: reads, cuts and surprises on conversations that are made here."""

import numpy as np
import pytest

from mnemos.bench.neural import bridges
from mnemos.bench.neural.bridges import Talk, unit


def made(topics=4, turns=12, noise=0.4, width=24):
    """Return a conversation that stays with a topic for `turns` turns, and a question for each turn."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(size=(topics, width)), turns, 0)
    vectors = unit(centres + noise * rng.normal(size=centres.shape))
    ids = [f"D{i // turns}:{i}" for i in range(topics * turns)]
    asked = unit(vectors + 0.1 * rng.normal(size=vectors.shape))
    return Talk(vectors, ids, [i.split(":")[0] for i in ids], asked, [(i,) for i in ids])


def test_a_cold_hopfield_read_is_the_nearest_turn_and_a_hot_one_is_the_mean():
    talk = made()
    cold, hot = bridges.hopfield(talk, 1e4, 1.0), bridges.hopfield(talk, 1e-4, 1.0)
    assert (cold.argmax(1) == (talk.questions @ talk.vectors.T).argmax(1)).all()
    np.testing.assert_allclose(hot, hot[:1].repeat(len(hot), 0), atol=1e-3)
    np.testing.assert_allclose(bridges.hopfield(talk, 7.0, 0.0), talk.questions @ talk.vectors.T, atol=1e-12)


def test_the_evidence_is_counted_among_the_first():
    talk = made()
    scores = np.zeros((2, len(talk.ids)))
    scores[0, 3] = scores[1, 5] = 1
    given = talk._replace(evidence=[(talk.ids[3], talk.ids[40]), (talk.ids[6],)])
    assert bridges.found_of(scores, given, 1) == [0.5, 0.0]


def test_a_linear_memory_is_less_surprised_by_what_it_has_seen():
    rows = np.tile(np.eye(8)[:4], (6, 1))
    found = bridges.surprises(rows)
    assert found[1] == pytest.approx(1.0)  # it knows nothing yet
    assert found[-4:].max() < 0.1
    first = bridges.surprises(rows, rate=1.0, momentum=0.0)
    np.testing.assert_allclose(first[1:5], 1.0)
    np.testing.assert_allclose(first[5:], 0.0, atol=1e-12)  # one step with rate 1 stores a pair exactly
    faded = bridges.surprises(rows, rate=1.0, momentum=0.0, forget=0.5)
    np.testing.assert_allclose(faded[5], 1 - 0.5**3, atol=1e-12)  # three writes after its own


def test_cuts_agree_with_the_begins_of_sessions():
    assert bridges.agreement([10, 21], [10, 20]) == 1.0
    assert bridges.agreement([10, 50], [10, 20]) == 0.5
    assert bridges.agreement([], [10, 20]) == 0.0
    talk = made(noise=0.2)
    starts = bridges.edges(bridges.Episodes(gap=float("inf")), talk)
    assert starts == [0, 12, 24, 36]
    row = bridges.compared(lambda t: starts, [talk])
    assert row == {"in 40 turns": 1.0, "turns of an episode, mean": 12.0, "begins of sessions, F1": 1.0}


def test_learned_surprise_cuts_where_the_topic_changes():
    starts = bridges.edges(bridges.LearnedSurprise(gap=float("inf")), made(noise=0.2))
    assert set(starts) >= {0, 24}


def test_half_of_the_turns_is_kept():
    found = bridges.write([made(noise=1.0)], 0)
    assert found["everything"]["first 10"] > 0.95
    assert all(0.4 < row["first 10"] < 0.6 for name, row in found.items() if name != "everything")
    reads = bridges.read([made()])
    assert reads["cosine"]["first 5"] > 0.95
    assert reads["Hopfield read, beta 10"]["first 5"] < reads["cosine"]["first 5"]
