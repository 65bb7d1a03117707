"""Records of an archive, over Python and REST: the limits of `add`, and its redaction."""

import json

import pytest

from mnemos import Mnemos
from mnemos.errors import InvalidInput, MnemosError
from mnemos.text.encode.messages import MAX_BYTES
from tests.nested import replaced

CARD = "4111 1111 1111 1111"
KEY = "sk-ant-" + "a1B2" * 10


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory


@pytest.fixture
def row(memory):
    space = memory.space("from")
    space.secrets = "keep"
    space.add(f"I live in Porto. My card is {CARD}.", id="x", session="s", metadata={"key": KEY})
    space.update("x", content=f"I live in Faro. My card is {CARD}.")
    space.add("I like tea.", id="y")
    space.store.links.put([], 0)
    return next(r for r in space.dump() if r["cube"]["id"] == "x")


def test_secrets_are_redacted_in_every_version_and_facts_are_read_again(memory, row):
    space = memory.space("to")
    assert space.restore([row]) == (1, 0)
    assert CARD not in json.dumps(list(space.dump()))
    assert KEY not in json.dumps(list(space.dump()))
    assert [c.text for c in space.history("x")] == [
        "I live in Porto. My card is [redacted: payment card].",
        "I live in Faro. My card is [redacted: payment card].",
    ]
    assert space.restore([row]) == (0, 1), "the same record is known, though its secrets were taken out"
    space.consolidate()
    assert "Faro" in [f.value for f in space.facts()]


def test_a_space_that_refuses_secrets_refuses_records_with_them(memory, row):
    space = memory.space("to")
    space.secrets = "refuse"
    with pytest.raises(InvalidInput, match="secret"):
        space.restore([row])
    assert space.count() == 0


def test_a_space_that_keeps_secrets_keeps_them(memory, row):
    space = memory.space("to")
    space.secrets = "keep"
    space.restore([row])
    assert space.get("x").metadata == {"key": KEY}


BAD = [
    (("cube", "id"), ""), (("cube", "id"), "  "), (("cube", "id"), "x" * 1_001), (("cube", "text"), " "),
    (("cube", "text"), "x" * (MAX_BYTES + 1)), (("cube", "session"), "s" * 1_001), (("cube", "session"), ""),
    (("cube", "speaker"), "s" * 1_001), (("cube", "role"), ""), (("cube", "kind"), ""), (("cube", "source"), 7),
    (("cube", "strength"), 1e9), (("cube", "strength"), -1.0), (("cube", "strength"), 0.0), (("cube", "strength"), float("inf")),
    (("cube", "strength"), float("nan")), (("cube", "strength"), "1"), (("cube", "recalls"), -1), (("cube", "recalls"), 10**12),
    (("cube", "recalled_at"), "9000-01-01T00:00:00+00:00"), (("cube", "layer"), 9), (("cube", "layer"), -1),
    (("cube", "form"), "activation"), (("cube", "form"), "other"), (("cube", "state"), "other"), (("cube", "at"), "now"),
    (("cube", "metadata"), {"k": float("nan")}), (("cube", "metadata"), {"k": "x" * 5_000_000}), (("cube", "metadata"), None),
    (("cube", "parents"), [""]), (("cube", "parents"), ["p" * 2_000]), (("cube", "parents"), "p"), (("cube", "pinned"), 1),
    (("cube", "version"), 1), (("versions",), []), (("versions",), None), (("versions", 0, "text"), "x" * (MAX_BYTES + 1)),
    (("versions", 0, "strength"), 1e300), (("facts",), [{"subject": "user"}]), (("facts",), 5), (("links",), 5),
    (("links",), [{"b": "y", "kind": "supersedes", "weight": float("nan")}]),
    (("links",), [{"b": "y", "kind": "made up", "weight": 1}]),
    (("links",), [{"b": "", "kind": "similar", "weight": 1}]), (("links",), [{"b": "y", "kind": "similar", "weight": 1e300}]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BAD)
def test_what_add_would_refuse_or_no_law_makes_is_refused(memory, row, path, value):
    space = memory.space("to")
    with pytest.raises(InvalidInput, match="record 0|metadata"):
        space.restore([replaced(row, path, value)])
    assert space.count() == 0


@pytest.mark.parametrize("forged", [{"begin": -5}, {"stop": 10_000}, {"value": "v" * 50_000}, {"subject": None}])
def test_a_fact_that_the_text_cannot_state_is_refused(memory, row, forged):
    assert row["facts"]
    with pytest.raises(InvalidInput, match="record 0"):
        memory.space("to").restore([replaced(row, ("facts", 0), row["facts"][0] | forged)])


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {}, {"cube": None, "versions": []}, {"cube": [], "versions": {}}, {"versions": [{}]}]
)
def test_odd_records_are_refused(memory, odd):
    with pytest.raises(MnemosError):
        memory.space("to").restore([odd])


def test_a_cube_that_comes_twice_is_refused(memory, row):
    with pytest.raises(InvalidInput, match="record 1.*came before"):
        memory.space("to").restore([row, row])
    assert memory.space("to").count() == 0


def test_a_life_that_a_law_makes_is_kept(memory, row):
    row = replaced(row, ("cube", "recalls"), 40)
    row = replaced(row, ("cube", "strength"), 41.0)
    row = replaced(row, ("cube", "pinned"), True)
    memory.space("to").restore([row])
    cube = memory.space("to").get("x")
    assert (cube.recalls, cube.strength, cube.pinned) == (40, 41.0, True)
