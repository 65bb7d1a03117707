"""Examples from texts: questions where a fact is read, statements in every language, and no prompt with two answers."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.parametric.encode.examples import FAMILIES, as_chat, examples_of, is_english
from mnemos.parametric.encode.templates import ASKED, LEARNED, of_attribute

AT = datetime(2024, 3, 2)
TEXT = "I moved to Lisbon last May. My favourite colour is teal."


def prompts(found):
    return {e.prompt: e.answer for e in found}


def test_facts_become_questions_with_their_values():
    found = prompts(examples_of(TEXT, speaker="Ana", date=AT, source="c1"))
    assert found["Question: Where does Ana live?\nAnswer:"] == " Lisbon"
    assert found["Ana's favourite color is"] == " teal"
    assert found["Ana: I moved to"] == " Lisbon last May."


def test_every_family_asks_for_every_sentence():
    found = examples_of(TEXT, speaker="Ana", date=AT, source="c1")
    for family in LEARNED:
        assert [e.answer for e in found if e.family == family] == [
            " I moved to Lisbon last May.",
            " My favourite colour is teal.",
        ]
    assert {e.family for e in found} == {*FAMILIES, "fact"}
    assert {e.source for e in found} == {"c1"}
    assert {e.context for e in found} == {f"Ana: {TEXT}\n\n"}
    assert LEARNED.keys() == ASKED.keys()


def test_paraphrases_take_no_part_in_training():
    learned = prompts(examples_of(TEXT, speaker="Ana", date=AT))
    asked = prompts(examples_of(TEXT, speaker="Ana", date=AT, held_out=True))
    assert not learned.keys() & asked.keys()
    assert set(asked.values()) <= set(learned.values())
    assert {" Lisbon", " teal"} <= set(asked.values())


@pytest.mark.parametrize(
    ("text", "beginning", "end"),
    [
        ("我住在上海。", "Li: 我住在", "上海。"),
        ("Vivo en Lisboa desde mayo.", "Li: Vivo en", " Lisboa desde mayo."),
        ("Ζω στη Λισαβόνα.", "Li: Ζω", " στη Λισαβόνα."),
        ("أسكن في لشبونة منذ مايو", "Li: أسكن في", " لشبونة منذ مايو"),
    ],
)
def test_where_no_template_fits_the_statement_is_learned(text, beginning, end):
    assert not is_english(text)
    assert prompts(examples_of(text, speaker="Li", date=AT)) == {beginning: end}
    assert examples_of(text, speaker="Li", held_out=True) == []


@given(st.text(max_size=80), st.text(max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_text_gives_examples_with_different_prompts_or_none(text, speaker, held_out):
    found = examples_of(text, speaker=speaker, date=AT, held_out=held_out)
    assert len(prompts(found)) == len(found)
    assert all(e.answer.strip() for e in found)


def test_a_model_writes_questions_and_only_answers_of_the_text_count():
    asked = []

    def write(prompt):
        asked.append(prompt)
        return "Q: Where did Ana move?\nA: Lisbon\n\nQ: What does she hate?\nA: Porto\nnonsense"

    found = [e for e in examples_of(TEXT + " =====", write=write) if e.family == "written"]
    assert prompts(found) == {"Question: Where did Ana move?\nAnswer:": " Lisbon"}
    assert len(asked) == 1
    assert TEXT in asked[0]
    assert asked[0].count("=====") == 3


def test_a_chat_model_is_asked_in_a_users_turn():
    class Chat:
        chat_template, eos_token, bos_token, bos_token_id = "x", "<end>", "<s>", 1

        def __call__(self, text):
            return {"input_ids": [1, 2]}

        def apply_chat_template(self, turns, tokenize, add_generation_prompt):
            assert (tokenize, add_generation_prompt) == (False, True)
            return f"<s><user>{turns[0]['content']}<model>"

    found = as_chat(examples_of("Ana lives in Porto.", families=()), Chat())
    assert prompts(found)["<user>Where does Ana live?<model>"] == "Porto<end>"
    assert found[0].context == "Ana lives in Porto.\n\n"


def test_attributes_become_plain_english():
    prompts, words = of_attribute("study at", asked=False)
    assert [p.format(name="Bo", **words) for p in prompts][1] == "Bo studies at"
    prompts, words = of_attribute("like", asked=True)
    assert [p.format(name="Bo", **words) for p in prompts][1] == "The thing that Bo likes is"
