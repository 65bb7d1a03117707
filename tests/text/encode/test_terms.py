import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.text.encode.terms import MAX_TERM, stop_terms, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana's sisters don't run", ["ana", "sister", "don", "run"]),
        ("Running, runs; RUN", ["run", "run", "run"]),
        ("l'hôtel d'Ana", ["l", "hôtel", "d", "ana"]),
        ("記憶です", ["記", "憶", "で", "す", "記憶", "憶で", "です"]),
        ("ｆｕｌｌ width", ["full", "width"]),
        ("room_12 3.5", ["room", "12", "3", "5"]),
        ("\U0001f600 \0 ...", []),
    ],
)
def test_words_are_stemmed_and_dense_scripts_give_pairs(text, expected):
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("sentence", "word"), [("昨天我在北京吃饭", "北京"), ("東京に住んでいます", "東京"), ("나는 서울에서 왔다", "서울")]
)
def test_a_two_character_word_is_found_inside_a_sentence(sentence, word):
    assert set(terms(word)) <= set(terms(sentence))


@given(st.text())
def test_no_term_is_empty_holds_a_space_or_is_long(text):
    for term in terms(text):
        assert 0 < len(term) <= MAX_TERM
        assert not any(c.isspace() for c in term)


def test_function_words_are_stop_terms_and_content_is_not():
    assert {"the", "who", "did"} <= stop_terms()
    assert not {"lisbon", "sister", "time"} & stop_terms()
