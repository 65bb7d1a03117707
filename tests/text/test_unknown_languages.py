"""A space says once that its embedder does not know the language it is asked in; its check says which texts it concerns."""

import warnings

import pytest

from mnemos import Mnemos
from mnemos.embed.hashing import HashingEmbedder
from mnemos.errors import UnknownLanguage

GERMAN = ["Meine Schwester wohnt seit März in Lissabon.", "Wir haben gestern nicht gekocht.", "我在上海工作。"]


class English(HashingEmbedder):
    languages = frozenset({"en"})


def test_a_space_says_so_once_in_its_life(tmp_path):
    for attempt in range(2):
        with Mnemos(tmp_path, embedder=English(32)) as memory:
            space = memory.space("s")
            space.add_many({"content": text} for text in GERMAN)
            with warnings.catch_warnings():
                warnings.simplefilter("error", UnknownLanguage)
                space.search("Where does my sister live?")
            if attempt == 0:
                with pytest.warns(UnknownLanguage, match=r"pip install 'mnemos-os\[multilingual\]'"):
                    space.search("Wo wohnt meine Schwester und warum?")
            with warnings.catch_warnings():
                warnings.simplefilter("error", UnknownLanguage)
                space.search("Wo arbeitet sie und seit wann?")


def test_an_embedder_that_does_not_say_what_it_knows_gives_no_warning(tmp_path):
    with Mnemos(tmp_path, embedder="hashing:32") as memory, warnings.catch_warnings():
        warnings.simplefilter("error", UnknownLanguage)
        memory.space("s").add(GERMAN[0])
        assert memory.space("s").search("Wo wohnt meine Schwester und warum?")
        assert memory.space("s").doctor().notes == []


def test_doctor_names_the_languages_and_what_to_do(tmp_path):
    with Mnemos(tmp_path, embedder=English(32)) as memory:
        space = memory.space("s")
        space.add("My sister lives in Lisbon now.")
        assert space.doctor().notes == []
        space.add_many({"content": text} for text in GERMAN)
        (note,) = space.doctor().notes
        assert note.startswith("3 of 4 texts are in languages that hashing does not know (de 2, zh 1)")
        assert "mnemos --embedder multilingual reindex" in note
