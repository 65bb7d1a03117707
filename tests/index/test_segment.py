import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.index.segment import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ana's sisters don't run.", ["Ana's", "sisters", "don't", "run"]),
        ("3.5 of 1,000 in room_12, U.S.A.", ["3.5", "of", "1,000", "in", "room_12", "U.S.A"]),
        ("well-known (a/b) C++", ["well", "known", "a", "b", "C"]),
        ("मैं हिन्दी में किताबें पढ़ता हूँ।", ["मैं", "हिन्दी", "में", "किताबें", "पढ़ता", "हूँ"]),
        ("வீட்டில் இருக்கிறேன்", ["வீட்டில்", "இருக்கிறேன்"]),
        ("আমার বাড়ি ঢাকায়", ["আমার", "বাড়ি", "ঢাকায়"]),
        ("בְּרֵאשִׁית צה\"ל", ["בְּרֵאשִׁית", "צה\"ל"]),
        ("مُحَمَّد، ذهب", ["مُحَمَّد", "ذهب"]),
        ("ฉันรักภาษาไทย", ["ฉัน", "รัก", "ภาษา", "ไทย"]),
        ("ພາສາລາວແມ່ນ", ["ພາສາ", "ລາວ", "ແມ່ນ"]),
        ("昨天我在北京吃饭", ["昨天", "我在", "北京", "吃饭"]),
        ("나는 서울에서 왔다", ["나는", "서울에서", "왔다"]),
        ("\U0001f600 go \U0001d4b3y \U0001f600!", ["go", "\U0001d4b3y"]),
        ("a \ud800 b", ["a", "b"]),
        ("", []),
        ("?! \0", []),
    ],
)  # fmt: skip
def test_words_are_unicode_s(text, expected):
    assert [text[start:end] for start, end in words(text)] == expected


@given(st.text(st.characters(codec=None)))
def test_spans_are_in_order_and_hold_every_letter_and_digit(text):
    spans = words(text)
    places = [i for start, end in spans for i in range(start, end)]
    assert places == sorted(set(places))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert {i for i, c in enumerate(text) if c.isalnum()} <= set(places)


def test_threads_get_the_words_of_one_thread():
    text = "ฉันรักภาษาไทยและอาหารไทย 昨天我在北京吃饭 don't " * 50
    found = []
    threads = [threading.Thread(target=lambda: found.append(words(text))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [words(text)] * 4
