import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mnemos.index.language import is_english, languages
from mnemos.index.lexical import LexicalIndex
from mnemos.index.stems import stemmer, tag
from mnemos.index.terms import FORM, forms, index_terms, terms, words_of
from mnemos.index.word_parts import Compounds, split

TEXTS = {
    "en": "I moved to Lisbon with my sister last May",
    "de": "Ich wohne mit meiner Schwester in Berlin",
    "nl": "Ik woon met mijn zus in Utrecht",
    "fr": "Je vis avec ma sœur à Lyon",
    "es": "Vivo con mi hermana en Sevilla",
    "it": "Vivo con mia sorella a Roma",
    "pt": "Eu moro com a minha irmã em Lisboa",
    "ro": "Locuiesc cu sora mea în București",
    "sv": "Jag bor med min syster och hennes katt",
    "fi": "Minä asun siskoni kanssa ja hän on täällä",
    "tr": "Kız kardeşim ile İzmir'de yaşıyorum ve çok mutluyum",
    "pl": "Mieszkam z moją siostrą w Krakowie",
    "hu": "A nővérem és én Szegeden élünk",
    "cs": "Bydlím se sestrou v Praze a je to hezké",
    "ru": "Я живу с сестрой в Москве",
    "uk": "Я живу зі своєю сестрою і це добре",
    "bg": "Аз живея със сестра ми и тя е добре",
    "sr": "Ја живим са сестром у Београду",
    "ar": "أسكن مع أختي في القاهرة",
    "fa": "من با خواهرم در تهران زندگی می‌کنم",
    "ur": "میں اپنی بہن کے ساتھ لاہور میں رہتا ہوں",
    "hi": "मैं अपनी बहन के साथ दिल्ली में रहता हूँ",
    "mr": "मी माझ्या बहिणीसोबत पुण्यात राहतो आणि ती शिकते आहे",
    "ne": "म मेरी बहिनीसँग काठमाडौंमा बस्छु र काम गर्छु छ",
    "he": "אני גר עם אחותי בחיפה",
    "el": "Μένω με την αδελφή μου",
    "hy": "Ես ապրում եմ Երևանում",
    "ta": "நான் வீட்டில் இருக்கிறேன்",
    "vi": "Tôi sống với em gái của tôi ở Huế",
}


@pytest.mark.parametrize(("language", "text"), TEXTS.items())
def test_the_language_of_a_sentence(language, text):
    assert language in languages(words_of(text)).values()
    assert is_english(words_of(text)) is (language == "en")


def test_scripts_of_one_text_have_languages_of_their_own():
    assert languages(words_of("I said: я живу в Москве, and she: אני גר בחיפה")) == {
        "Latn": "en",
        "Cyrl": "ru",
        "Hebr": "he",
    }


@pytest.mark.parametrize(
    "text", ["Take care!", "See ya!", "Wow, cool!", "Hi Ana", "Bye Joanna!", "", "12 3.5", "Go for it"]
)
def test_short_english_stays_english(text):
    assert not [t for t in index_terms(text) if t.startswith(FORM)]


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_has_the_terms_of_words_before_its_forms(text):
    found = index_terms(text)
    own = terms(text)
    assert found[: len(own)] == own
    assert all(t.startswith(FORM) for t in found[len(own) :])


@given(st.text())
def test_terms_can_be_stored_and_a_word_is_found_by_itself(text):
    found = index_terms(text)
    assert all(t and not any(map(str.isspace, t)) for t in found)
    assert len(found) <= 4 * len(terms(text)), "growth is bounded"
    index = LexicalIndex()
    index.add([found])
    assert all(index.posting(word) is not None for word in words_of(text))
    assert index.lengths().tolist() == [len(terms(text))]


def test_a_word_counts_once_in_any_of_its_forms_and_half_where_it_is_only_a_part():
    index = LexicalIndex()
    index.add(
        [
            index_terms(text)
            for text in ("die Katze und die Katzen", "eine Katze ist da", "ein Katzenfutter ist da", "ein Hund ist da")
        ]
    )
    found = index.posting("katzen")
    assert found.positions.tolist() == [0, 1, 2]
    assert found.counts.tolist() == [2, 1, 0.5]


def test_forms_add_nothing_to_an_english_index():
    index = LexicalIndex()
    index.add([index_terms("The cats are running home")])
    assert forms("running", index.tags)[0] == "run"
    assert not index.tags
    assert not index._compounds


@given(
    st.lists(st.text("abcd", min_size=1, max_size=14), unique=True, max_size=30),
    st.text("abcd", min_size=1, max_size=6),
)
@example(["abaabaab"], "baab")  # inside, and again at the end
def test_long_words_around_a_part_are_those_of_a_plain_scan(words, part):
    compounds = Compounds()
    for word in words:
        compounds.add(word)
    expected = [
        w
        for w in words
        if len(w) >= 8 and len(part) >= 4 and len(w) - len(part) >= 3 and (w.startswith(part) or w.endswith(part))
    ]
    assert compounds.around(part) == expected


@pytest.mark.parametrize(
    ("word", "known", "parts"),
    [
        ("krankenversicherung", {"kranken", "versicherung"}, ["kranken", "versicherung"]),
        ("arbeitszimmer", {"arbeit", "zimmer"}, ["arbeit", "zimmer"]),
        ("krankenversicherung", {"versicherung"}, ["versicherung"]),
        ("krankenversicherung", {"kranken"}, []),
        ("haus", {"haus"}, []),
        ("barnvagn", {"barn", "vagn"}, ["barn", "vagn"]),
    ],
)
def test_compounds_are_split_into_known_words(word, known, parts):
    assert split(word, str, known) == parts


def test_every_language_has_a_stemmer_or_a_cut():
    for language in TEXTS:
        if label := tag(language):
            assert len(stemmer(label)("abcdefghij")) > 0


def test_threads_get_the_terms_of_one_thread():
    texts = list(TEXTS.values()) * 20
    found = []
    threads = [threading.Thread(target=lambda: found.append([index_terms(t) for t in texts])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[index_terms(t) for t in texts]] * 4
