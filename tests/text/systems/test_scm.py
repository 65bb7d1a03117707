"""What SCM claims (arXiv 2304.13343): a gate that saves tokens, recency and relevance together, summaries that suffice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.text.null import NoGate
from mnemos.text.recall.context import estimate_tokens
from mnemos.text.recall.latest import Latest
from mnemos.text.recall.recency import RecencyRelevance
from mnemos.text.system import load_system
from tests.text.systems.talk import NEEDS_MEMORY, SMALL_TALK

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
CITIES = ("Porto", "Faro", "Ghent", "Riga", "Turin", "Lyon", "Cork", "Graz")


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def fill(space):
    for i, text in enumerate(
        ("The kettle was repaired by Ilse.", "The garden is full of leeks.", "Bo is allergic to peanuts.",
         "The bakery opens at six.", "The dentist moved to Mill Street.")
    ):  # fmt: skip
        space.add(text, speaker="Ana", id=f"c{i}", session="s")
    for i in range(30):
        space.add(f"On walk {i} there were {i % 5} herons by the river.", speaker="Bo", session=f"w{i}")
    return space


def test_the_gate_closes_for_small_talk_and_stays_open_for_what_needs_memory(memory):
    space = fill(memory.space("scm", system="scm"))
    gate = space.text.system.gate
    assert [text for text in NEEDS_MEMORY if not gate.needs(space.text, text)] == []
    closed = [text for text in SMALL_TALK if not gate.needs(space.text, text)]
    assert len(closed) >= 0.8 * len(SMALL_TALK)


def test_the_gate_saves_tokens_and_loses_no_evidence(memory):
    space = fill(memory.space("scm", system="scm"))
    system = space.text.system
    spent, cited = {}, {}
    for name, gate in (("gate", system.gate), ("none", NoGate())):
        space.text.use(replace(system, gate=gate, select=()))
        spent[name] = sum(estimate_tokens(space.context(t, min_score=0.0)) for t in SMALL_TALK)
        cited[name] = sum(
            f"[{gold}]" in space.context(question, min_score=0.0)
            for question, gold in (
                ("Who repaired the kettle?", "c0"), ("What grows in the garden?", "c1"), ("Is Bo still allergic?", "c2"),
                ("When does the bakery open?", "c3"), ("Where is my dentist?", "c4"),
            )
        )  # fmt: skip
    assert spent["gate"] < 0.25 * spent["none"]
    assert cited["gate"] == cited["none"] == 5


def test_recency_and_relevance_together_beat_either_alone(memory):
    """Plans change and are told in other words; what is asked for may also be long ago, and told once."""
    right = {}
    retriever = RecencyRelevance()
    for name, each in (
        ("both", retriever),
        ("relevance", replace(retriever, weight=0.0)),
        ("recency", replace(retriever, weight=100.0)),
    ):
        space = memory.space(name, system=replace(load_system("scm"), retrieve=each))
        for i, city in enumerate(CITIES):
            space.add(f"The depot for order {i}00 stands in {city}.", id=f"once{i}")
        for i, city in enumerate(CITIES):
            space.add(f"Meeting {i} takes place in {city}.", id=f"old{i}")
        for i in range(100):
            space.add(f"A heron stood by the river on walk {i}.")
        for i, city in enumerate(reversed(CITIES)):
            space.add(f"So meeting {i} takes place in {city}.", id=f"new{i}")
        questions = [(f"Where does meeting {i} take place?", f"new{i}") for i in range(8)]
        questions += [(f"Where is the depot for order {i}00?", f"once{i}") for i in range(8)]
        right[name] = sum(space.search(q, k=1)[0].cube.id == gold for q, gold in questions)
    assert right["both"] > right["relevance"] + 2
    assert right["both"] > right["recency"] + 2


def test_a_prompt_has_the_latest_turns_in_any_case_and_none_that_a_filter_hides(memory, clock):
    space = fill(memory.space("scm", system="scm"))
    for i in range(3):
        clock.now += timedelta(minutes=1)
        space.add(f"Turn {i} of today.", id=f"t{i}", session="today", speaker="Ana")
    assert all(f"[t{i}]" in space.context("Thanks!") for i in range(3))
    hidden = space.context("Who repaired the kettle?", session="s", min_score=0.0)
    assert "[c0]" in hidden
    assert "today" not in hidden
    assert [h.cube.id for _, h in Latest(turns=2).select(space.text, "", [], space_filter())] == ["t2", "t1"]


def space_filter():
    from mnemos.store.values import Filter

    return Filter()


def test_a_long_turn_is_shown_by_its_summary_where_that_has_what_is_asked(memory):
    space = memory.space("scm", system="scm")
    filler = " ".join(f"Herons of flock {i} crossed river bend {i} under grey skies." for i in range(12))
    for i, city in enumerate(CITIES[:6]):
        space.add(
            f"{filler} The parcel {city} parcel {city} went to depot {city}. {filler}", id=f"c{i}", session=f"s{i}"
        )
    question, cap = "Which depot did the parcels of Porto, Faro, Ghent, Riga, Turin and Lyon go to?", 900
    shown = {}
    for name, system in (("scm", space.text.system), ("full", replace(space.text.system, select=()))):
        space.text.use(system)
        block = space.context(question, tokens=cap, min_score=0.0)
        assert estimate_tokens(block) <= cap
        shown[name] = sum(f"[c{i}]" in block for i in range(6))
    assert shown["scm"] > shown["full"]
    assert len(space.get("c0").text) > 1_000  # the text is kept as it is
