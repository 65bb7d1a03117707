import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index.normalise import normalise

SAME = [
    ("İstanbul", "istanbul"), ("ISPARTA", "ısparta"), ("Straße", "STRASSE"), ("ＦＵＬＬ", "full"), ("ﬁne", "fine"),
    ("cafe\u0301", "café"), ("O’Brien", "o'brien"), ("ștrand", "ştrand"), ("co\u00adoperate", "cooperate"),
    ("مُحَمَّد", "محمد"), ("أحمد", "احمد"), ("آسيا", "اسيا"), ("مدرسة", "مدرسه"), ("على", "علي"), ("محـــمد", "محمد"),
    ("کتاب", "كتاب"), ("می‌خواهم", "میخواهم"), ("ﻣﺤﻤﺪ", "محمد"), ("مسؤول", "مسوول"),
    ("שָׁלוֹם", "שלום"), ("בְּרֵאשִׁית", "בראשית"), ("צה״ל", 'צה"ל'),
    ("हिन्दी", "हिंदी"), ("क़लम", "कलम"), ("ज़िन्दगी", "जिंदगी"), ("माँ", "मां"), ("क्‍ष", "क्ष"), ("ചില്ല്‌", "ചില്ല്"), ("അവൻ", "അവന്‍"),
    ("বাড়ি", "বাড\u09bcি"), ("চাঁদ", "চাংদ"),
    ("Αθήνα", "ΑΘΗΝΑ"), ("σοφός", "ΣΟΦΌΣ"), ("Всё", "все"), ("за́мок", "замок"),
    ("٢٠٢٤", "2024"), ("२०२४", "2024"), ("๒๐๒๔", "2024"), ("ｶﾞﾗｽ", "ガラス"), ("한글", "한글"), ("น้\u0e4d\u0e32", "น้ำ"),
]  # fmt: skip
DIFFERENT = [
    ("й", "и"),
    ("ї", "і"),
    ("café", "cafe"),
    ("schon", "schön"),
    ("ќ", "к"),
    ("が", "か"),
    ("कि", "की"),
    ("ฉัน", "ฉน"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_word_are_the_same(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_letters_that_tell_words_apart_stay(one, other):
    assert normalise(one) != normalise(other)


@given(st.text())
def test_it_is_idempotent(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_only_lower_cased(text):
    assert normalise(text) == text.lower()
