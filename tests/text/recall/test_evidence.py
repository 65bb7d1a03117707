"""Evidence for a hit: how much of a question it and its neighbours cover, against plain counting."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.index.lexical import idf
from mnemos.text.recall.evidence import FEATURES, ONE, OTHERS, evidence
from mnemos.text.recall.query import make_query

NOW = datetime(2024, 6, 1, tzinfo=UTC)
TOLD = [
    ("Rita adopted a greyhound.", "Ana", "s1"),
    ("What is it called?", "Bo", "s1"),
    ("Biscuit!", "Ana", "s1"),
    ("The boiler was repaired.", "Bo", "s2"),
    ("Rita paints boats.", "Ana", "s2"),
]


def weight(df):
    return idf(len(TOLD) + OTHERS, df + ONE)


@pytest.fixture
def measure(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("s")
        space.add_many(
            {"content": text, "speaker": speaker, "session": session, "at": f"2024-05-01T10:0{i}"}
            for i, (text, speaker, session) in enumerate(TOLD)
        )
        space.search("warm up")
        corpus = space.text.view.snapshot.corpus

        def found(question, *positions):
            table = evidence(corpus, make_query(question, None, NOW), question, np.array(positions))
            return [dict(zip(FEATURES, map(float, row), strict=True)) for row in table]

        yield found


def test_coverage_is_the_share_of_the_weight_of_the_words(measure):
    [first, last] = measure("Which greyhound did Rita adopt?", 0, 4)
    weights = {"greyhound": weight(1), "rita": weight(2), "adopt": weight(1)}
    assert first["coverage"] == pytest.approx(1)
    assert last["coverage"] == pytest.approx(weights["rita"] / sum(weights.values()), abs=1e-6)
    assert (first["of best coverage"], last["best coverage"]) == (pytest.approx(1), pytest.approx(1))


def test_the_turns_around_a_hit_count_as_its_own_and_those_of_other_sessions_do_not(measure):
    [reply, other] = measure("Which greyhound did Rita adopt?", 2, 3)
    assert (reply["coverage"], reply["coverage around"]) == (0, pytest.approx(1))
    assert other["coverage around"] == pytest.approx(weight(2) / (weight(2) + 2 * weight(1)), abs=1e-6)


def test_a_name_that_nobody_here_has_said_is_known_to_be_unknown(measure):
    [known] = measure("What does Rita paint?", 4)
    [stranger] = measure("What does Olga paint?", 4)
    assert (known["has names"], known["names"], known["unknown name"]) == (1, 1, 0)
    assert (stranger["has names"], stranger["names"], stranger["unknown name"]) == (1, 0, 1)
    assert known["unknown"] == 0
    assert stranger["unknown"] > 0


def test_what_a_speaker_is_called_counts_as_a_word_of_his(measure):
    [his, hers] = measure("What did Bo repair?", 3, 4)
    assert (his["speaker"], hers["speaker"]) == (1, 0)
    assert his["coverage"] == pytest.approx(1)


def test_vectors_stand_out_by_the_spread_of_the_space_whatever_their_scale(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as memory:
        space = memory.space("s")
        space.add_many({"content": text} for text, *_ in TOLD)
        space.search("warm up")
        corpus = space.text.view.snapshot.corpus
        vector = memory.embedder.embed(["The boiler was repaired."])[0]
        question = "Was the boiler repaired?"
        table = evidence(corpus, make_query(question, vector, NOW), question, np.array([3, 0]))
        others = corpus.vectors.rows @ vector
        wanted = (others[[3, 0]] - others.mean()) / max(others.std(), 0.02)
        assert table[:, FEATURES.index("stands out")] == pytest.approx(wanted, abs=1e-4)
        assert table[:, FEATURES.index("vectors")].tolist() == [1, 1]
        assert table[0, FEATURES.index("behind the best")] == 0
