"""What a model with a memory of its own remembers of cubes: gone on with elsewhere, and gone with what it read."""

import subprocess
import sys
import textwrap

import pytest

torch = pytest.importorskip("torch")

from mnemos import Mnemos
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt
from mnemos.neural.model import LM
from tests.migrate.low_rank import Letters

ELSEWHERE = """
    import sys, torch
    from pathlib import Path
    from safetensors.torch import save_file
    from mnemos import Mnemos
    from mnemos.neural.model import LM

    root, folder, cube, out = sys.argv[1:]
    with Mnemos(root, embedder="none") as memory:
        model = LM.load(Path(folder)).eval()
        state = memory.space("ana").states.load(cube, model)
        with torch.no_grad():
            save_file({"logits": model(torch.tensor([[5, 7, 9]]), state)[0]}, out)
"""


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LM(200, width=16, mixers=["gated-delta-net", ("attention", {"window": 8})]).eval()


@pytest.fixture
def ana(tmp_path):
    with Mnemos(tmp_path / "root", embedder="none") as memory:
        yield memory.space("ana")


@pytest.fixture
def cubes(ana):
    return [ana.add(text, speaker="Ana") for text in ("I live in Lisbon.", "Rita is my sister.", "I swim.")]


def test_reading_on_is_reading_all(ana, cubes, model):
    first = ana.states.read(cubes[:1], model, Letters())
    both = ana.states.read(cubes[1:], model, Letters(), after=first)
    whole = ana.states.read(cubes, model, Letters())
    found, wanted = (ana.states.load(cube, model) for cube in (both, whole))
    torch.testing.assert_close(found, wanted)
    assert set(both.parents) == {cube.id for cube in cubes}
    assert both.metadata["tokens"] == whole.metadata["tokens"]
    assert [cube.id for cube in ana.states.list()] == [first.id, both.id, whole.id]


def test_another_process_goes_on_with_it(tmp_path, ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    model.save(tmp_path / "model")
    script = tmp_path / "elsewhere.py"
    script.write_text(textwrap.dedent(ELSEWHERE), encoding="utf-8")
    given = [str(tmp_path / "root"), str(tmp_path / "model"), state.id, str(tmp_path / "out")]
    subprocess.run([sys.executable, str(script), *given], check=True)
    from safetensors.torch import load_file

    with torch.no_grad():
        wanted = model(torch.tensor([[5, 7, 9]]), ana.states.load(state, model))[0]
    assert torch.equal(load_file(tmp_path / "out")["logits"], wanted)


def test_it_is_erased_with_what_it_read(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    other = ana.states.read(cubes[:1], model, Letters())
    ana.forget([cubes[2].id])
    with pytest.raises(NotFound, match="no state"):
        ana.states.load(state, model)
    assert ana.store.blobs.ids() == {other.id}
    assert [cube.id for cube in ana.states.list()] == [other.id]


def test_it_is_removed_by_its_id(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    assert ana.delete(state.id) == [state.id]
    assert not ana.store.blobs.ids()
    assert {cube.id for cube in ana.cubes()} == {cube.id for cube in cubes}


def test_an_old_text_is_not_remembered(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    ana.update(cubes[0].id, content="I live in Porto.")
    with pytest.raises((NotFound, Conflict)):
        ana.states.load(state, model)


def test_an_archived_text_is_not_remembered_until_it_is_back(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    ana.archive([cubes[0].id])
    with pytest.raises(Conflict, match="archived"):
        ana.states.load(state, model)
    ana.unarchive([cubes[0].id])
    assert ana.states.load(state, model)


def test_a_search_finds_the_texts_only(ana, cubes, model):
    ana.states.read(cubes, model, Letters())
    assert {hit.cube.form for hit in ana.search("Lisbon")} == {"text"}


def test_a_changed_or_other_model_is_refused(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    with torch.no_grad():
        model.embed.weight[3, 3] += 1
    with pytest.raises(InvalidInput, match="another model"):
        ana.states.load(state, model)


def test_a_damaged_payload_is_told(ana, cubes, model):
    state = ana.states.read(cubes, model, Letters())
    with ana.store.blobs.local(state.id) as path:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    with pytest.raises(StoreCorrupt, match="read the texts again"):
        ana.states.load(state, model)


def test_what_cannot_be_read_is_refused(ana, cubes, model):
    with pytest.raises(InvalidInput, match="at least one cube"):
        ana.states.read([], model, Letters())
    state = ana.states.read(cubes, model, Letters())
    with pytest.raises(InvalidInput, match="form text"):
        ana.states.read([state], model, Letters())
    with pytest.raises(NotFound):
        ana.states.load(cubes[0].id, model)
