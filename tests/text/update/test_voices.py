"""Nobody speaks for the user: others' words end nothing that somebody said of himself, and never come before it."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos

T0 = datetime(2024, 1, 1, 12, tzinfo=UTC)
OTHERS = [
    {"content": "I live in Oslo now.", "role": "assistant", "speaker": "assistant"},
    {"content": "I live in Oslo now.", "role": "assistant", "speaker": "Ana"},
    {"content": "I live in Oslo now.", "role": "tool"},
    {"content": "I live in Oslo now.", "role": "function", "speaker": "Ana"},
    {"content": "I live in Oslo now.", "role": "system"},
    {"content": "I live in Oslo now.", "role": "user", "speaker": "Ana", "source": "https://a.example/about"},
    {"content": "I live in Oslo now.", "role": "user", "speaker": "Ana", "source": "mail:bo@b.example"},
    {"content": "I live in Oslo now.", "role": "user", "speaker": "Ana", "source": "imported-notes.md"},
    {"content": "Ana lives in Oslo now.", "role": "user", "speaker": "Bo"},
    {"content": "Ana lives in Oslo now.", "role": "tool", "source": "https://a.example"},
    {"content": "Ana has moved to Oslo.", "role": "assistant"},
    {"content": 'Kyle wrote: "I live in Oslo now."', "role": "user", "speaker": "Ana"},
    {"content": "> I live in Oslo now.\nlook what Kyle wrote", "role": "user", "speaker": "Ana"},
    {"content": "Fwd: Hi all, I live in Oslo now.", "role": "user", "speaker": "Ana"},
    {"content": "From: Kyle\nSubject: news\n\nI live in Oslo now.", "role": "user", "speaker": "Ana"},
    {"content": "Translate into German: I live in Oslo now.", "role": "user", "speaker": "Ana"},
    {"content": "Fix the grammar of my roommate's bio: I live in Oslo now.", "role": "user", "speaker": "Ana"},
    {"content": "In the play I say: 'I live in Oslo now, darling.'", "role": "user", "speaker": "Ana"},
    {"content": "```\nI live in Oslo now.\n```", "role": "user", "speaker": "Ana"},
    {"content": "Write a letter to the bank: I live in Oslo now.", "role": "user", "speaker": "Ana"},
    {"content": "Kyle: I live in Oslo now.\nBo: nice\nKyle: yes", "role": "user", "speaker": "Ana"},
]


@pytest.fixture
def space(tmp_path, clock):
    clock.now += timedelta(days=3_000)
    with Mnemos(tmp_path, embedder="none", clock=clock) as memory:
        yield memory.space("ana")


@pytest.mark.parametrize("own_first", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_the_words_of_others_end_nothing_and_answer_nothing(space, other, own_first):
    own = {"content": "I live in Porto.", "speaker": "Ana", "role": "user"}
    told = [own, other] if own_first else [other, own]
    cubes = [space.add(**message, at=T0 + timedelta(days=i)) for i, message in enumerate(told)]
    mine = cubes[told.index(own)]
    assert space.get(mine.id).state == "active"
    assert [f.valid_to for f in space.facts(include_ended=True) if f.cube == mine.id] == [None]
    assert space.search("Where does Ana live?")[0].cube.id == mine.id


@pytest.mark.parametrize("text", ["I live in Faro.", "I moved to Faro."])
def test_the_user_himself_ends_what_he_said(space, text):
    for i, (role, words) in enumerate((("user", "I live in Porto."), (None, text))):
        space.add(words, speaker="Ana", role=role, at=T0 + timedelta(days=i))
    assert [f.value for f in space.facts("ana", "live in")] == ["Faro"]


def test_his_words_kept_by_another_product_are_his(space):
    space.add("I live in Porto.", speaker="Ana", role="user", source="chatgpt", at=T0)
    space.add("I moved to Faro.", speaker="Ana", role="user", at=T0 + timedelta(days=1))
    assert [f.value for f in space.facts("ana", "live in")] == ["Faro"]


def test_what_the_space_trusts_as_the_user_is_the_users(space):
    space.trust = {"diary/*": 2}
    space.add("I live in Porto.", speaker="Ana", at=T0)
    space.add("I moved to Faro.", speaker="Ana", source="diary/2024.md", at=T0 + timedelta(days=1))
    assert [f.value for f in space.facts("ana", "live in")] == ["Faro"]


def test_a_profile_holds_what_one_said_oneself(space):
    space.add("I live in Porto.", speaker="Ana", at=T0)
    space.add("I'm vegan.", speaker="Ana", at=T0)
    space.add("Ana lives in Oslo now.", speaker="Bo", at=T0 + timedelta(days=1))
    space.add("Ana lives in Rome now. Ana is keto now.", source="https://a.example", at=T0 + timedelta(days=2))
    space.consolidate()
    [profile] = space.cubes(kind="profile").items
    assert profile.text.splitlines() == [
        "What is known about ana:", "live in: Porto (since 2024-01-01)", "diet: vegan (since 2024-01-01)",
    ]  # fmt: skip


def test_a_quoted_name_is_a_value_and_a_note_is_ones_own(space):
    space.add('My favourite film is "Heat".', speaker="Ana", at=T0)
    space.add("Write this down: my gym is Core Lab.", speaker="Ana", at=T0)
    assert {(f.attribute, f.value) for f in space.facts("ana")} == {("favourite film", "Heat"), ("gym", "Core Lab")}


def test_an_edit_by_a_memory_tool_is_not_the_users_word(tmp_path):
    from mnemos.adapters.mem0 import Memory

    with Mnemos(tmp_path, embedder="none") as memory:
        tool = Memory(memory)
        tool.add("I live in Porto.", user_id="ana")
        [other] = tool.add("I like tea.", user_id="ana")["results"]
        tool.update(other["id"], "I moved to Oslo.")
        assert {row["memory"] for row in tool.get_all(user_id="ana")["results"]} == {
            "I live in Porto.",
            "I moved to Oslo.",
        }
        assert tool.search("Where do I live?", user_id="ana")["results"][0]["memory"] == "I live in Porto."


def test_each_of_several_assistants_speaks_for_itself(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("team")
        for n, (agent, town) in enumerate((("ben", "Porto"), ("eva", "Faro"), ("ben", "Braga"))):
            space.add(f"I live in {town}.", role="assistant", speaker=agent, at=T0 + timedelta(days=n))
        assert [(f.subject, f.value) for f in space.facts()] == [("assistant eva", "Faro"), ("assistant ben", "Braga")]
        assert [c.text for c in space.cubes(state="any").items if c.state == "superseded"] == ["I live in Porto."]
