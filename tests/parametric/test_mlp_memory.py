"""A datastore against its definition, and the MLP that learns what it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.parametric.recall.datastore import Datastore
from mnemos.parametric.recall.mlp_memory import MLPMemory, mixed


@pytest.fixture
def store():
    """Twelve places, the tokens of which are theirs but for one in five."""
    made = torch.Generator().manual_seed(0)
    places = 3 * torch.randn(12, 8, generator=made)
    at = torch.randint(12, (400,), generator=made)
    tokens = torch.where(torch.rand(400, generator=made) < 0.8, at % 5, torch.randint(5, (400,), generator=made))
    return Datastore(places[at] + 0.1 * torch.randn(400, 8, generator=made), tokens, vocabulary=5, k=8)


def test_the_nearest_keys_vote_by_their_distances(store):
    query = torch.randn(8, generator=torch.Generator().manual_seed(1))
    distances = sorted(
        (float((key - query).square().sum()), int(t)) for key, t in zip(store.keys, store.tokens, strict=True)
    )
    chances = torch.zeros(5)
    for distance, token in distances[:8]:
        chances[token] += torch.exp(torch.tensor((distances[0][0] - distance) / store.temperature))
    torch.testing.assert_close(
        store.log_probabilities(query[None])[0].exp(), chances / chances.sum(), atol=1e-4, rtol=1e-3
    )


def test_an_entry_does_not_vote_for_itself():
    keys = torch.tensor([[0.0], [10.0], [10.1], [10.2]])
    store = Datastore(keys, torch.tensor([0, 1, 1, 1]), vocabulary=2, k=2, temperature=1.0)
    assert store.log_probabilities(keys[:1]).argmax() == 0
    assert store.log_probabilities(keys[:1], leave_out_nearest=True).argmax() == 1


def test_a_stored_datastore_says_the_same(store):
    again = Datastore.load(store.tensors(), vocabulary=5, k=8)
    assert torch.equal(again.log_probabilities(store.keys[:9]), store.log_probabilities(store.keys[:9]))


def test_the_mlp_learns_what_the_neighbours_say_in_fewer_bytes_per_entry(store):
    torch.manual_seed(0)
    memory = MLPMemory(8, 5, inner=16, blocks=1)
    wanted = store.log_probabilities(store.keys, leave_out_nearest=True).exp()

    def divergence():
        with torch.no_grad():
            return float(
                torch.nn.functional.kl_div(memory.log_probabilities(store.keys), wanted, reduction="batchmean")
            )

    before, size = divergence(), memory.nbytes
    memory.distil(store, share=1.0, steps=150, batch=128, rate=1e-2)
    assert divergence() < 0.3 * before
    assert memory.nbytes == size
    again = MLPMemory(8, 5, inner=16, blocks=1)
    again.load_state_dict(memory.tensors())
    assert torch.equal(again.log_probabilities(store.keys), memory.log_probabilities(store.keys))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 99))
def test_what_is_mixed_are_chances(share, seed):
    model, memory = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    torch.testing.assert_close(mixed(model, memory, share).exp(), share * memory.exp() + (1 - share) * model.exp())


def test_shares_and_sizes_that_cannot_be_are_refused():
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        mixed(torch.zeros(1, 2), torch.zeros(1, 2), 1.5)
    with pytest.raises(InvalidInput, match="more than k"):
        Datastore(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long), vocabulary=2, k=4)
