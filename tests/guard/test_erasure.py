"""Forgotten means gone: from rows, links, versions, RAM and the raw bytes of the file."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.erasure import Receipt, verify
from mnemos.index.folding import fold
from mnemos.transfer import export_space, import_path


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path / "root", embedder="hashing:32") as memory:
        yield memory.space("s")


def raw(space):
    return b"".join(p.read_bytes() for p in space.store.path.parent.iterdir())


def derive(space, text, *parents):
    """Store a cube derived from others, as consolidation will."""
    base = space.get(parents[0])
    cube = replace(base, id=f"derived-{text}", text=text, parents=tuple(parents), kind="summary", version=1)
    space.store.insert(space.text.encode([cube]), space.text.model_key())
    return cube


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_forgotten_leaves_no_byte_and_all_else_stays(tmp_path_factory, data):
    numbers = data.draw(st.lists(st.integers(10**15, 10**16 - 1), min_size=12, max_size=12, unique=True))
    texts = [f"secret number {number} of {i} " + "é" * (i * 7) for i, number in enumerate(numbers)]
    doomed = data.draw(st.sets(st.integers(0, 11), min_size=1, max_size=11))
    with Mnemos(tmp_path_factory.mktemp("erase"), embedder="hashing:32") as memory:
        space = memory.space("s")
        space.secrets = "keep"  # some of the numbers are those of payment cards
        cubes = space.add_many({"content": t, "metadata": {"copy": t}, "session": "x"} for t in texts)
        updated = data.draw(st.sets(st.integers(0, 11)))
        for i in updated:
            space.update(cubes[i].id, content=texts[i].replace("secret", "changed"), metadata={})
        summary = derive(space, f"summary of {texts[0]}", cubes[0].id, cubes[1].id)
        space.search("secret")
        receipt = space.forget([cubes[i].id for i in doomed])
        assert receipt.verified
        gone = {cubes[i].id for i in doomed} | ({summary.id} if doomed & {0, 1} else set())
        assert set(receipt.ids) == gone
        left = raw(space)
        for i, (cube, text) in enumerate(zip(cubes, texts, strict=True)):
            number = text.split()[2].encode()
            kept = i not in doomed or (i == 0 and summary.id not in gone)
            assert (number in left) == kept
            assert (cube.id.encode() in left) == (i not in doomed or summary.id not in gone and i in (0, 1))
        assert {h.cube.id for h in space.search("secret changed summary", 50, include_derived=True)} == {
            *(c.id for c in cubes), summary.id,
        } - gone  # fmt: skip
        assert verify(space.store, Receipt.from_json(receipt.to_json())) == []
        assert space.doctor().problems == []


def test_a_receipt_finds_what_was_left_behind(space):
    receipt = space.forget([space.add("something to forget", id="a-very-long-name").id])
    assert verify(space.store, receipt) == []
    space.add("back again", id="a-very-long-name")
    assert verify(space.store, receipt) == ["row: cube a-very-long-name"]
    space.store.path.with_name(space.store.path.name + "-copy").write_bytes(b"... a-very-long-name ...")
    space.delete("a-very-long-name")
    assert verify(space.store, receipt) == [f"raw bytes: {space.store.path.name}-copy"]


def test_a_query_chooses_what_says_it_as_written_in_any_version(space):
    rita, dog, cat = space.add("My sister Rita"), space.add("Rita's dog"), space.add("A cat for Margarita")
    space.update(rita.id, content="My sister")
    assert {c.id for c in space.forget_preview(query="rita")} == {rita.id, dog.id}
    assert {c.id for c in space.forget_preview(query="Rita\u2019s  DOG")} == {dog.id}
    assert not space.forget_preview(query="the Rita")
    assert not space.forget_preview(query="Rita dog")
    assert space.count() == 3
    assert set(space.forget(query="Rita").ids) == {rita.id, dog.id}
    assert [c.id for c in space.cubes().items] == [cat.id]


def test_what_is_not_said_exactly_is_refused_and_offered(space):
    space.add("Jane Doering is my dentist.")
    space.add("Doe, Jane: ask about the invoice")
    for _ in range(2):
        with pytest.raises(NotFound, match=r"nothing was erased\. The phrase is nowhere .* 2 cubes are near"):
            space.forget(query="Jane Doe")
    assert space.count() == 2
    with pytest.raises(NotFound, match="nothing was erased.$"):
        space.forget(query="walrus", speaker="Ana")


def test_a_stranger_does_not_go_because_it_shares_a_session_and_its_summary(space):
    told = ["Jane Doe called.", "Jane Smith wrote.", "She does yoga on Mondays.", "The doe ate my roses."]
    first, *others = (space.add(text, speaker="Ana", session="s") for text in told)
    space.consolidate()
    derived = [c for c in space.cubes(state="any") if set(c.parents) >= {first.id, others[0].id}]
    assert {c.kind for c in derived} >= {"summary"}
    receipt = space.forget(query="Jane Doe")
    assert set(receipt.ids) >= {first.id, *(c.id for c in derived)}
    assert [c.id for c in space.cubes()] == [c.id for c in others]
    assert "Jane Doe" not in str([c.text for c in space.cubes(state="any")])
    space.consolidate()
    assert not space.forget_preview(query="Jane Doe")
    assert space.doctor().problems == []


WORDS = st.sampled_from(
    ["Jane", "Doe", "doe", "Doering", "C", "C++", "C#", "1.5", "21.5", "7:30", "京都", "東京都", "Straße"]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS, min_size=1, max_size=6), TEXTS)
def test_forgetting_a_phrase_takes_what_says_it_and_nothing_else(tmp_path_factory, texts, phrase):
    with Mnemos(tmp_path_factory.mktemp("phrase"), embedder="hashing:32") as memory:
        space = memory.space("s")
        cubes = [space.add(text, reconcile=False) for text in texts]
        shown = {c.id for c in space.forget_preview(query=phrase)}
        gone = set(space.forget(query=phrase).ids) if shown else set()
        assert gone == shown
        for cube in cubes:
            if cube.text == phrase:
                assert cube.id in gone
            if fold(phrase) not in fold(cube.text):
                assert cube.id not in gone
        assert {c.id for c in space.cubes()} == {c.id for c in cubes} - gone
        with pytest.raises(NotFound):  # a second time there is nothing left
            space.forget(query=phrase)


def test_since_and_until_mean_when_it_happened_and_not_what_is_mentioned(space):
    space.add("I was born on 3 May 1980.", at="2024-05-01", speaker="Ana")
    old = space.add("We sold the boat.", at="2019-01-01", speaker="Ana")
    assert space.forget(until="2020-01-01").ids == (old.id,)
    assert space.count() == 1


def test_filters_choose_too_alone_or_with_a_query(space):
    space.add("one apple", session="s1")
    space.add("an apple, two apples", session="s2")
    space.add("three pears", session="s2")
    assert space.forget(query="apple", session="s2").versions == 1
    assert space.forget(session="s2").chosen_by == "filters"
    assert [c.text for c in space.cubes().items] == ["one apple"]
    assert space.forget(everything=True).ids
    assert space.count() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {}, {"session": None}, {"ids": ()}, {"query": ""}, {"query": "  "}, {"query": "?!"}, {"query": "", "session": "s"},
        {"session": ""}, {"speaker": " "}, {"role": ""}, {"kind": ""}, {"source": ""}, {"since": ""}, {"as_of": ""},
        {"where": {}}, {"where": {"a": {"$ne": 1}}}, {"where": {"$not": {"a": 1}}}, {"where": {"a": {"$exists": False}}},
        {"where": {"$or": [{"a": 1}, {"$not": {"a": 1}}]}}, {"where": {"a": {"$nin": [1]}}}, {"where": {"$and": []}},
        {"include_superseded": True}, {"include_superseded": False}, {"include_derived": True}, {"state": "any"},
        {"state": "active"}, {"as_of": "2100-01-01"}, {"timezone": "UTC"},
        {"where": {}, "state": "any", "include_derived": True, "as_of": 4e9},
        {"everything": False}, {"ids": ["x"], "query": "y"}, {"everything": True, "session": "s"},
        {"ids": ["x"], "session": "s"}, {"everything": True, "query": "keep"},
    ],
)  # fmt: skip
def test_nothing_in_particular_is_refused(space, arguments):
    space.add("keep me", id="x", session="s")
    for verb in (space.forget, space.forget_preview):
        with pytest.raises(InvalidInput):
            verb(**arguments)
    with pytest.raises(NotFound):
        space.forget(["nobody"])
    assert space.count() == 1


def test_what_selects_is_a_choice_and_may_be_widened(space):
    told = [space.add(f"note {i}", session="s", metadata={"topic": "a" if i else "b"}) for i in range(2)]
    assert [c.id for c in space.forget_preview(where={"topic": "a"})] == [told[1].id]
    assert [c.id for c in space.forget_preview(where={"topic": {"$ne": "a"}}, session="s")] == [told[0].id]
    space.archive([told[0].id])
    assert [c.id for c in space.forget_preview(state="archived")] == [told[0].id]
    assert len(space.forget_preview(session="s", state="any", include_superseded=True, as_of="2100-01-01")) == 2


def test_a_text_that_another_cube_shares_is_no_remain(space):
    first, second = (space.add("the very same words in both", reconcile=False) for _ in range(2))
    assert space.forget([first.id]).verified
    assert space.get(second.id).text == first.text


def test_an_import_does_not_bring_back_what_was_erased_unless_told_to(space, tmp_path):
    chat = tmp_path / "chat.json"
    chat.write_text('[{"content": "forget this please"}, {"content": "keep this"}]')
    import_path(space, chat)
    export_space(space, tmp_path / "a.zip")
    space.forget(query="forget this")
    for path in (chat, tmp_path / "a.zip"):
        report = import_path(space, path)
        assert (report.added, report.skipped, len(report.problems)) == (0, 1, 1)
        assert "erased" in str(report.problems[0])
    assert import_path(space, tmp_path / "a.zip", restore_erased=True).added == 1
    assert space.count() == 2


def test_a_receipt_that_is_none_is_refused(space):
    with pytest.raises(InvalidInput, match="not a receipt"):
        Receipt.from_json('{"space": 1}')
    receipt = Receipt("other", "", "ids", (), 0, 0, 0, 0, ())
    with pytest.raises(InvalidInput, match="'other'"):
        verify(space.store, receipt)


def test_the_receipt_names_no_text(space):
    space.add("a secret about Rita")
    receipt = space.forget(query="Rita")
    assert "Rita" not in receipt.to_json()
