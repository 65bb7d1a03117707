"""`memory-construction`: stores and what they do to texts, the policy in a working context, training, longer streams."""

from datetime import UTC, datetime
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.bench.text.construction import ALL, AtRandom, Earliest, remember, room_of, train
from mnemos.bench.text.construction_streams import Stream
from mnemos.text.compress.base import Item
from mnemos.text.compress.construction import FEATURES, STORES, MemoryConstruction, construct, features
from mnemos.text.compress.window import SlidingWindow
from mnemos.text.recall.context import estimate_tokens

T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)
TEXTS = (
    "The code is 1.",
    "On 3 May Ana met Ben.",
    "Always write prices in euros.",
    "The gull laughed.",
    "The code is 2.",
    "x",
)


def items_of(texts):
    return [Item(str(i), text, estimate_tokens(text)) for i, text in enumerate(texts)]


def test_each_store_does_what_it_is_for():
    items = items_of(TEXTS)
    stores = dict(zip("01234", ("semantic", "episodic", "core", "nothing", "semantic"), strict=True))
    fold = construct(items, stores, room_of(ALL), 100)
    assert fold.keep == ("1", "4", "5")
    assert fold.note == "Always write prices in euros."
    assert construct(items[-1:], {}, room_of(ALL), 100) is None
    later = [Item("n", fold.note, 9, note=True), *(item for item in items if item.id in fold.keep)]
    assert construct(later, {"1": "episodic", "4": "semantic"}, room_of(ALL), 100) is None


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(STORES), min_size=5, max_size=5), st.integers(20, 60))
def test_without_room_the_oldest_facts_and_events_leave_and_the_core_stays(stores, tokens):
    items = items_of(TEXTS)
    chosen = dict(zip("01234", stores, strict=True))
    whole = construct(items, chosen, room_of(ALL), 10)
    fold = construct(items, chosen, room_of(tokens), 10)
    if whole is None:
        assert fold is None or fold.note is None
        return
    assert fold.note == whole.note
    assert list(fold.keep) == list(whole.keep)[len(whole.keep) - len(fold.keep) :]
    size = sum(i.tokens for i in items if i.id in fold.keep) + estimate_tokens(fold.note or "")
    assert size <= tokens or len(fold.keep) == 1


def test_a_text_leaves_once_all_that_it_says_was_said_again():
    items = items_of(("The code is 1. The port is 5.", "The code is 2.", "The port is 6. The gate is 9.", "x"))
    stores = dict.fromkeys("012", "semantic")
    assert construct(items, stores, room_of(ALL), 100).keep == ("1", "2", "3")
    assert construct(items[:2], stores, room_of(ALL), 100) is None


def test_a_tool_replaces_what_tools_said_and_no_word_of_the_user():
    said = [("user", 1), ("tool", 2), ("tool", 3), ("user", 4), ("tool", 5)]
    items = [Item(str(n), f"The code is {n}.", 5, role=role) for role, n in said]
    stores = dict.fromkeys("12345", "semantic")
    assert construct(items, stores, room_of(ALL), 100).keep == ("4", "5")
    assert construct(items[:3], stores, room_of(ALL), 100).keep == ("1", "3")


def test_a_tool_gives_no_standing_orders():
    rule = "Always write prices in euros."
    policy = MemoryConstruction()
    for role, note in (("user", rule), ("tool", None)):
        fold = policy.fold(
            [Item("0", rule, 9, role=role), Item("1", "The gull laughed.", 5), Item("2", "x", 1)], room_of(ALL)
        )
        assert (fold.note, fold.keep) == ((note, ("2",)) if note else (None, ("0", "2")))


def test_features_are_bounded_and_tell_forms_apart():
    rows = features([*TEXTS, "", "word " * 500])
    assert rows.shape == (8, len(FEATURES))
    assert ((rows >= 0) & (rows <= 1)).all()
    named = dict(zip(FEATURES, rows.T, strict=True))
    assert named["names a value"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert named["date"].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert named["standing"].tolist() == [0, 0, 1, 0, 0, 0, 0, 0]


def test_what_is_told_stays_in_the_space_and_a_prompt_has_the_rule_the_last_value_and_the_event(tmp_path, clock):
    with Mnemos(tmp_path / "root", embedder="none", clock=clock) as memory:
        space = memory.space("ana")
        work = space.working("desk", tokens=600, policy="memory-construction")
        work.add("Always write prices in euros.")
        work.add("On 3 May Carla met Ben at the mill.")
        for i in range(12):
            work.add(f"The phone of Ana is {300 + i}.", reconcile=False)
            work.add("Run 17: 17 files read, 44 lines, 3 warnings, cache cold, 88 ms in the parser, nothing to do.")
        prompt = work.prompt("What is next?")
        assert work.state == "Always write prices in euros."
        assert [part in prompt for part in ("in euros", "at the mill", "is 311", "is 310")] == [True, True, True, False]
        assert prompt.count("Run 17") == 1
        assert space.count() == 26
        assert space.working("desk", tokens=600, policy="memory-construction").prompt("What is next?") == prompt


@pytest.mark.parametrize("chunks", [80, 400])
def test_the_shipped_policy_beats_heuristics_of_its_size_on_wordings_that_it_has_not_seen(chunks):
    stream = Stream.draw(77, chunks, report=True)
    memory, size = remember(MemoryConstruction(), stream.texts, ALL)
    assert size < 0.5 * sum(map(estimate_tokens, stream.texts))
    others = [remember(policy, stream.texts, size)[0] for policy in (SlidingWindow(), Earliest(), AtRandom())]
    assert fmean(stream.right(memory)) >= 0.2 + max(fmean(stream.right(other)) for other in others)
    assert all(stream.right("\n".join(stream.texts)))


def test_training_is_the_same_again_and_finds_what_is_of_use():
    policy = train(4, 40, 40)
    assert policy == train(4, 40, 40)
    talk = ["We waited 20 minutes at the gate.", "The radio played one song three times."]
    assert policy.choose(talk) == ["nothing", "nothing"]
    assert "nothing" not in policy.choose(["The phone of Ana is 311.", "On 3 May Carla met Ben at the mill."])
