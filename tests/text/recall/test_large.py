"""A large space: searched by candidates from files, with the results of a search of all cubes."""

from __future__ import annotations

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.text.recall import large
from mnemos.text.recall.large import LargeSnapshot

PEOPLE, PLACES = ("Rita", "Ben", "Ana", "Tom"), ("Porto", "Oslo", "Lima", "Kyoto", "Bern", "Quito", "Turin", "Riga")
THINGS = ("bakery", "violin", "garden", "bicycle", "lecture", "harbour", "kitten", "marathon", "recipe", "museum")
QUESTIONS = (
    "Where is the bakery?", "What did Ben say about the violin?", "When was the marathon in Riga?", "Ana, the kitten",
    "Who was in Kyoto on 2024-03-02?", "garden", "I love lectures in Turin",
)  # fmt: skip


def messages(count, seed=0):
    rng = np.random.default_rng(seed)
    for i in range(count):
        thing, place, who = (pool[int(rng.integers(len(pool)))] for pool in (THINGS, PLACES, PEOPLE))
        text = f"The {thing} {'I saw' if rng.random() < 0.5 else 'they spoke of'} was in {place}, number {i}."
        day = 1 + i // 12 % 27
        yield {
            "id": f"c{seed}-{i}", "content": text, "speaker": who, "session": f"s{i // 6}",
            "at": f"2024-03-{day:02}T{10 + i % 12}:00",
        }  # fmt: skip


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="hashing", timezone="UTC") as memory:
        memory.space("ana").add_many(messages(240))
        yield memory


def found(space, k=10, **filters):
    return [[(hit.cube.id, hit.score, hit.relevance) for hit in space.search(q, k, **filters)] for q in QUESTIONS]


def fresh(memory, monkeypatch, least):
    """Return the results of the space, opened as one that is large from `least` versions on."""
    monkeypatch.setattr(large, "LARGE", least)
    space = memory.space("ana")
    space.text.view.drop()
    return found(space)


def alike(one, other):
    """Return the share of hits that two results have in common, and the largest difference of their scores."""
    pairs = [({i: s for i, s, _ in a}, {i: s for i, s, _ in b}) for a, b in zip(one, other, strict=True)]
    common = [len(a.keys() & b.keys()) / max(len(a), len(b), 1) for a, b in pairs]
    return float(np.mean(common)), max(abs(a[i] - b[i]) for a, b in pairs for i in a.keys() & b.keys())


def is_large(memory):
    return isinstance(memory.space("ana").text.view.snapshot, LargeSnapshot)


def index(memory):
    return memory.space("ana").store.bulk.folder


def test_a_large_space_finds_what_a_search_of_all_cubes_finds(memory, monkeypatch):
    everything = fresh(memory, monkeypatch, 10**9)
    assert not is_large(memory)
    candidates = fresh(memory, monkeypatch, 1)
    assert is_large(memory)
    assert alike(everything, candidates)[0] >= 0.95
    assert [a[0][2] for a in everything] == pytest.approx([a[0][2] for a in candidates], abs=0.1)


def test_filters_select_the_same(memory, monkeypatch):
    space = memory.space("ana")
    for filters in ({"speaker": "Ben"}, {"session": "s3"}, {"since": "2024-03-05", "until": "2024-03-06"}):
        monkeypatch.setattr(large, "LARGE", 10**9)
        space.text.view.drop()
        everything = found(space, 5, **filters)
        monkeypatch.setattr(large, "LARGE", 1)
        space.text.view.drop()
        assert alike(everything, found(space, 5, **filters))[0] >= 0.9


def test_what_is_added_changed_and_erased_is_as_in_an_index_made_anew(memory, monkeypatch):
    fresh(memory, monkeypatch, 1)
    space = memory.space("ana")
    for message in messages(8, seed=1):
        space.add(**message)
        space.search("garden")
    space.update("c0-7", content="The violin is in Quito now.")
    space.archive(["c0-9"])
    space.delete("c0-11")
    kept = found(space)
    assert is_large(memory)
    for path in index(memory).rglob("*"):
        if path.is_file():
            path.unlink()
    space.text.view.drop()
    common, difference = alike(kept, found(space))
    assert common == 1
    assert difference < 0.05
    assert any("Quito now" in hit.cube.text for hit in space.search("Where is the violin in Quito now?", 3))


def test_an_erased_cube_is_in_no_file_of_the_index(memory, monkeypatch):
    space = memory.space("ana")
    secret = space.add("The zygomorphic xylophone hides.", speaker="Zacharias", session="zenith", id="secret")
    fresh(memory, monkeypatch, 1)
    vector = space.store.vectors.of(space.text.model_key(), space.store.keys_of(["secret"]))
    (row,) = vector.values()
    needle = (row / np.linalg.norm(row)).astype(np.float16).tobytes()
    name, session = b"Zacharias", b"zenith"

    def held():
        files = [path.read_bytes() for path in index(memory).rglob("*") if path.is_file()]
        return [any(part in data for data in files) for part in (needle, name, session)]

    assert held() == [True, True, True]
    space.text.view.drop()  # nobody has the index open when it is erased
    space.delete(secret.id)
    assert held() == [False, False, False]
    assert all(hit.cube.id != "secret" for hit in space.search("zygomorphic xylophone"))


@pytest.mark.parametrize("harm", ["missing", "cut", "changed", "another model", "list"])
def test_an_index_that_is_not_whole_is_made_again(memory, monkeypatch, harm):
    before = fresh(memory, monkeypatch, 1)
    space, folder = memory.space("ana"), index(memory)
    path = next(folder.glob("at-*.npy"))
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-8])
    elif harm == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    elif harm == "list":
        (folder / "index.json").write_text("{}")
    else:
        monkeypatch.setattr(space.text, "_model_key", space.store.vectors.model("other", "1", 8))
    space.text.view.drop()
    after = found(space)
    assert is_large(memory)
    if harm != "another model":
        assert alike(before, after) == (1.0, pytest.approx(0, abs=1e-3))


def test_an_index_is_opened_and_brought_up_to_date_not_made_again(memory, monkeypatch):
    fresh(memory, monkeypatch, 1)
    space = memory.space("ana")
    space.add("The kitten flew to Jakarta.", speaker="Ana", id="new")
    space.text.view.drop()
    monkeypatch.setattr(LargeSnapshot, "make", None)
    assert space.search("Who flew to Jakarta?", 1)[0].cube.id == "new"
    assert is_large(memory)


def test_a_space_that_is_removed_takes_its_index_along(memory, monkeypatch):
    fresh(memory, monkeypatch, 1)
    folder = index(memory)
    assert folder.exists()
    memory.remove("ana")
    assert not folder.exists()


def test_what_was_believed_at_an_earlier_moment_is_found(memory, monkeypatch):
    space = memory.space("ana")
    first = space.add("The lighthouse keeper is called Olaf.", id="keeper")
    space.update("keeper", content="The lighthouse keeper is called Nora.")
    fresh(memory, monkeypatch, 1)
    told = {moment: space.search("lighthouse keeper", 1, as_of=moment) for moment in (first.learned, None)}
    assert [hits[0].cube.text[-5:] for hits in told.values()] == ["Olaf.", "Nora."]
    assert is_large(memory)
    assert space.stats()["index"]["kind"] == "candidates"
