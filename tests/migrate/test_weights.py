"""Weights of cubes: attached for a block, gone bit for bit afterwards, stale and erased with what they were learned from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from mnemos import Mnemos, registry
from mnemos.cube import new_id
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt, StoreFull
from mnemos.migrate.attachments import attached_to
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.parametric.base import Example
from tests.migrate import low_rank
from tests.migrate.low_rank import Letters, LowRank, learn, says, tiny


@pytest.fixture(scope="module")
def shared():
    return tiny()


@pytest.fixture
def model(shared):
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    yield shared
    assert all(torch.equal(tensor, before[name]) for name, tensor in shared.state_dict().items())
    assert not shared._forward_pre_hooks


@pytest.fixture
def memory(tmp_path, monkeypatch):
    low_rank.use(monkeypatch.setattr)
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory


@pytest.fixture
def space(memory):
    space = memory.space("ana")
    for text in ("I moved to Faro.", "My sister Rita lives in Lisbon.", "I have a dog called Bolt."):
        space.add(text, speaker="Ana", reconcile=False)
    return space


def texts(space):
    return [cube for cube in space.cubes() if cube.form == "text"]


def warned(of):
    return pytest.warns(RuntimeWarning, match=of)


def product(cube_seed, **knobs):
    """Return what weights of a seed say, by attaching them without a space."""

    def said(model):
        with LowRank(**knobs).create(model, (), None, cube_seed).attach(model):
            return says(model)

    return said


def test_weights_answer_inside_the_block_and_the_model_is_the_same_to_the_bit_after_it(model, space, memory):
    plain, expected = says(model), product(1)(model)
    cube = learn(space, model, texts(space), seed=1)
    assert not torch.equal(plain, expected)
    for where in ("ram", "disk", "another process"):
        with space.weights.attached(model, cube) as attachment:
            assert attachment.cubes == (cube.id,)
            assert torch.equal(says(model), expected), where
        assert torch.equal(says(model), plain), where
        if where == "ram":
            space.weights.free_ram()
        else:
            memory.release("ana")
            space = memory.space("ana")
    with pytest.raises(RuntimeError, match="midway"), space.weights.attached(model):
        raise RuntimeError("midway")
    assert torch.equal(says(model), plain)


def test_a_cube_of_weights_says_what_it_is_and_is_no_text(model, space):
    sources = texts(space)
    cube = learn(space, model, sources, rank=3)
    found = space.get(cube.id)
    assert (found.form, found.kind, set(found.parents)) == ("parametric", "carrier", {c.id for c in sources})
    assert found.metadata["method"] == low_rank.NAME
    assert found.metadata["knobs"] == {"rank": 3, "layer": 0, "shape": [1, 2]}
    assert found.metadata["bytes"] == space.store.blobs.nbytes
    assert found.metadata["model"] == Fingerprints().of(model)
    assert space.weights.list() == [found] == list(space.cubes(kind="carrier"))
    assert {hit.cube.form for hit in space.search("Where does Rita live?")} == {"text"}
    assert space.count() == 3
    assert space.doctor().healthy


def test_several_are_summed_in_the_order_given_and_twenty_leave_nothing(model, space):
    plain, known = says(model), Fingerprints()
    first = known.of(model)
    cubes = [learn(space, model, texts(space), seed=i) for i in range(20)]
    with ExitStack() as stack:
        for i in range(20):
            stack.enter_context(LowRank().create(model, (), None, i).attach(model))
        expected = says(model)
    with space.weights.attached(model) as attachment:
        assert attachment.cubes == tuple(c.id for c in space.weights.list())
        assert set(attachment.cubes) == {c.id for c in cubes}
        assert torch.allclose(says(model), expected, atol=1e-4)
        assert known.of(model) == first, "a fingerprint does not depend on what is attached"
    with space.weights.attached(model, *cubes[::-1]) as attachment:
        assert attachment.cubes == tuple(c.id for c in cubes[::-1])
    assert torch.equal(says(model), plain)


def test_blocks_may_be_inside_each_other(model, space, memory):
    a, b = (learn(space, model, texts(space), seed=i) for i in (1, 2))
    other = memory.space("rui")
    c = learn(other, model, [other.add("I like figs.")], seed=3)
    plain = says(model)
    with space.weights.attached(model, a):
        alone = says(model)
        with space.weights.attached(model, b), other.weights.attached(model, c):
            assert attached_to(model) == (a.id, b.id, c.id)
            assert not torch.equal(says(model), alone)
        assert torch.equal(says(model), alone)
        with pytest.raises(InvalidInput, match="attached already"), space.weights.attached(model, a):
            pass
        assert attached_to(model) == (a.id,)
        assert torch.equal(says(model), alone)
    assert torch.equal(says(model), plain)
    assert attached_to(model) == ()


@pytest.mark.parametrize("change", ["updated", "superseded", "archived"])
def test_they_are_stale_when_a_text_changes_and_fresh_when_that_is_undone(model, memory, change):
    space = memory.space("rita")
    first = space.add("I live in Faro.", speaker="Ana")
    other = space.add("I have a dog.", speaker="Ana")
    cube = learn(space, model, [other, space.get(first.id)])
    newer = None
    if change == "updated":
        space.update(first.id, content="I live in Evora.")
    elif change == "superseded":
        newer = space.add("I now live in Porto.", speaker="Ana")
    else:
        space.archive([first.id])
    reason = space.weights.stale()[cube.id]
    assert change in reason
    assert first.id in reason
    with pytest.raises(Conflict, match=change), space.weights.attached(model, cube):
        pass
    plain = says(model)
    with warned(change), space.weights.attached(model) as attachment:
        assert attachment.cubes == ()
        assert change in attachment.refused[cube.id]
        assert torch.equal(says(model), plain)
    assert space.search("Do I have a dog?")[0].cube.id == other.id, "the text answers"
    if newer is not None:
        space.delete(newer.id)
    elif change == "archived":
        space.unarchive([first.id])
    else:
        return
    with space.weights.attached(model, cube):
        assert not torch.equal(says(model), plain)


def test_weights_that_are_archived_are_attached_again_when_they_are_brought_back(model, space):
    cube, plain = learn(space, model, texts(space)), says(model)
    with space.weights.attached(model):
        learned = says(model)
        space.archive([cube.id])
        with warned("archived"):
            assert torch.equal(says(model), plain)
    with pytest.raises(Conflict, match="unarchive it"), space.weights.attached(model, cube):
        pass
    space.unarchive([cube.id])
    with space.weights.attached(model):
        assert torch.equal(says(model), learned)


def test_weights_are_not_edited_like_a_text(model, space):
    cube = space.get(learn(space, model, texts(space)).id)
    for edit in (
        lambda: space.update(cube.id, content="Anything else."),
        lambda: space.update(cube.id, metadata={"model": "another"}),
        lambda: space.rollback(cube.id, 1),
    ):
        with pytest.raises(InvalidInput, match="form 'parametric'"):
            edit()
    assert space.get(cube.id) == cube


def test_they_are_forgotten_with_each_of_their_texts(model, space):
    a, b, c = texts(space)
    both, one = learn(space, model, [a, b]), learn(space, model, [c])
    with space.weights.attached(model):
        held = [loaded for _, loaded in space.weights._held.values() if loaded.cube.id == both.id][0]
    receipt = space.forget([a.id])
    assert receipt.verified
    assert set(receipt.ids) == {a.id, both.id}
    assert [w.id for w in space.weights.list()] == [one.id]
    assert space.store.blobs.ids() == {one.id}
    assert all(not tensor.any() for tensor in held.learned.tensors().values()), "they are zeros in RAM"
    with pytest.raises(NotFound), space.weights.attached(model, both.id):
        pass
    with space.weights.attached(model) as attachment:
        assert attachment.cubes == (one.id,)


@pytest.mark.sqlite_only("another process opens the folder")
def test_what_is_forgotten_while_it_is_attached_is_not_used_by_the_next_call(model, space):
    plain, kept = says(model), product(2)(model)
    a, b, _ = texts(space)
    gone, stays = learn(space, model, [a], seed=1), learn(space, model, [b], seed=2)
    script = (
        "import sys; from mnemos import Mnemos\n"
        "with Mnemos(sys.argv[1], embedder='none') as memory: memory.space('ana').forget([sys.argv[2]])\n"
    )
    with space.weights.attached(model, gone, stays) as attachment:
        held = attachment.loaded[0].learned
        both = says(model)
        subprocess.run([sys.executable, "-c", script, str(space.store.path.parent), a.id], check=True)
        with pytest.warns(RuntimeWarning, match="erased"):
            after = says(model)
        assert attachment.cubes == (stays.id,)
        assert torch.equal(after, kept)
        assert not torch.equal(after, both)
        space.update(b.id, content="Rita lives in Madrid.")
        with pytest.warns(RuntimeWarning, match="updated"):
            assert torch.equal(says(model), plain)
    assert not held.up.any()


def test_another_or_a_changed_model_is_refused(shared, space):
    model = tiny()
    cube = learn(space, model, texts(space))
    for wrong in (tiny(1), tiny().to(torch.bfloat16)):
        with pytest.raises(InvalidInput, match="another model"), space.weights.attached(wrong, cube):
            pass
        with warned("another model"), space.weights.attached(wrong) as attachment:
            assert cube.id in attachment.refused
    with space.weights.attached(model, cube):
        pass
    model.model.layers[0].mlp.up_proj.weight.data[7] *= 1.01
    with pytest.raises(InvalidInput, match="changed"), space.weights.attached(model, cube):
        pass


@pytest.mark.parametrize("damage", ["a byte", "cut off", "gone", "exchanged"])
def test_damaged_weights_are_told_and_the_rest_goes_on(model, space, damage):
    cube, other = (learn(space, model, texts(space), seed=i) for i in (1, 2))
    path = space.store.blobs.path(cube.id)
    data = bytearray(path.read_bytes())
    if damage == "a byte":
        data[-3] ^= 4
        path.write_bytes(data)
    elif damage == "cut off":
        path.write_bytes(data[:-40])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes(space.store.blobs.path(other.id).read_bytes())
    with pytest.raises(StoreCorrupt), space.weights.attached(model, cube):
        pass
    expected = product(2)(model)
    with warned(cube.id), space.weights.attached(model) as attachment:
        assert attachment.cubes == (other.id,)
        assert torch.equal(says(model), expected)
    assert space.search("Where does Rita live?")
    assert list(space.weights.remove(cube)) == [cube.id]
    with warnings.catch_warnings(), space.weights.attached(model):
        warnings.simplefilter("error")


def test_a_full_disk_is_told_and_leaves_nothing(model, space, monkeypatch):
    def full(*_):
        raise StoreFull("the disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(space.store.blobs, "write", full)
        with pytest.raises(StoreFull):
            learn(space, model, texts(space))
    with monkeypatch.context() as patch:
        patch.setattr(space.store, "insert", full)
        with pytest.raises(StoreFull):
            learn(space, model, texts(space))
    assert space.weights.list() == []
    assert space.store.blobs.ids() == set()
    assert space.search("Where does Rita live?")


def test_a_text_that_changed_meanwhile_keeps_no_weights(model, space):
    a, b, _ = texts(space)
    space.update(a.id, content="I moved to Porto.")
    with pytest.raises(Conflict, match="updated"):
        learn(space, model, [a])
    space.delete(b.id)
    with pytest.raises(Conflict, match="erased"):
        learn(space, model, [b])
    assert space.store.blobs.ids() == set()


KILLED = """
import json, os, signal, sys
from pathlib import Path
from mnemos import MemCube, Mnemos
from mnemos.migrate.weight_cubes import write
import mnemos.store.blobs as blobs
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
root, moment, cube, data = sys.argv[1:]
with Mnemos(root, embedder="none") as memory:
    store = memory.space("ana").store
    insert = store.insert
    if moment == "in the file":
        blobs.os.fsync = lambda fd: (os.ftruncate(fd, 100), die())
    elif moment == "before the row":
        store.insert = die
    elif moment == "in the transaction":
        store.insert = lambda *a: (insert(*a), die())
    write(store, MemCube.from_dict(json.loads(cube)), Path(data).read_bytes())
    die()
"""


@pytest.mark.sqlite_only("another process opens the folder")
@pytest.mark.parametrize("moment", ["in the file", "before the row", "in the transaction", "after it"])
def test_a_process_killed_at_any_moment_leaves_whole_weights_or_none(model, space, memory, moment, tmp_path):
    cube, data = learn(space, model, texts(space)), tmp_path / "data"
    data.write_bytes(space.store.blobs.path(cube.id).read_bytes())
    space.weights.remove(cube)
    new = json.dumps(replace(cube, id=new_id()).to_dict())
    command = [sys.executable, "-c", KILLED, str(memory.root), moment, new, str(data)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    found = space.weights.list()
    assert len(found) == (moment == "after it")
    with warnings.catch_warnings(), space.weights.attached(model) as attachment:
        warnings.simplefilter("error")
        assert len(attachment.cubes) == len(found)
    for path in space.store.blobs.folder.iterdir():
        os.utime(path, (0, 0))
    memory.release("ana")
    again = memory.space("ana")
    assert again.weights.stale() == {}
    assert again.store.blobs.ids() == {cube.id for cube in found}, "what belongs to nothing was swept"
    assert len(list(again.store.blobs.folder.iterdir())) == len(found)


def test_threads_that_want_one_model_take_turns(model, space):
    cubes = [learn(space, model, texts(space), seed=i) for i in (1, 2)]
    expected, plain = [product(i)(model) for i in (1, 2)], says(model)
    wrong, start = [], threading.Barrier(2)

    def work(i):
        start.wait()
        for _ in range(10):
            with space.weights.attached(model, cubes[i]) as attachment:
                if attached_to(model) != attachment.cubes or not torch.equal(says(model), expected[i]):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert torch.equal(says(model), plain)


def test_two_answers_to_one_prompt_are_told(model, space):
    a, b, _ = texts(space)
    one = learn(space, model, [a], examples=[Example("Where does Ana live?", "Faro")])
    two = learn(space, model, [b], examples=[Example("where does  Ana live?", "Porto"), Example("", "It rains.")])
    with warned("differently"), space.weights.attached(model) as attachment:
        assert [(c.older, c.newer) for c in attachment.contradictions] == [(one.id, two.id)]
        assert attachment.cubes == (one.id, two.id)


def test_ram_is_bounded_and_uses_are_counted(model, space):
    cubes = [learn(space, model, texts(space), seed=i) for i in range(4)]
    size = LowRank().create(model, (), None).nbytes
    space.weights.ram = 2 * size
    with space.weights.attached(model):
        pass
    assert space.weights.ram_bytes == 2 * size
    with space.weights.attached(model, cubes[0]):
        pass
    space.flush()
    assert [space.get(c.id).recalls for c in cubes] == [2, 1, 1, 1]


def test_what_a_model_reads_with_weights_attached_is_not_taken_for_its_own(model, space):
    from tests.migrate.test_activate import Letters

    ids = [c.id for c in texts(space)]
    plain = space.activate(ids, model, Letters()).cache.layers[0].values
    cube = learn(space, model, texts(space)[:1])
    with space.weights.attached(model, cube):
        read = space.activate(ids, model, Letters())
        assert read.sources["prefill"] == 3
        assert space.activate(ids, model, Letters()).sources["ram"] == 3
    own = space.activate(ids, model, Letters())
    assert own.sources["ram"] == 3
    assert torch.equal(own.cache.layers[0].values, plain)
    space.weights.remove(cube)
    assert len(list(space.cubes(kind="kv"))) == 3, "what was computed with the weights went with them"


def test_what_cannot_be_kept_or_found_is_refused(model, space):
    class Unknown(LowRank):
        pass

    with pytest.raises(InvalidInput, match="not registered"):
        space.weights.keep(LowRank().create(model, (), None), Unknown(), texts(space), model)
    with pytest.raises(InvalidInput, match="none was given"):
        learn(space, model, [])
    for wrong in ("no-such", texts(space)[0].id):
        with pytest.raises(NotFound):
            space.weights.remove(wrong)
    assert len(texts(space)) == 3


CARRIERS = [entry.name for entry in registry.all_entries("parametric", kind="carrier")]


@pytest.mark.parametrize("name", CARRIERS)
def test_every_carrier_is_kept_and_attached_inside_others_and_leaves_the_model_as_it_was(space, name):
    model = tiny()
    plain, first, asked = (
        says(model),
        Fingerprints().of(model),
        [Example("Where?", " Faro", context="I moved to Faro.")],
    )
    around = learn(space, model, texts(space), seed=1)
    carrier = registry.get(name, form="parametric", kind="carrier").target()
    learned = carrier.create(model, asked, Letters())
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    with learned.attach(model):
        expected = says(model)
    cube = space.weights.keep(learned, carrier, texts(space), model, asked)
    assert not torch.equal(expected, plain)
    for _ in range(2):  # from disk, and from RAM
        with space.weights.attached(model, cube):
            assert torch.allclose(says(model), expected, atol=1e-5)
        with space.weights.attached(model, around), space.weights.attached(model, cube):
            both = says(model)
        assert not torch.allclose(both, expected, atol=1e-3)
        assert torch.equal(says(model), plain)
    assert Fingerprints().of(model) == first
    space.forget([texts(space)[0].id])
    assert not space.weights._held
    assert torch.equal(says(model), plain), "wiping what was learned touches nothing of the model"
