"""A space learns from what was used: only what is better stays, it can be undone, and it goes with the memories it came from."""

import dataclasses
import random
import shutil
import sqlite3
import warnings

import numpy as np
import pytest

from mnemos import Mnemos
from mnemos.errors import DamagedRow, InvalidInput, NotFound
from mnemos.text import tune as tuning
from mnemos.text.feedback import OF_FEEDBACK

FRUIT = ("apple", "banana", "cherry", "damson", "elder", "fig", "grape", "hazel")
SLANG = ("zorp", "quux", "blarg", "wibble", "frob", "snark", "glimp", "vool")  # the same fruit, as questions call it
PLACE = ("attic", "barn", "cellar", "depot", "engine", "forge", "garage")


@pytest.fixture(autouse=True, scope="module")
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "ROUNDS", 2)
        yield


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A root whose space "s" was tuned, with what `tune` said."""
    root = tmp_path_factory.mktemp("tuned") / "root"
    with Mnemos(root, embedder="hashing:64") as memory:
        space = filled(memory.space("s"))
        for fruit, slang in zip(FRUIT, SLANG, strict=True):
            for place in PLACE:
                space.used(f"{slang} {place}", [id_of(fruit, place)])
        said = space.tune()
    return root, said


@pytest.fixture
def memory(tuned, tmp_path):
    shutil.copytree(tuned[0], tmp_path / "root")
    with Mnemos(tmp_path / "root", embedder="hashing:64") as found:
        yield found


def filled(space):
    space.add_many([{"content": f"{f} {p}", "id": id_of(f, p)} for f in FRUIT for p in PLACE], reconcile=False)
    return space


def id_of(fruit, place):
    return f"{fruit}-{place}-memory"


def order(space, question="zorp attic"):
    return [hit.cube.id for hit in space.search(question, 5)]


def test_what_is_better_on_unseen_questions_is_installed_and_shown(tuned, memory):
    _, said = tuned
    space = memory.space("s")
    assert said.installed
    assert said.questions == len(FRUIT) * len(PLACE)
    assert said.after > said.before + 0.1
    assert f"{said.before:.3f}" in said.reason
    assert f"{said.after:.3f}" in said.reason
    hit = space.search("zorp attic", 1)[0]
    assert hit.cube.id == id_of("apple", "attic")
    assert "tuned" in hit.why
    assert sum(hit.why.values()) == pytest.approx(hit.score, abs=1e-4)
    assert space.stats()["tuning"]["in_use"]
    assert space.stats()["feedback"] == said.questions
    assert space.stats()["cubes"] == said.questions  # the notes are no memories
    assert [c.kind for c in space.cubes()] == ["turn"] * said.questions
    assert space.doctor().healthy


def test_it_can_be_undone(memory):
    space = memory.space("s")
    plain = filled(memory.space("plain"))
    better = order(space)
    assert space.tune(undo=True).reason == "what was installed is erased"
    assert order(space) == order(plain) != better
    assert "tuned" not in space.search("zorp attic", 1)[0].why
    assert space.stats()["tuning"] is None
    assert space.tune(undo=True).reason == "nothing was installed"
    assert space.stats()["feedback"] == len(FRUIT) * len(PLACE)


def test_other_spaces_and_other_methods_stay_as_they_are(memory):
    other = filled(memory.space("other"))
    assert other.stats()["tuning"] is None
    before = [[h.cube.id for h in memory.space("s").search("zorp attic", 5, method=m)] for m in ("words", "vectors")]
    memory.space("s").tune(undo=True)
    assert before == [
        [h.cube.id for h in memory.space("s").search("zorp attic", 5, method=m)] for m in ("words", "vectors")
    ]


def test_erasing_a_memory_erases_what_was_learned_from_it(memory, tmp_path):
    space, plain = memory.space("s"), filled(memory.space("plain"))
    with Mnemos(memory.root, embedder="hashing:64") as second:  # as another process would have it
        elsewhere = second.space("s")
        assert order(elsewhere)[0] == id_of("apple", "attic")
        gone = id_of("hazel", "garage")
        receipt = space.forget([gone])
        plain.forget([gone])
        assert receipt.verified
        assert receipt.derived == 2  # the note and the tuning
        assert order(space) == order(elsewhere) == order(plain)
    assert space.stats()["tuning"] is None
    assert space.stats()["feedback"] == len(FRUIT) * len(PLACE) - 1
    assert b"vool garage" not in space.store.path.read_bytes()


def test_a_memory_that_is_updated_takes_it_away_too(memory):
    space = memory.space("s")
    space.update(id_of("fig", "barn"), content="fig barn door")
    assert space.stats()["tuning"] is None


def test_a_note_is_erased_by_its_words(memory):
    space = memory.space("s")
    assert [c.text for c in space.forget_preview(query="vool forge").cubes] == ["vool forge"]
    space.forget(query="vool forge")
    assert space.stats()["feedback"] == len(FRUIT) * len(PLACE) - 1
    space.forget(everything=True)
    assert (space.stats()["feedback"], space.stats()["tuning"]) == (0, None)


def test_what_is_not_better_is_refused_with_both_figures(tmp_path):
    rng = random.Random(0)
    with Mnemos(tmp_path / "root", embedder="hashing:64") as memory:
        space = filled(memory.space("s"))
        for fruit in FRUIT:
            for place in PLACE:
                space.used(f"{fruit} {place}", [id_of(rng.choice(FRUIT), rng.choice(PLACE))])
        said = space.tune(preview=True)
        assert not said.installed
        assert said.reason.startswith("not installed, since it is not better")
        assert f"{said.before:.3f} as shipped, {said.after:.3f} tuned" in said.reason
        assert space.stats()["tuning"] is None


def test_a_damaged_tuning_counts_as_none(memory):
    space = memory.space("s")
    key = int(space.store.meta.get("tuning"))
    path = space.store.path
    memory.close()
    with sqlite3.connect(path) as db:
        db.execute('UPDATE cubes SET metadata = replace(metadata, \'"down": "\', \'"down": "!\') WHERE n = ?', (key,))
    db.close()
    with Mnemos(path.parent, embedder="hashing:64") as again:
        plain = filled(again.space("plain"))
        with pytest.warns(DamagedRow, match="tuned of space 's'"):
            assert order(again.space("s")) == order(plain)


def test_a_space_with_another_embedder_searches_as_shipped(memory):
    root = memory.root
    memory.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Mnemos(root, embedder="hashing:32") as other:
            space = other.space("s")
            assert "tuned" not in space.search("zorp attic", 1)[0].why
            assert not space.stats()["tuning"]["in_use"]


def test_notes_are_checked(tmp_path):
    with Mnemos(tmp_path / "root", embedder="hashing:64") as memory:
        space = filled(memory.space("s"))
        with pytest.raises(NotFound, match="'nobody'"):
            space.used("zorp attic", ["nobody"])
        with pytest.raises(InvalidInput, match="ids is empty"):
            space.used("zorp attic", [])
        with pytest.raises(InvalidInput, match="question is empty"):
            space.used(" ", [id_of("fig", "barn")])
        first = space.used("frob barn", [id_of("fig", "barn")])
        assert space.used("frob barn", [id_of("fig", "barn")]).id == first.id
        assert len(space.store.keys(OF_FEEDBACK)) == 1
        with pytest.raises(InvalidInput, match="no text"):
            space.used("frob barn", [first.id])
        key = space.used("my card is 4111 1111 1111 1111", [id_of("fig", "barn")])
        assert "4111" not in key.text
        with pytest.raises(InvalidInput, match="2 questions .* 30 are needed"):
            space.tune()
        space.flush()
        assert space.get(id_of("fig", "barn")).recalls >= 2
        assert space.add("frob barn").kind == "turn"  # the words of a note may be told


def test_chance_is_the_share_of_signs_that_look_as_good():
    assert tuning.by_chance(np.zeros(5)) == 1.0
    assert tuning.by_chance(np.ones(10)) < 0.01
    assert 0.3 < tuning.by_chance(np.array([1.0, -1.0, 0.1])) < 0.7


def test_the_report_is_plain_data(tuned):
    assert dataclasses.asdict(tuned[1])["installed"] is True
