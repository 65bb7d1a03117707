"""The made-up world: the same for a seed, readable by its tokenizer, skewed as Zipf says."""

from collections import Counter

import pytest

from mnemos.bench.parametric.facts import RELATIONS, make_tokenizer, make_world, vocabulary
from mnemos.errors import InvalidInput


def test_the_same_seed_makes_the_same_world_and_another_seed_other_people():
    assert make_world(50, seed=1) == make_world(50, seed=1)
    names = [{fact.subject for fact in make_world(50, seed=seed).facts} for seed in (1, 2)]
    assert len(names[0]) == 50
    assert len(names[0] & names[1]) <= 1


def test_every_text_is_read_and_written_back():
    world = make_world(20, list(RELATIONS), topics=3, zipf=1)
    tokenizer = make_tokenizer()
    texts = [world.opening(2), *(fact.statement(i) for fact in world.facts for i in range(3))]
    for text in texts:
        ids = tokenizer(text).input_ids
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text
    assert len(set(vocabulary())) == len(vocabulary())


def test_a_prompt_ends_before_the_answer():
    fact = make_world(1).facts[0]
    for template in range(3):
        example = fact.example(template)
        assert fact.statement(template).startswith(example.prompt + example.answer)
        assert fact.subject in fact.edit("Tola", template).prompt


def test_how_often_people_are_written_about_follows_zipf():
    world = make_world(100, ["home"], zipf=1.0)
    drawn = Counter(fact.rank for fact in world.sample(20_000, seed=0))
    assert drawn[0] / drawn[9] == pytest.approx(10, rel=0.35)


def test_documents_keep_to_their_topic():
    world = make_world(30, topics=3, zipf=1.0)
    topic_of = {fact.subject: fact.topic for fact in world.facts}
    for topic, text in world.documents(20, 4, seed=0):
        assert text.startswith(world.opening(topic))
        assert {topic_of[word] for word in text.split() if word in topic_of} == {topic}


def test_another_value_is_one_of_the_relation():
    world = make_world(5, values=2)
    for fact in world.facts:
        assert world.other_value(fact) in set(world.values[fact.relation]) - {fact.value}


def test_unknown_relations_and_too_many_names_are_refused():
    with pytest.raises(InvalidInput, match="shoe"):
        make_world(1, ["shoe"])
    with pytest.raises(InvalidInput, match="there are 4900"):
        make_world(1, values=5000)
