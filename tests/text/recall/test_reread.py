"""Rereading: the order of the first hits after they were read together with the question."""

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.text.recall import reread
from mnemos.text.recall.reread import WHY, Reread, spoken

TOLD = [
    ("Rita", "The bakery is on Mill Lane, next to the bakery school."), ("Rita", "The bakery opens at seven on weekdays."),
    ("Tom", "The bakery was my first job."), ("Rita", "When I was young the bakery smelled of cinnamon."),
    ("Tom", "We could open a bakery one day."), ("Tom", "Rye bread again."),
]  # fmt: skip
ASKED = "When does the bakery open?"


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("reread")) as memory:
        space = memory.space("rita")
        space.add_many(
            {"id": str(i), "speaker": who, "content": text, "at": f"2024-05-0{i + 1}"}
            for i, (who, text) in enumerate(TOLD)
        )
        yield space


def test_what_answers_comes_first_and_why_says_by_how_much(space):
    hits = space.search(ASKED, method="cross-encoder")
    assert hits[0].cube.id == "1"
    assert all(sum(hit.why.values()) == pytest.approx(hit.score) for hit in hits)
    assert all(hit.why[WHY] >= 0 for hit in hits)
    assert {hit.cube.id for hit in hits} == {hit.cube.id for hit in space.search(ASKED)}


def test_one_hit_is_the_first_of_many(space):
    [one] = space.search(ASKED, k=1, method="cross-encoder")
    assert one.cube.id == space.search(ASKED, method="cross-encoder")[0].cube.id


def test_a_question_in_another_language_keeps_its_order(space, monkeypatch):
    monkeypatch.setattr(reread, "cross_encoder", lambda: pytest.fail("it was read"))
    asked = "Wann macht die Bäckerei auf, und wo ist sie eigentlich?"
    usual, read = (space.search(asked, method=method) for method in ("hybrid", "cross-encoder"))
    assert [hit.cube.id for hit in usual] == [hit.cube.id for hit in read]


def test_hits_that_were_not_read_stay_behind_in_their_order(space):
    class Backwards:
        def log_odds(self, question, texts):
            return np.arange(len(texts), dtype=np.float64) * 100

    hits = list(enumerate(space.search(ASKED)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reread, "cross_encoder", Backwards)
        found = Reread(first=3).rerank(None, _asked(ASKED), hits, None, 10)
    assert [key for key, _ in found] == [2, 1, 0, *range(3, len(hits))]
    assert found[2][1].score == hits[0][1].score


def test_a_text_is_read_after_its_speaker(space):
    assert spoken(space.get("2")) == "Tom: The bakery was my first job."


def _asked(text):
    from mnemos.text.base import Asked

    return Asked(text)
