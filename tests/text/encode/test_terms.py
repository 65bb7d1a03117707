import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index.terms import MAX_TERM, stop_terms, terms


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


def test_threads_that_stem_at_once_get_the_terms_of_one_thread():
    texts = [" ".join(f"{stem}{i}{j}{end}" for j, end in enumerate(("ational", "fulness", "ingly", "ed"))) for i in range(200)
             for stem in ("gener", "organ")]  # fmt: skip
    found: dict[int, list[list[str]]] = {}
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: [terms(f"{text}{'x' * n}") for text in texts]}))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert found == {n: [terms(f"{text}{'x' * n}") for text in texts] for n in range(4)}
