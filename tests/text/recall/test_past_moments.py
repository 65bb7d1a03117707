"""Past moments that a question names in several languages: the statement that held then is first."""

from zlib import crc32

import pytest

from mnemos import Mnemos
from mnemos.embed.minilm import MiniLM

MINILM_EMBED = MiniLM.embed
pytestmark = pytest.mark.filterwarnings("ignore::mnemos.errors.UnknownLanguage")
SPORTS = [
    ("我每周去游泳。", "2023-03-01"),
    ("我现在改打羽毛球了。", "2023-07-01"),
    ("我现在的运动是瑜伽。", "2023-12-01"),
    ("我开始跑步了。", "2024-05-01"),
]
STUDIES = [
    ("Ich habe mein Studium in Tübingen angefangen.", "2012-10-01"), ("Ich wohne in einer WG in der Altstadt.", "2012-10-15"),
    ("Seit heute arbeite ich bei Kessler in Ulm.", "2016-05-01"),
    ("Ich habe eine kleine Wohnung am Donauufer bezogen.", "2016-05-20"),
    ("Wir sind in ein Reihenhaus nach Blaubeuren gezogen.", "2020-07-01"),
]  # fmt: skip
COACHES = [
    ("Il mio allenatore è Sandro.", "2021-01-10"),
    ("Adesso mi allena Giulia.", "2022-02-15"),
    ("Il mio nuovo allenatore è Pietro.", "2023-03-01"),
]
PHONES = [
    ("My phone is a Nokia with buttons.", "2018-01-10"),
    ("Unwrapped a Pixel, that's my phone from now on.", "2019-12-25"),
    ("Dropped the Pixel in the lake; using a Fairphone.", "2022-05-06"),
    ("My phone's an iPhone now, work insisted.", "2024-09-15"),
]  # fmt: skip
TOWNS = [
    ("Je suis né en 1982.", "2020-05-05"),
    ("De 2000 à 2005 j'ai vécu à Lille.", "2020-05-05"),
    ("Depuis 2014 je vis à Annecy.", "2020-05-06"),
]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("past"), timezone="UTC") as memory:
        yield memory


@pytest.mark.parametrize(
    ("told", "question", "asked_at", "answer"),
    [
        (SPORTS, "去年夏天我做什么运动?", "2024-09-01", 1),
        (STUDIES, "Wo habe ich als Student gewohnt?", "2024-01-10", 1),
        (STUDIES, "Wo wohnte ich, als ich bei Kessler war?", "2024-01-10", 3),
        (COACHES, "Chi era il mio allenatore l'estate scorsa?", "2024-01-01", 2),
        (PHONES, "What phone did I use during the 2020 lockdown?", "2025-02-02", 1),
        (PHONES, "What phone did I have two phones ago?", "2025-02-02", 1),
        (TOWNS, "Où vivais-je à vingt ans ?", "2023-01-10", 1),
    ],
)
def test_what_was_so_then_is_first(memory, told, question, asked_at, answer):
    space = memory.space(f"s{crc32(question.encode())}")
    for text, day in told:
        space.add(text, at=day)
    assert space.search(question, 4, asked_at=asked_at)[0].cube.text == told[answer][0]


PAGES = [
    f"The {craft} of {town} were known for their {work}. They lived by water, paid {coin} a year and left when the {end} came"
    for craft, work, end in (
        ("weavers", "blue cloth", "flood"), ("coopers", "oak barrels", "war"), ("printers", "almanacs", "railway"),
        ("tanners", "saddles", "plague"), ("millers", "rye flour", "drought"),
    )
    for town, coin in (("Arlen", "a groat"), ("Besk", "two pounds"), ("Corve", "a mark"), ("Dunmar", "six ducats"))
]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("Which craftsmen made almanacs in Dunmar before the railway came?", 11),
        ("What did the tanners of Besk pay when the plague came?", 13),
        ("Who worked oak barrels in Corve during the war?", 6),
    ],
)
def test_pages_that_nobody_told_are_ranked_by_their_words(memory, question, page):
    space = memory.space(f"pages-{page}")
    ids = [cube.id for cube in space.add_many([{"text": text, "at": "2020-01-01"} for text in PAGES])]
    assert space.search(question)[0].cube.id == ids[page]


@pytest.mark.parametrize(
    ("told", "question"),
    [
        ("When I lived in Dundee as a student we had no heating.", "Where did I live as a student?"),
        ("As a kid I lived above my uncle's bakery in Riga.", "Where did I live as a child?"),
        ("In my twenties I drove a Lada.", "What car did I drive in my twenties?"),
    ],
)
def test_what_tells_of_a_part_of_life_itself_is_first(memory, told, question):
    space = memory.space(f"life-{len(told)}")
    space.add("I was born in 1980.", at="2024-01-05")
    space.add("I live in Stirling and drive a Kia now.", at="2024-03-09")
    there = space.add(told, at="2024-04-01")
    assert space.search(question)[0].cube.id == there.id


def test_a_text_is_read_once_for_a_question_in_a_space_of_another_embedder(tmp_path, monkeypatch):
    embedded = []

    def embed(self, texts):
        embedded.extend(texts)
        return MINILM_EMBED(self, texts)

    with Mnemos(tmp_path, timezone="UTC", embedder="hashing") as memory:
        space = memory.space("ana")
        for text, day in PHONES:
            space.add(text, at=day)
        monkeypatch.setattr(MiniLM, "embed", embed)
        hits = space.search("What phone did I use during the 2020 lockdown?", 4, asked_at="2025-02-02")
    assert hits[0].cube.text == PHONES[1][0]
    assert len(embedded) == len(set(embedded)) >= len(PHONES)
