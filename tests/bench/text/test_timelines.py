"""The team's state machine, and what memories make of its timeline."""

import pytest

from mnemos.bench.progress import SILENT
from mnemos.bench.text import timeline, timelines
from mnemos.bench.text.timelines import KINDS

EVENTS = timeline.timeline(8, 4, 0)


def test_questions_ask_for_what_the_tracker_said_last():
    for chain in timeline.chains(EVENTS):
        for asked in chain:
            told = [e for e in EVENTS if (e.ticket, e.field) == (asked.ticket, asked.field)]
            if asked.moment is not None:
                told = [e for e in told if e.at <= asked.moment]
            assert told[-1].value == asked.value
            assert told[-1].id == asked.evidence


def test_every_kind_of_question_and_every_source_is_there():
    assert {asked.kind for chain in timeline.chains(EVENTS) for asked in chain} == set(KINDS)
    assert {e.source for e in EVENTS} == {"tracker", "chat", "commits"}
    assert sorted(timeline.timeline(8, 4, 0), key=lambda e: e.at) == EVENTS
    made = timeline.task(tickets=8, noise=4)
    ids = {m["id"] for m in made.haystacks[0].messages}
    assert all(set(q.gold["event"]) <= ids for q in made.haystacks[0].questions)


@pytest.fixture(scope="module")
def arms():
    chosen = ("nothing", "append, words", "state", "oracle")
    return timelines.run(timelines.Options(tickets=8, noise=4, seeds=1, embedder="none", arms=chosen), SILENT)["arms"]


def test_the_oracle_knows_all_and_no_memory_nothing(arms):
    assert set(arms["oracle"]["correct"].values()) == {1.0}
    assert set(arms["nothing"]["correct"].values()) == {0.0}


def test_state_answers_conflicts_and_past_states_and_reads_less_and_less_twice(arms):
    state, append = arms["state"], arms["append, words"]
    for kind in ("superseded", "conflict", "past"):
        assert state["correct"][kind] >= max(append["correct"][kind], 0.95)
    assert state["correct"]["conflict"] > append["correct"]["conflict"]
    assert state["redundancy"] < append["redundancy"] / 2
    assert state["passages"] < append["passages"] / 2
