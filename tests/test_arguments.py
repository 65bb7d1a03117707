"""What is passed to the verbs with the wrong type or an unknown name is refused in words, and nothing happens."""

import pytest

import mnemos
from mnemos import Mnemos, Policy
from mnemos.arguments import check_count, check_texts, closest
from mnemos.errors import InvalidInput, MnemosError, NotFound

WRONG = (3, 1.5, True, object(), ["x"], {"a": 1}, b"x", ..., "x")
# of each argument: how it is passed, and which of the wrong values are right for it
VERBS = {
    "add content": (lambda s, v: s.add(v), (["x"], "x")),
    "add speaker": (lambda s, v: s.add("x", speaker=v), (3, "x")),
    "add at": (lambda s, v: s.add("x", at=v), (3, 1.5)),
    "add metadata": (lambda s, v: s.add("x", metadata=v), ({"a": 1},)),
    "add_many": (lambda s, v: s.add_many(v), ()),
    "search query": (lambda s, v: s.search(v), ("x",)),
    "search k": (lambda s, v: s.search("x", v), (3,)),
    "search asked_at": (lambda s, v: s.search("x", asked_at=v), (3, 1.5)),
    "search method": (lambda s, v: s.search("x", method=v), ()),
    "search_sessions k": (lambda s, v: s.search_sessions("x", v), (3,)),
    "context tokens": (lambda s, v: s.context("x", tokens=v), (3,)),
    "context count": (lambda s, v: s.context("x", count=v), ()),
    "quarantined": (lambda s, v: s.quarantined(v), ("x",)),
    "get": (lambda s, v: s.get(v), ()),
    "history": (lambda s, v: s.history(v), ()),
    "cubes limit": (lambda s, v: s.cubes(limit=v), (3,)),
    "cubes cursor": (lambda s, v: s.cubes(cursor=v), (3,)),
    "update": (lambda s, v: s.update(v, content="y"), ()),
    "update content": (lambda s, v: s.update("c", content=v), (["x"], "x")),
    "update valid_from": (lambda s, v: s.update("c", valid_from=v), (3, 1.5)),
    "rollback": (lambda s, v: s.rollback("c", v), (3,)),
    "delete": (lambda s, v: s.delete(v), ()),
    "forget": (lambda s, v: s.forget(v), ()),
    "forget query": (lambda s, v: s.forget_preview(query=v), ("x",)),
    "forget everything": (lambda s, v: s.forget_preview(everything=v), (True,)),
    "verify": (lambda s, v: s.verify(v), ()),
    "facts subject": (lambda s, v: s.facts(v), ("x",)),
    "facts as_of": (lambda s, v: s.facts(as_of=v), (3, 1.5)),
    "decisions": (lambda s, v: s.decisions(v), ("x",)),
    "decisions limit": (lambda s, v: s.decisions(limit=v), (3,)),
    "links": (lambda s, v: s.links(v), ("x",)),
    "links kind": (lambda s, v: s.links(kind=v), ("x",)),
    "consolidate limit": (lambda s, v: s.consolidate(limit=v), (3,)),
    "apply_policy preview": (lambda s, v: s.apply_policy(preview=v), (True,)),
    "pin": (lambda s, v: s.pin(v), ()),
    "unpin": (lambda s, v: s.unpin(v), ()),
    "archive": (lambda s, v: s.archive(v), (["x"],)),
    "unarchive": (lambda s, v: s.unarchive(v), (["x"],)),
    "audit after": (lambda s, v: s.audit(after=v), (3,)),
    "verify_audit": (lambda s, v: s.verify_audit(v), ("x",)),
    "activate": (lambda s, v: s.activate(v, None, None), ()),
    "restore": (lambda s, v: s.restore(v), ()),
    "timeline by": (lambda s, v: s.inspect.timeline(by=v), ()),
    "graph around": (lambda s, v: s.inspect.graph(around=v), ()),
    "graph depth": (lambda s, v: s.inspect.graph(depth=v), (3,)),
    "curve": (lambda s, v: s.inspect.curve(v), ()),
    "curve days": (lambda s, v: s.inspect.curve("c", days=v), (3, 1.5)),
    "due_soon limit": (lambda s, v: s.inspect.due_soon(limit=v), (3,)),
    "runs limit": (lambda s, v: s.inspect.runs(limit=v), (3,)),
    "policy": (lambda s, v: setattr(s, "policy", v), ()),
    "trust": (lambda s, v: setattr(s, "trust", v), ({"a": 1},)),
    "secrets": (lambda s, v: setattr(s, "secrets", v), ()),
    "Policy law": (lambda s, v: Policy(law=v), ()),
    "Policy constants": (lambda s, v: Policy(constants=v), ()),
    "Policy cubes": (lambda s, v: Policy(cubes=v), (3, 1.5)),
}


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        memory.space("ana").add("hello", id="c")
        yield memory


@pytest.mark.parametrize("name", VERBS)
def test_a_wrong_type_is_an_invalid_input_that_names_it(memory, name):
    call, fine = VERBS[name]
    space = memory.space("ana")
    for value in (v for v in WRONG if not any(v is f or (type(v) is type(f) and v == f) for f in fine)):
        with pytest.raises((InvalidInput, NotFound)) as error:  # NotFound: a string that is no id
            call(space, value)
        assert isinstance(error.value, InvalidInput) or value in ("x", ["x"])
        assert str(error.value).endswith((".", "?")), "a sentence"
    assert [c.text for c in space.cubes()] == ["hello"]


@pytest.mark.parametrize("value", [3, object(), ["x"], True])
def test_names_of_spaces_are_strings(memory, value):
    for call in (memory.space, memory.existing, memory.remove, memory.__contains__):
        with pytest.raises(InvalidInput):
            call(value)
    with pytest.raises(InvalidInput, match=r"pass \['ana'\]"):
        memory.search("hello", spaces="ana")


def test_a_policy_is_suggested(memory):
    with pytest.raises(InvalidInput, match=r"policy is 3, expected a Policy, such as mnemos.Policy\(cubes=10_000\)"):
        memory.space("ana").policy = 3


def test_sentences_say_what_to_do():
    with pytest.raises(InvalidInput, match=r"ids is the string 'abc', expected a list of strings: pass \['abc'\]"):
        check_texts("abc", "ids")
    with pytest.raises(InvalidInput, match="k is '5', expected a whole number of 1 or more"):
        check_count("5", "k")
    with pytest.raises(InvalidInput, match="depth is 4, expected a whole number from 1 to 3"):
        check_count(4, "depth", most=3)
    assert closest("speeker", ["session", "speaker"]) == "did you mean speaker?"
    assert closest("xyz", ["session", "speaker"]) == "use session, speaker."


def test_mnemos_exports_what_a_user_needs():
    assert set(mnemos.__all__) == {
        "Mnemos", "Space", "MemCube", "Hit", "Hits", "SessionHit", "Page", "Filters", "Policy", "Fact", "KnownFact",
        "Link", "Decision", "Receipt", "MnemosError", "InvalidInput", "NotFound", "Conflict", "StoreError", "__version__",
    }  # fmt: skip
    assert all(getattr(mnemos, name) is not None for name in mnemos.__all__)
    assert issubclass(mnemos.InvalidInput, MnemosError)
    with pytest.raises(AttributeError, match="has no attribute 'Receit'"):
        mnemos.Receit  # noqa: B018
