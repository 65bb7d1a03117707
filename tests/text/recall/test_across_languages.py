"""A question in another language than the texts: an embedder that knows both decides, not words that both happen to have.

One that hardly knows the language of both decides nothing: then the words do.
"""

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.text.recall.signals import VECTOR_SIGNALS

TEXTS = [
    "The logo of the broadcaster was called the dot in the campaign of that year.",
    "The kitchen tap was repaired by a plumber from Leith.",
    "Rain is expected over the northern hills until the evening.",
    "The orchestra plays a symphony by a composer from Prague.",
    "She planted tomatoes behind the garage in spring.",
    "The museum lends the painting to a gallery in Oslo.",
    "A ferry takes the workers over the river in the morning.",
    "The committee met in room nine and voted on the budget.",
    "His uncle keeps bees and sells the honey at the market.",
    "The train to the coast leaves from the last platform.",
    "Art, gift and rat: the art of the region is shown by the mill.",  # three words that are others in German
    "The river froze in the winter in which the bridge was built.",
]


class Meaning:
    """An embedder of two languages: a text is its place in TEXTS, a question is near the text that answers it."""

    name, revision, dimension = "meaning", "1", len(TEXTS)
    languages = frozenset({"en", "de"})

    def __init__(self, answer):
        self.answer = answer

    def embed(self, texts, *, progress=None):
        rows = np.full((len(texts), self.dimension), 0.2)
        for row, text in zip(rows, texts, strict=True):
            row[TEXTS.index(text) if text in TEXTS else self.answer] += 0.3
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Welche Art von Gewässer fror im kalten Halbjahr zu, als man die Querung errichtete?", 11),
        ("Welcher Verwandte hält Insekten und verkauft ihren Ertrag, aber kein Gift?", 8),
        ("Wer gab den Rat, Gemüse hinter dem Wagenschuppen zu setzen?", 4),
    ],
)
def test_the_first_hit_is_that_of_the_vectors(tmp_path, question, answer):
    with Mnemos(tmp_path, embedder=Meaning(answer), timezone="UTC") as memory:
        space = memory.space("english")
        ids = [cube.id for cube in space.add_many([{"text": text} for text in TEXTS])]
        hits = space.search(question, 5)
        assert hits[0].cube.id == ids[answer]
        assert not {"words_rank", "bm25", "coverage"} & hits[0].why.keys()
        assert sum(hits[0].why.values()) == pytest.approx(hits[0].score)


def test_words_still_count_in_the_language_of_the_texts(tmp_path):
    with Mnemos(tmp_path, embedder=Meaning(0), timezone="UTC") as memory:
        space = memory.space("english")
        ids = [cube.id for cube in space.add_many([{"text": text} for text in TEXTS])]
        hits = space.search("Who keeps bees and sells honey?", 5)
        assert ids[8] in [hit.cube.id for hit in hits[:2]]
        assert any({"bm25", "words", "coverage"} & hit.why.keys() for hit in hits[:2])


def test_sessions_are_ranked_by_it_too(tmp_path):
    with Mnemos(tmp_path, embedder=Meaning(11), timezone="UTC") as memory:
        space = memory.space("english")
        space.add_many([{"text": text, "session": f"s{i}"} for i, text in enumerate(TEXTS)])
        question = "Welche Art von Gewässer fror im kalten Halbjahr zu, als man die Querung errichtete?"
        hits = space.search_sessions(question, 3)
        assert hits[0].session == "s11"
        assert not [name for hit in hits for name in hit.why if "bm25" in name]


CHINESE = [
    "厨房的水龙头是一位水管工修好的。",
    "她春天在车库后面种了西红柿。",
    "博物馆把这幅画借给了奥斯陆的画廊。",
    "委员会在九号房间开会并通过了预算。",
    "他的叔叔养蜜蜂,在市场上卖蜂蜜。",
    "河流在建桥的那个冬天结冰了。",
]


class Misled:
    """An embedder of English: what it does not know is like the first text."""

    name, revision, dimension = "misled", "1", len(CHINESE)
    languages = frozenset({"en"})

    def embed(self, texts, *, progress=None):
        places = [CHINESE.index(text) if text in CHINESE else 0 for text in texts]
        rows = np.eye(self.dimension, dtype=np.float32)[places] + 0.2
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.filterwarnings("ignore::mnemos.errors.UnknownLanguage")
def test_words_decide_in_a_language_that_the_embedder_hardly_knows(tmp_path):
    with Mnemos(tmp_path, embedder=Misled(), timezone="UTC") as memory:
        space = memory.space("chinese")
        ids = [cube.id for cube in space.add_many([{"text": text} for text in CHINESE])]
        hits = space.search("谁卖蜂蜜?", 6)
        assert hits[0].cube.id == ids[4]
        assert sum(hits[0].why.values()) == pytest.approx(hits[0].score)
        assert not [name for hit in hits for name in hit.why if name in VECTOR_SIGNALS - {"cosine"}]
        unmatched = space.search("猫?", 6)  # no word of it is there: nothing is hidden, and cosines order what there is
        assert [len(unmatched), unmatched[0].cube.id] == [6, ids[0]]
