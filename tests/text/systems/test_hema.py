"""What HEMA claims (arXiv 2504.16754): both stores beat either, pruning by age and use, a summary of summaries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mnemos import Mnemos, Policy
from mnemos.text.recall.latest import Latest
from mnemos.text.recall.overview import Overview

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
NAMES = ("Rita", "Milo", "Greta", "Hugo", "Ivy", "Jonas", "Karla", "Leon", "Nora", "Oskar", "Pia", "Quinn")


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory


def dialogue(space, clock, sessions=24):
    """Tell a long dialogue: a fact a session, the rest talk; return (question, id) of each fact."""
    asked = []
    for s in range(sessions):
        clock.now = T0 + timedelta(days=s)
        turns = [f"In round {s} we spoke of herons, bridge {s % 7} and weather {i}." for i in range(11)]
        turns.insert(s % 11, f"{NAMES[s % 12]} keeps the key number {s} in drawer {s + 40}.")
        space.add_many(
            [{"content": t, "id": f"s{s}t{i}", "session": f"s{s}", "speaker": "Ana"} for i, t in enumerate(turns)]
        )
        asked.append((f"Where does {NAMES[s % 12]} keep key number {s}?", f"s{s}t{s % 11}", f"drawer {s + 40}"))
    return asked


def test_summary_and_vectors_together_recall_more_than_a_summary_or_a_window(memory, clock):
    space = memory.space("hema", system="hema")
    asked = dialogue(space, clock)
    space.consolidate()
    system = space.text.system
    recalled = {}
    for name, each, k in (
        ("hema", system, 5),
        ("summary", replace(system, select=(Overview(),)), 1),
        ("window", replace(system, select=(Latest(turns=12),)), 1),
    ):
        space.text.use(each)
        hide = {"session": None} if name == "hema" else {}
        recalled[name] = 0
        for question, _, answer in asked:
            block = space.context(question if name == "hema" else "herons", tokens=500, k=k, min_score=0.0, **hide)
            recalled[name] += answer in block
    assert recalled["hema"] >= 0.9 * len(asked)
    assert recalled["hema"] > 2 * max(recalled["summary"], recalled["window"])


def test_the_overview_is_in_every_prompt_unless_a_filter_hides_something(memory, clock):
    space = memory.space("hema", system="hema")
    dialogue(space, clock, 4)
    space.consolidate()
    [whole] = [c for c in space.cubes(kind="summary").items if c.metadata["level"] == "all"]
    assert f"[{whole.id}]" in space.context("herons", min_score=0.0)
    assert f"[{whole.id}]" not in space.context("herons", min_score=0.0, session="s1")


def test_pruning_half_by_age_and_use_keeps_what_is_asked_for_and_chance_does_not(tmp_path, clock):
    kept = {}
    for law in ("hema", "random"):
        clock.now = T0
        with Mnemos(tmp_path / law, embedder="hashing", clock=clock) as memory:
            space = memory.space("ana", system="hema")
            asked = dialogue(space, clock)
            clock.now = T0 + timedelta(days=26)
            for question, _, _ in asked:  # what was asked for once is asked for again
                space.search(question, k=1)
            space.flush()
            before = space.count()
            space.policy = Policy(law=law, cubes=before // 2)
            space.consolidate()
            assert space.count() == before // 2  # half of the vectors are left to search
            kept[law] = np.mean([space.search(q, k=5)[0].cube.id == gold for q, gold, _ in asked])
    assert kept["hema"] >= 0.98
    assert kept["random"] < 0.8


def test_a_summary_of_summaries_keeps_early_facts_better_than_a_running_one(memory, clock):
    """A summary that is summed up again with each session loses what came first; that of session summaries does not."""
    space = memory.space("ana", system="hema")
    rules, running = space.text.rules, ""
    for s, name in enumerate(NAMES):
        turns = [f"{name} spoke of plan {name} {i} and of budget {s}{i}." for i in range(6)]
        clock.now = T0 + timedelta(days=s)
        space.add_many([{"content": t, "session": f"s{s}", "speaker": "Ana"} for t in turns])
        running = rules.summarise([running, *turns], 9)
    space.consolidate()
    [whole] = [c for c in space.cubes(kind="summary").items if c.metadata["level"] == "all"]
    early = {"two levels": whole.text, "running": running}
    kept = {way: sum(name in text for name in NAMES[:6]) for way, text in early.items()}
    assert kept["two levels"] > kept["running"]
