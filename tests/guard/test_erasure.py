"""Forgotten means gone: from rows, links, versions, RAM and the raw bytes of the file."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.erasure import Receipt, verify
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


def test_a_query_chooses_by_all_its_words_in_any_version(space):
    rita, dog, cat = space.add("My sister Rita"), space.add("Rita's dog"), space.add("A cat")
    space.update(rita.id, content="My sister")
    assert {c.id for c in space.forget_preview(query="the Rita")} == {rita.id, dog.id}
    assert {c.id for c in space.forget_preview(query="Rita dog")} == {dog.id}
    assert space.count() == 3
    assert set(space.forget(query="Rita").ids) == {rita.id, dog.id}
    assert [c.id for c in space.cubes().items] == [cat.id]


def test_filters_choose_too_alone_or_with_a_query(space):
    space.add("one apple", session="s1")
    space.add("two apples", session="s2")
    space.add("three pears", session="s2")
    assert space.forget(query="apple", session="s2").versions == 1
    assert space.forget(session="s2").chosen_by == "filters"
    assert [c.text for c in space.cubes().items] == ["one apple"]
    assert space.forget(everything=True).ids
    assert space.count() == 0


@pytest.mark.parametrize(
    "arguments",
    [{}, {"session": None}, {"query": "?!"}, {"ids": ["x"], "query": "y"}, {"everything": True, "session": "s"}],
)
def test_nothing_in_particular_is_refused(space, arguments):
    space.add("keep me", id="x", session="s")
    with pytest.raises(InvalidInput):
        space.forget(**arguments)
    with pytest.raises(NotFound):
        space.forget(["nobody"])
    assert space.count() == 1


def test_a_text_that_another_cube_shares_is_no_remain(space):
    first, second = (space.add("the very same words in both", reconcile=False) for _ in range(2))
    assert space.forget([first.id]).verified
    assert space.get(second.id).text == first.text


def test_an_import_does_not_bring_back_what_was_erased_unless_told_to(space, tmp_path):
    chat = tmp_path / "chat.json"
    chat.write_text('[{"content": "forget this please"}, {"content": "keep this"}]')
    import_path(space, chat)
    export_space(space, tmp_path / "a.zip")
    space.forget(query="forget please")
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
