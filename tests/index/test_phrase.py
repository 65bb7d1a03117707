"""A phrase occurs where it is written as words of its own, in any script, and nowhere else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.index.folding import fold
from mnemos.index.phrase import Phrase
from tests.index.phrase_cases import CASES


@pytest.mark.parametrize(("phrase", "having", "others"), CASES, ids=[case[0] for case in CASES])
def test_a_phrase_is_found_as_whole_words_and_never_inside_longer_ones(phrase, having, others):
    wanted = Phrase(phrase)
    assert [text for text in having if not wanted.occurs(text)] == []
    assert [text for text in others if wanted.occurs(text)] == []


@pytest.mark.parametrize("phrase", ["", " ", "?!", "\u200b", "...", "\u00ad-", "()"])
def test_punctuation_alone_is_no_phrase(phrase):
    with pytest.raises(InvalidInput, match="no letter, digit or emoji"):
        Phrase(phrase)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXTS, TEXTS)
def test_a_phrase_occurs_in_itself_and_only_where_its_letters_are(a, b):
    if not any(c.isalnum() for c in fold(a)):
        return
    phrase = Phrase(a)
    assert phrase.occurs(a)
    assert phrase.within(a)
    if phrase.occurs(b):
        assert fold(a) in fold(b) or fold(a, turkic=True) in fold(b, turkic=True)


@given(TEXTS)
def test_folding_is_idempotent(text):
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"), ("\u0130stanbul", "istanbul"), ("ΠΈΤΡΟΣ", "Πέτρος"), ("ﬁn", "FIN"), ("ﾊﾟﾝ", "パン"),
        ("Zoe\u0308", "ZOË"), ("a \u00a0\n b", "a b"), ("O’Brien", "o'brien"), ("Ja\u00adne", "jane"),
    ],
)  # fmt: skip
def test_what_readers_take_for_the_same_writing_folds_alike(one, other):
    assert fold(one) == fold(other)
    assert Phrase(one).occurs(other)
    assert Phrase(other).occurs(one)


@pytest.mark.parametrize("filler", ["x ", "é ", "東", "Jane Doering. ", "\u00ad \n"])
@pytest.mark.parametrize("count", [1, 1_990, 2_000, 4_000, 9_000])
def test_a_long_text_is_searched_in_pieces_and_none_is_missed_at_their_ends(filler, count):
    phrase = Phrase("Jane  Doe")
    for written in ("Jane Doe", "ＪＡＮＥ　ＤＯＥ", "Jane" + " " * 5_000 + "Doe"):
        assert phrase.occurs(filler * count + " " + written + " " + filler * count)
    assert not phrase.occurs(filler * count + " Jane Doering " + filler * count)
    assert not phrase.occurs(filler * count + " Jane " + filler * count)


def test_a_run_without_spaces_takes_not_much_longer_than_words():
    def seconds(text):
        started = time.process_time()
        assert not Phrase("ab").occurs(text)
        return time.process_time() - started

    seconds("abx")
    assert seconds("xabx" * 8_000) < 5 * seconds("xab " * 8_000) + 0.3  # reading each place to the end: 15 times
