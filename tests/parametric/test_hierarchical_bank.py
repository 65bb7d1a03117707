"""A tree of blocks: who takes which path, what a leaf holds alone, and what is read from disk."""

import pytest
import torch
from safetensors.torch import save_file

from mnemos.bench.parametric.small_models import Shape, Texts, make_model
from mnemos.errors import NotFound
from mnemos.parametric.base import Example
from mnemos.parametric.recall.bank import ColdBank, HierarchicalBank
from mnemos.parametric.recall.tree import grow, paths

TEXTS = Texts()
OPENINGS = ["Kamo lives in", "Seti plays", "the pet of Dosu is", "Zuna feeds"]
EXAMPLES = [Example(opening, " Tola") for opening in OPENINGS]
KNOBS = HierarchicalBank(branching=2, depth=2, units=3, depths=(0.0, 1.0))


@pytest.fixture(scope="module")
def model():
    return make_model(Shape(16, 16), 0).eval().requires_grad_(False)


@pytest.fixture
def bank(model):
    made = KNOBS.create(model, EXAMPLES, TEXTS.tokenizer)
    with torch.no_grad():
        for i, values in enumerate(made.values):
            values.add_(torch.randn(values.shape, generator=torch.Generator().manual_seed(i)))
    return made


def ids(text):
    return torch.tensor([TEXTS.ids(text)])


def test_clusters_that_lie_apart_get_a_leaf_each():
    centres = torch.tensor([[0.0, 0], [0, 1], [9, 0], [9, 1]])
    vectors = centres.repeat(8, 1) + 0.05 * torch.randn(32, 2, generator=torch.Generator().manual_seed(0))
    levels = grow(vectors, branching=2, depth=2)
    found = paths(vectors, levels, branching=2)
    assert len({tuple(p) for p in found.tolist()}) == 4
    assert (found[:, 1] // 2 == found[:, 0]).all()
    by_group = found.reshape(8, 4, 2)
    assert (by_group == by_group[:1]).all()


def test_fewer_vectors_than_leaves_are_no_problem():
    levels = grow(torch.ones(1, 3), branching=3, depth=2)
    assert [len(level) for level in levels] == [3, 9]
    assert paths(torch.ones(2, 3), levels, branching=3).tolist() == [[0, 0]] * 2


def test_a_removed_leaf_is_gone_and_contexts_of_other_leaves_say_the_same(model, bank):
    leaves = [int(bank.route(model, ids(o))[0, -1]) for o in OPENINGS]
    assert len(set(leaves)) > 1
    with bank.attach(model):
        before = [model(ids(o)).logits for o in OPENINGS]
    bank.remove(leaves[0])
    with bank.attach(model):
        after = [model(ids(o)).logits for o in OPENINGS]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [leaf != leaves[0] for leaf in leaves]
    assert not bank.values[-1][leaves[0]].any()
    with pytest.raises(NotFound, match="from 0 to 3"):
        bank.remove(4)


def test_contexts_of_one_batch_take_their_own_paths_padding_left_out(model, bank):
    batch = TEXTS.batch(OPENINGS)
    with bank.attach(model):
        together = model(batch, attention_mask=(batch != 0).long()).logits
        for row, opening in enumerate(OPENINGS):
            alone = model(ids(opening)).logits[0]
            torch.testing.assert_close(together[row, : len(alone)], alone)


def test_further_tokens_keep_the_path_of_their_context(model, bank):
    context = ids("Kamo lives in Tola .")
    with bank.attach(model):
        whole = model(context).logits
        begun = model(context[:, :3], use_cache=True)
        rest = model(context[:, 3:], past_key_values=begun.past_key_values).logits
    torch.testing.assert_close(rest, whole[:, 3:])


def test_a_path_can_be_given(model, bank):
    own = bank.route(model, ids(OPENINGS[0]))[0].tolist()
    other = next(p for p in ([0, 0], [1, 3]) if p != own)
    with bank.attach(model):
        routed = model(ids(OPENINGS[0])).logits
        with bank.fixed(own):
            assert torch.equal(model(ids(OPENINGS[0])).logits, routed)
        with bank.fixed(other):
            assert not torch.equal(model(ids(OPENINGS[0])).logits, routed)


def test_from_disk_one_path_is_read_and_says_the_same(model, bank, tmp_path):
    save_file(bank.tensors(), tmp_path / "bank.safetensors")
    cold = ColdBank(KNOBS, model, tmp_path / "bank.safetensors", warm=1)
    of_leaf = 2 * 2 * 3 * 16 * 4  # keys and values, two layers, three units, in float32
    with bank.attach(model):
        expected = model(ids(OPENINGS[0])).logits
    with cold.attach(model):
        assert torch.equal(model(ids(OPENINGS[0])).logits, expected)
        assert cold.bytes_read == of_leaf
        model(ids(OPENINGS[0]))
        assert cold.bytes_read == of_leaf  # still warm
    assert cold.bytes_hot == 2 * of_leaf  # the two nodes of the upper level
