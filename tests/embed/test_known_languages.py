"""What an embedder knows of languages, and of which of them a text is."""

import numpy as np
import pytest

from mnemos.embed import load
from mnemos.embed.base import embed_questions
from mnemos.embed.hashing import HashingEmbedder
from mnemos.embed.languages import known_share, spoken_in
from mnemos.index.terms import words_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I moved to Lisbon last May.", "en"),
        ("Ich wohne seit zwei Jahren nicht mehr in Berlin.", "de"),
        ("Я живу в Москве и работаю врачом.", "ru"),
        ("我妹妹住在里斯本。", "zh"),
        ("私は東京に住んでいます。", "ja"),
        ("저는 서울에 살아요.", "ko"),
        ("ฉันอยู่ที่กรุงเทพ", "th"),
        ("मैं दिल्ली में रहता हूँ।", "hi"),
        ("أعيش في القاهرة منذ سنتين.", "ar"),
    ],
)
def test_the_language_of_a_text(text, language):
    assert spoken_in(words_of(text)).most_common(1)[0][0] == language


def test_the_bundled_model_knows_english():
    bundled = load("bundled")
    assert known_share(bundled, words_of("Ana lives in Lisbon since May 2024.")) == 1
    assert known_share(bundled, words_of("我妹妹住在里斯本。")) == 0
    assert known_share(bundled, words_of("Wir haben unsere Hündin nach der Katze von Ole benannt")) == 0
    assert 0.3 < known_share(bundled, words_of("My sister said 我妹妹 and laughed a lot")) < 1


def test_an_embedder_that_does_not_say_knows_all_and_no_words_are_known():
    assert known_share(HashingEmbedder(), words_of("我妹妹住在里斯本。")) == 1
    assert known_share(None, ["word"]) == known_share(load("bundled"), []) == 1


def test_a_question_is_embedded_as_one_where_the_embedder_tells_it_from_a_text():
    class Apart(HashingEmbedder):
        def embed_questions(self, texts, *, progress=None):
            return self.embed([f"query: {t}" for t in texts], progress=progress)

    text, plain = Apart(64), HashingEmbedder(64)
    assert np.array_equal(embed_questions(plain, ["a"]), plain.embed(["a"]))
    assert np.array_equal(embed_questions(text, ["a"]), plain.embed(["query: a"]))
