"""mem0's interface over spaces: shapes, scopes, filters, and separation of users."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.adapters.mem0 import Memory
from mnemos.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def memory(tmp_path):
    m = Memory(Mnemos(tmp_path, embedder="hashing", clock=Clock()))
    yield m
    m.close()


def texts(found):
    return [row["memory"] for row in found["results"]]


def test_a_conversation_is_added_found_and_shaped_as_mem0_does(memory):
    talk = [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "I love hiking in the Alps.", "name": "ana"},
        {"role": "assistant", "content": "Noted: hiking it is."},
        {"role": "assistant", "content": None},
    ]
    added = memory.add(
        talk, user_id="ana", agent_id="coach", run_id="r1", metadata={"topic": "sport", "user_id": "eve"}
    )
    assert [(r["memory"], r["event"], r["role"]) for r in added["results"]] == [
        ("I love hiking in the Alps.", "ADD", "user"), ("Noted: hiking it is.", "ADD", "assistant"),
    ]  # fmt: skip
    first = memory.search("What does Ana love?", filters={"user_id": "ana"}, top_k=1)["results"][0]
    assert first["id"] == added["results"][0]["id"]
    assert first["memory"] == "I love hiking in the Alps."
    assert first["score"] > 0
    assert first["metadata"] == {"topic": "sport"}
    assert {k: first[k] for k in ("user_id", "agent_id", "run_id", "actor_id", "role")} == {
        "user_id": "ana", "agent_id": "coach", "run_id": "r1", "actor_id": "ana", "role": "user",
    }  # fmt: skip
    assert datetime.fromisoformat(first["created_at"]) > NOW
    assert first["updated_at"] == first["created_at"]
    explained = memory.search("hiking", user_id="ana", limit=1, explain=True)["results"][0]
    assert sum(explained["score_details"].values()) == pytest.approx(explained["score"])
    got = memory.get(first["id"])
    assert got == {k: v for k, v in first.items() if k != "score"}
    assert memory.get_all(user_id="ana")["results"][0] == got


def test_every_user_has_a_space_and_one_users_delete_all_leaves_the_others(memory, tmp_path):
    for user in ("ana", "ben", "ana2"):
        memory.add(f"The favourite colour of {user} is blue.", user_id=user)
        memory.add(f"{user} works with the coach.", user_id=user, agent_id="coach")
    memory.add("The coach prefers short answers.", agent_id="coach")
    assert len(list(tmp_path.glob("*.mnemos"))) == 4
    assert all("ben" not in text for text in texts(memory.search("colour blue", user_id="ana")))
    before = [memory.get_all(user_id=u) for u in ("ben", "ana2")] + [memory.get_all(agent_id="coach")]
    ids = [row["id"] for row in memory.get_all(user_id="ana")["results"]]
    memory.delete_all(user_id="ana")
    assert memory.get_all(user_id="ana") == {"results": []}
    assert all(memory.get(i) is None and memory.history(i) == [] for i in ids)
    left = [row for row in before[2]["results"] if row.get("user_id") != "ana"]
    after = [memory.get_all(user_id=u) for u in ("ben", "ana2")] + [memory.get_all(agent_id="coach")]
    assert after == [*before[:2], {"results": left}]
    assert len(left) == 3


def test_a_call_without_a_user_looks_through_all_spaces_as_mem0_does(memory):
    memory.add("Ana likes tea.", user_id="ana", agent_id="coach", run_id="r1")
    memory.add("Ben likes tea.", user_id="ben", agent_id="coach", run_id="r2")
    memory.add("The cook is called Tim.", user_id="ben", agent_id="cook")
    memory.add("The coach likes tea.", agent_id="coach")
    memory.add("Run r1 was about tea.", run_id="r1")
    assert set(texts(memory.search("tea", agent_id="coach"))) == {
        "Ana likes tea.", "Ben likes tea.", "The coach likes tea.",
    }  # fmt: skip
    assert set(texts(memory.get_all(filters={"run_id": "r1"}))) == {"Ana likes tea.", "Run r1 was about tea."}
    assert texts(memory.get_all(user_id="ben", agent_id="cook")) == ["The cook is called Tim."]
    memory.delete_all(user_id="ben", agent_id="cook")
    assert texts(memory.get_all(user_id="ben")) == ["Ben likes tea."]
    memory.delete_all(agent_id="coach")
    assert texts(memory.get_all(user_id="ben")) == texts(memory.get_all(user_id="ana")) == []
    assert texts(memory.get_all(run_id="r1")) == ["Run r1 was about tea."]


@pytest.mark.parametrize("call", ["search", "get_all", "delete_all", "add"])
def test_without_an_id_nothing_is_done(memory, call):
    memory.add("Ana likes tea.", user_id="ana")
    arguments = ("tea",) if call in ("search", "add") else ()
    with pytest.raises(ValueError, match="At least one of"):
        getattr(memory, call)(*arguments)
    for bad in ("", "  ", "a b", True, {"in": ["ana"]}):
        with pytest.raises(ValueError, match="without spaces"):
            getattr(memory, call)(*arguments, user_id=bad)
    assert texts(memory.get_all(user_id="ana")) == ["Ana likes tea."]


def test_update_history_and_delete(memory):
    [row] = memory.add("Likes tea.", user_id=7, metadata={"a": 1})["results"]
    assert memory.update(row["id"], "Likes coffee.", metadata={"b": 2, "user_id": "eve"})["message"]
    memory.update(row["id"], data="Likes coffee.")
    got = memory.get(row["id"])
    assert (got["memory"], got["metadata"], got["user_id"]) == ("Likes coffee.", {"a": 1, "b": 2}, "7")
    assert got["updated_at"] > got["created_at"]
    assert [(h["old_memory"], h["new_memory"], h["event"]) for h in memory.history(row["id"])] == [
        (None, "Likes tea.", "ADD"), ("Likes tea.", "Likes coffee.", "UPDATE"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nothing to update"):
        memory.update(row["id"])
    memory.delete(row["id"])
    assert memory.get(row["id"]) is None
    for wrong in (row["id"], "nothing", "x@user:nobody"):
        with pytest.raises(ValueError, match="not found"):
            memory.delete(wrong)


def test_infer_decides_and_its_absence_appends(memory):
    [a] = memory.add("I live in Porto.", user_id="ana", timestamp="2024-01-01")["results"]
    [b] = memory.add("I live in Porto.", user_id="ana", timestamp="2024-01-01")["results"]
    assert (b["id"], b["event"]) == (a["id"], "NONE")
    memory.add("I live in Faro now.", user_id="ana")
    assert texts(memory.get_all(user_id="ana")) == ["I live in Faro now."]
    for _ in range(2):
        memory.add("I live in Porto.", user_id="ben", infer=False)
    assert len(texts(memory.get_all(user_id="ben"))) == 2


def test_filters_and_counts(memory):
    for i in range(30):
        memory.add(
            f"Note {i} about tea.", user_id="ana", metadata={"n": i, "tag": "odd" if i % 2 else "even"}, infer=False
        )
    ask = memory.search
    assert len(texts(ask("tea", user_id="ana"))) == 20
    assert len(texts(ask("tea", user_id="ana", limit=3))) == 3
    assert texts(ask("tea", user_id="ana", top_k=0)) == []
    for filters, count in (
        ({"tag": "odd"}, 15), ({"n": {"gte": 27}}, 3), ({"n": {"in": [1, 2]}}, 2), ({"tag": "*"}, 30),
        ({"AND": [{"n": {"lt": 5}}, {"tag": "odd"}]}, 2), ({"OR": [{"n": 1}, {"n": {"gt": 28}}]}, 2),
        ({"NOT": [{"tag": "odd"}]}, 15), ({"tag": {"icontains": "EV"}}, 15), ({"none": {"gt": 1}}, 0),
    ):  # fmt: skip
        assert len(texts(ask("tea", filters={"user_id": "ana", **filters}, top_k=50))) == count, filters
        assert len(texts(memory.get_all(filters={"user_id": "ana", **filters}, top_k=50))) == count, filters
    with pytest.raises(InvalidInput, match="unknown operator"):
        ask("tea", filters={"user_id": "ana", "n": {"like": 1}})
    with pytest.raises(InvalidInput, match="Give it once"):
        ask("tea", user_id="ben", filters={"user_id": "ana"})
    with pytest.raises(InvalidInput, match="whole number"):
        ask("tea", user_id="ana", top_k=-1)
    assert texts(ask("tea", user_id="ana", threshold=1e9)) == []


def test_expired_memories_are_hidden(memory):
    [row] = memory.add("A voucher.", user_id="ana", expiration_date="2026-02-27")["results"]
    memory.add("Another voucher.", user_id="ana", expiration_date=NOW)
    assert (
        texts(memory.get_all(user_id="ana")) == texts(memory.search("voucher", user_id="ana")) == ["Another voucher."]
    )
    assert len(texts(memory.search("voucher", user_id="ana", show_expired=True))) == 2
    memory.update(row["id"], expiration_date=None)
    assert len(texts(memory.get_all(user_id="ana"))) == 2
    with pytest.raises(InvalidInput, match="YYYY-MM-DD"):
        memory.add("x", user_id="ana", expiration_date="soon")


def test_reset_erases_what_is_its_own_only(memory):
    memory.add("Ana likes tea.", user_id="ana")
    memory.add("The coach.", agent_id="coach")
    memory.memory.space("team").add("Not of mem0.")
    other = Memory(memory.memory, prefix="b:")
    other.add("Ana of b.", user_id="ana")
    memory.reset()
    assert memory.memory.spaces() == ["b:user:ana", "team"]


def test_asking_for_an_unknown_user_makes_no_file(memory, tmp_path):
    assert memory.search("tea", user_id="nobody") == memory.get_all(user_id="nobody") == {"results": []}
    memory.delete_all(user_id="nobody")
    assert list(tmp_path.glob("*.mnemos")) == []
    with pytest.raises(InvalidInput, match="needs an LLM"):
        memory.add("x", user_id="ana", memory_type="procedural_memory")
