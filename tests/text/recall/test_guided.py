"""MemGAS weighs granularities by how sure they are, MemoRAG finds by clues, and recency depends on the layer."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.cube import Hit
from mnemos.store.values import Filter
from mnemos.text.base import Asked, View
from mnemos.text.recall.layers import LayeredRecency, layer_of
from mnemos.text.recall.memgas import MemGas, unsureness
from mnemos.text.recall.memorag import MemoRag
from mnemos.text.recall.query import make_query

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def test_unsureness_is_zero_for_one_that_stands_out_and_one_for_all_alike():
    assert unsureness(np.zeros(8), 1.0) == pytest.approx(1)
    assert unsureness(np.array([50.0, 0, 0, 0]), 1.0) == pytest.approx(0, abs=1e-9)
    assert unsureness(np.array([3.0]), 1.0) == 0


def test_the_router_trusts_the_granularity_that_singles_out_a_session():
    flat, peak = np.array([0.1, 0.0, -0.1]), np.array([4.0, -1.0, -1.0])
    weights = MemGas().weights({"session": flat, "turn": peak, "summary": flat, "keywords": flat})
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["turn"] > 0.9
    assert MemGas(mixing="uniform").weights({"session": flat, "turn": peak}) == {"session": 0.5, "turn": 0.5}
    assert MemGas(mixing="turn").weights({"session": flat, "turn": peak}) == {"session": 0.0, "turn": 1.0}


@pytest.mark.parametrize("associations", ["mixture", "nearest", "none"])
def test_the_session_that_is_about_it_comes_first(tmp_path, associations):
    talk = {"garden": ("the tomatoes need water", "slugs ate the beans"), "car": ("the brakes squeal", "the tyres are worn"),
            "choir": ("the tenor was ill", "we sang in the church")}  # fmt: skip
    with Mnemos(tmp_path, embedder="hashing:256") as memory:
        space = memory.space("s", system="memgas")
        space.add_many([{"content": text, "session": name} for name, texts in talk.items() for text in texts])
        space.text.use(
            space.text.system.__class__(**{**vars(space.text.system), "retrieve": MemGas(associations=associations)})
        )
        assert [h.session for h in space.search_sessions("what happened to the tomatoes and beans")][0] == "garden"
        assert space.search("are the tyres worn", 1)[0].cube.text == "the tyres are worn"


def test_a_clue_finds_what_shares_no_word_with_the_question(tmp_path):
    filler = [f"nothing new about topic{i} and thing{i}" for i in range(40)]
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("s")
        bridges = [
            "the lorry is our old crate",
            "we washed the crate which is a lorry",
            "our lorry that crate broke down",
        ]
        texts = [*filler, *bridges, "the crate was sold to Marko in spring"]
        space.add_many([{"content": t} for t in texts], reconcile=False)
        corpus = space.text.corpus()
        view, query = View(corpus, None, corpus.alive), make_query("lorry", None, NOW)
        found = MemoRag(common=0.2).rank(view, query).scores
        assert found[-1] > 0 == MemoRag(weight=0).rank(view, query).scores[-1]
        assert (found[-4:-1] > found[-1]).all()  # what says the word itself comes before
        assert MemoRag().rank(view, make_query("unheard", None, NOW)).scores.max() == 0


def test_what_a_filter_hides_gives_no_clue(tmp_path):
    filler = [f"nothing new about topic{i} and thing{i}" for i in range(40)]
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("s")
        texts = [*filler, "a lorry is our old crate", "we washed the crate which is a lorry", "the crate was sold"]
        space.add_many([{"content": t} for t in texts], reconcile=False)
        corpus, query = space.text.corpus(), make_query("lorry", None, NOW)
        everything = MemoRag(common=0.2).rank(View(corpus, None, corpus.alive), query).scores
        before = corpus.alive.copy()
        before[-2] = False  # written later: only one of the texts that say both is left
        seen = MemoRag(common=0.2).rank(View(corpus, None, before), query).scores
        assert everything[-1] > 0 == seen[-1]
        assert seen[-2] == -np.inf


def test_a_price_ages_in_days_and_a_home_in_years(tmp_path):
    assert [layer_of(a) for a in ("price", "car", "live in", "favourite color")] == [0, 1, 2, 2]
    with Mnemos(tmp_path, embedder="none", clock=lambda: NOW) as memory:
        space = memory.space("s", system="tradinggpt")
        for days, text in ((200, "Ana lives in Porto."), (200, "Ana drives a Volvo."), (0, "It rained.")):
            space.add(text, at=NOW - timedelta(days=days))
        hits = [(key, Hit(cube, 1.0, {"words": 1.0})) for key, cube in space.store.select(Filter())]
        risen = LayeredRecency().rerank(space.store, Asked("Ana"), hits, Filter(), 3)
        assert [hit.cube.text for _, hit in risen] == ["It rained.", "Ana lives in Porto.", "Ana drives a Volvo."]
        for _, hit in risen:
            assert sum(hit.why.values()) == pytest.approx(hit.score)
        gained = {hit.cube.text: hit.why["recency"] for _, hit in risen}
        assert gained["It rained."] == pytest.approx(0.2)
        assert gained["Ana lives in Porto."] == pytest.approx(0.2 * np.exp(-200 / 365), rel=1e-3)
