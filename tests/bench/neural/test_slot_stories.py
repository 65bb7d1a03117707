"""Stories and chains of pairs: their answers follow from their facts, by reading them one by one."""

import pytest
import torch

from mnemos.bench.neural import slot_chunks, slot_stories, slot_woven
from mnemos.bench.neural.associative_patterns import rng
from mnemos.bench.neural.slot_stories import BOXES, FACTS, PEOPLE, PLACES, THINGS, WORDS, chains, stories
from mnemos.neural.slots.memory_network import MemoryNetwork

PLACE, THING, BOX = PEOPLE, PEOPLE + PLACES, PEOPLE + PLACES + THINGS
WENT, TOOK, PUT = WORDS - 3, WORDS - 2, WORDS - 1


def read(facts, question):
    """Return the word that answers a question, and the places of the facts that say so."""
    words = [set(fact.nonzero()[:, 0].tolist()) for fact in facts]
    person, used = int(question.nonzero()), []
    if person >= THING and person < BOX:  # a thing is in a box
        used.append(next(i for i, w in enumerate(words) if {PUT, person} <= w))
        (person,) = words[used[-1]] - {PUT, person}
    if person >= BOX:  # a box is with a person
        used.append(next(i for i, w in enumerate(words) if {TOOK, person} <= w))
        (person,) = words[used[-1]] - {TOOK, person}
    used.append(max(i for i, w in enumerate(words) if {WENT, person} <= w))
    (place,) = words[used[-1]] - {WENT, person}
    return place, used


@pytest.mark.parametrize("support", [1, 2, 3])
def test_the_answer_of_a_story_follows_from_the_facts_that_are_marked(support):
    facts, questions, answers, marks = stories(60, support, rng(support))
    assert facts.shape == (60, FACTS, WORDS)
    assert (facts.sum(-1) == 3).all()
    for story in range(60):
        place, used = read(facts[story], questions[story])
        assert place == int(answers[story])
        assert sorted(used) == marks[story].nonzero()[:, 0].tolist()
        assert len(used) == support
    assert BOX + BOXES == WENT


def test_a_person_who_moved_twice_is_asked_about_too():
    facts, questions, _, _ = stories(60, 1, rng(0))
    moves = [
        sum(bool(f[WENT] and f[int(q.nonzero())]) for f in story) for story, q in zip(facts, questions, strict=True)
    ]
    assert min(moves) == 1
    assert max(moves) > 1


def test_hops_are_trained_and_their_looks_are_counted(monkeypatch):
    monkeypatch.setattr(slot_stories, "STEPS", 5)
    monkeypatch.setattr(slot_stories, "STORIES", 60)

    class Once:
        seeds = 1

    rows = slot_stories.story(Once)
    assert list(rows) == ["1 hop", "2 hops", "3 hops"]
    for row in rows.values():
        assert all(0 <= row[f"{n} supporting %"] <= 1 and 0 <= row[f"looks on support, {n} %"] <= 1 for n in (1, 2, 3))


@pytest.mark.parametrize("apart", [1, 2, 3])
def test_the_first_choice_is_reached_through_pairs_and_the_second_is_not(apart):
    pairs, cues, ends = chains(40, 4, apart, rng(apart))
    for episode in range(40):
        first, second = pairs[episode].chunk(2, -1)
        here = cues[episode]
        for _ in range(apart):
            here = second[int(torch.cdist(here[None], first).argmin())]
        torch.testing.assert_close(here, ends[episode, 0])
        assert float((ends[episode, 1] - here).norm()) > 0.1


def test_choices_of_a_model_are_counted():
    class Exact(MemoryNetwork):
        """Answers with what follows the cue, once."""

        def forward(self, facts, cue):
            first, second = facts.chunk(2, -1)
            return second[torch.arange(len(cue)), torch.cdist(cue[:, None], first)[:, 0].argmin(-1)], None

    found = slot_stories.tested(Exact(16), 0)
    assert found["1 apart %"] == pytest.approx(1.0, abs=0.01)
    assert found["3 apart %"] < 0.7


def test_questions_are_answered_by_their_facts_and_news_are_a_third():
    facts = torch.randint(slot_woven.VALUES, (slot_woven.KINDS, slot_woven.KEYS), generator=rng(0))
    tokens, answers = slot_woven.drawn(600, facts, rng(1), True)
    kinds = tokens[:, 1] - slot_woven.KEYS - slot_woven.VALUES
    assert torch.equal(answers - slot_woven.KEYS, facts[kinds, tokens[:, 0]])
    assert 0.25 < float((tokens[:, 1] == slot_woven.NEW).float().mean()) < 0.42
    assert not (slot_woven.drawn(600, facts, rng(1), False)[0][:, 1] == slot_woven.NEW).any()
    assert int(tokens.max()) == slot_woven.EQUALS


def test_both_chunks_of_a_text_are_of_its_few_words():
    chunk, after = slot_chunks.chunks(20, rng(0))
    assert chunk.shape == after.shape == (20, slot_chunks.LENGTH)
    for words in torch.cat([chunk, after], 1).tolist():
        assert len(set(words)) <= slot_chunks.OWN
