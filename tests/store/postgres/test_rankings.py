"""The same memories have the same rankings on both stores, score by score: they are searched by the same views."""

from __future__ import annotations

from mnemos import Mnemos
from mnemos.bench.text.synthetic import Corpus
from tests.conftest import Clock
from tests.contracts.stores import T0

MESSAGES = 120
QUESTIONS = (
    "Where does Ana live now?",
    "What did we say about the garden?",
    "Lisbon",
    "when was the meeting",
    "coffee tea",
)


def told(memory):
    """Tell a space the same things as any other, and let it forget, correct and consolidate."""
    space = memory.space("ana")
    for message in Corpus(0).messages(MESSAGES):
        space.add(**message)
    space.add("I live in Porto.", id="porto", speaker="Ana", session="x")
    space.add("I moved to Lisbon.", id="lisbon", speaker="Ana", session="x")
    space.update("m3", content="coffee and tea in the garden")
    space.forget(ids=["m5"])
    space.archive(["m7"])
    return space


def test_rankings_agree_exactly(postgres_url, tmp_path):
    found = []
    for where in (tmp_path / "folder", postgres_url):
        with Mnemos(where, embedder="hashing:64", clock=Clock(T0), timezone="UTC") as memory:
            space = told(memory)
            answers = []
            for question in (*QUESTIONS, *(c.text for c in space.cubes(limit=10).items)):
                for options in ({}, {"method": "words"}, {"method": "vectors"}, {"speaker": "Ana"}, {"as_of": T0}):
                    hits = space.search(question, 10, asked_at=T0, **options)
                    answers.append([(h.cube.id, h.cube.text, h.score, h.relevance, dict(h.why)) for h in hits])
            answers.append([(f.subject, f.attribute, f.value, f.cube, f.valid_to) for f in space.facts()])
            answers.append(space.context(QUESTIONS[0], tokens=200).splitlines()[1:-1])  # its fence is drawn by lot
            found.append(answers)
    assert found[0] == found[1]
    assert sum(map(len, found[0])) > 200
