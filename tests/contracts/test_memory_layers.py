"""What every layer that looks up values by keys promises: `pytest tests/contracts/test_memory_layers.py -k NAME`."""

import pytest
import torch

from mnemos.registry import all_entries

ENTRIES = all_entries("parametric", kind="key-value-memory")
WIDTH, SLOTS = 12, 64


@pytest.fixture(params=ENTRIES, ids=lambda entry: entry.name)
def layer(request):
    torch.manual_seed(0)
    return request.param.target(WIDTH, n=8, k=3, key_width=8).eval()


@pytest.fixture
def hidden():
    return torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(1))


def test_it_names_slots_and_their_weights_the_heaviest_first(layer, hidden):
    slots, weights = layer.look_up(hidden.flatten(0, 1))
    assert slots.shape == weights.shape
    assert (slots.shape[0], slots.shape[2]) == (10, 3)
    assert 0 <= int(slots.min()) <= int(slots.max()) < SLOTS
    assert (weights[..., :-1] >= weights[..., 1:]).all()
    assert all(len(set(head)) == 3 for query in slots.tolist() for head in query)


def test_what_it_adds_to_a_token_depends_on_that_token_only(layer, hidden):
    added = layer(hidden)
    assert added.shape == hidden.shape
    for b, t in ((0, 0), (1, 4)):
        torch.testing.assert_close(layer(hidden[b, t][None])[0], added[b, t])


def test_only_the_slots_that_were_read_are_learned(layer, hidden):
    slots = set(layer.look_up(hidden.flatten(0, 1))[0].flatten().tolist())
    layer(hidden).square().sum().backward()
    of_slots = [p.grad for p in layer.parameters() if p.shape[:1] == (SLOTS,)]
    assert of_slots
    for gradient in of_slots:
        assert gradient.is_sparse
        assert set(gradient.coalesce().indices()[0].tolist()) == slots


def test_other_slots_do_not_matter(layer, hidden):
    read = layer.look_up(hidden.flatten(0, 1))[0].unique()
    others = torch.ones(SLOTS, dtype=torch.bool).index_fill(0, read, False)
    before = layer(hidden)
    for parameter in layer.parameters():
        if parameter.shape[:1] == (SLOTS,):
            parameter.data[others] = float("nan")
    assert torch.equal(layer(hidden), before)


def test_its_weights_are_all_there_is_of_it(layer, hidden):
    torch.manual_seed(9)
    again = type(layer)(WIDTH, n=8, k=3, key_width=8).eval()
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(hidden), layer(hidden))


def test_queries_are_learned_through_the_weights(layer, hidden):
    layer(hidden).square().sum().backward()
    keys = [p for name, p in layer.named_parameters() if name.split(".")[-1] == "keys"]
    assert keys
    assert all(p.grad.abs().sum() > 0 for p in keys)
