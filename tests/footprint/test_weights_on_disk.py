"""Weights on disk: whole layers, and neurons of feed-forward layers of ReLU."""

import pytest
import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.footprint import attached
from mnemos.footprint.weights.active_neurons import Bounded, LowRank
from mnemos.footprint.weights.files import Drive, RowFile
from mnemos.footprint.weights.neurons_on_disk import NeuronsOnDisk
from mnemos.footprint.weights.paged_weights import PagedWeights
from mnemos.footprint.weights.relu_feeds import find, recorded

WIDTH, INNER = 16, 64


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(WIDTH, INNER, bias=False), nn.Linear(WIDTH, INNER)
        self.down_proj, self.act_fn = nn.Linear(INNER, WIDTH), nn.ReLU()

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class Residual(nn.Module):
    def __init__(self, gated, sparse):
        super().__init__()
        self.mlp = Gated() if gated else nn.Sequential(nn.Linear(WIDTH, INNER), nn.ReLU(), nn.Linear(INNER, WIDTH))
        if sparse and not gated:
            nn.init.constant_(self.mlp[0].bias, -0.5)

    def forward(self, x):
        return x + self.mlp(x)


def model(gated=False, layers=4, sparse=True):
    torch.manual_seed(0)
    return nn.Sequential(*(Residual(gated, sparse) for _ in range(layers))).requires_grad_(False)


def tokens(count, seed=1):
    return torch.randn(count, 1, WIDTH, generator=torch.Generator().manual_seed(seed))


def said(network, x):
    return torch.stack([network(token) for token in x])


def weights(network):
    return [p.detach().clone() for p in network.parameters()]


def test_rows_come_back_and_neighbours_in_one_call():
    rows = torch.randn(10, 3)
    file = RowFile(Drive(cold=True, threads=2))
    file.write(rows)
    out = torch.zeros(5, 3)
    file.read([1, 2, 3, 7, 9], out)
    assert torch.equal(out, rows[[1, 2, 3, 7, 9]])
    assert (file.reads.calls, file.reads.nbytes) == (3, 5 * 3 * 4)
    file.close()


def test_a_disk_is_as_slow_as_it_is_named():
    file = RowFile(Drive(bandwidth=4000, latency=0.002))
    file.write(torch.zeros(10, 10))
    file.read([0, 2], torch.zeros(2, 10))
    assert file.reads.seconds >= 0.02  # 80 bytes at 4,000 a second
    file.read([4], torch.zeros(1, 10))
    assert file.reads.seconds >= 0.022
    with pytest.raises(InvalidInput, match="limits below 0"):
        RowFile(Drive(latency=-1))


@pytest.mark.parametrize(("pinned", "loads"), [(False, 4 * 3), (True, 3 * 3)])
def test_layers_on_disk_compute_what_they_compute_in_memory(pinned, loads):
    network, x = model(), tokens(3)
    expected, before = said(network, x), weights(network)
    method = PagedWeights(share=0.5, pinned=pinned)
    with attached(network, method):
        assert torch.equal(said(network, x), expected)
        storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in network.parameters()}
        assert method.held <= 0.5 * sum(w.nbytes for w in before)
        assert sum(size for size in storages.values() if size > 4) == method.held
    # the least recently used of a cycle is the next one; with one pinned three take turns in the room of one
    assert method.loads == loads
    assert method.reads.nbytes == loads * sum(w.nbytes for w in before) / 4
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))


def test_a_weight_that_two_layers_share_stays_in_memory():
    network = model()
    network[1].mlp[0] = network[0].mlp[0]
    x = tokens(2)
    expected, before = said(network, x), weights(network)
    with attached(network, PagedWeights(share=0.6)):
        assert torch.equal(said(network, x), expected)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))


def test_a_gradient_through_the_disk_and_a_share_without_room_are_refused():
    network = model().requires_grad_(True)
    for method in (PagedWeights(), NeuronsOnDisk()):
        with attached(network, method), pytest.raises(InvalidInput, match="no_grad"):
            network(tokens(1).requires_grad_())
    for method in (PagedWeights(share=0.2), NeuronsOnDisk(share=0.0)):
        with pytest.raises(InvalidInput, match="larger"), attached(network, method):
            pass
    with pytest.raises(InvalidInput, match="no feed-forward layers"), attached(nn.Linear(2, 2), NeuronsOnDisk()):
        pass
    with pytest.raises(InvalidInput, match="no_grad"), attached(network, PagedWeights()):
        network(tokens(1))
    assert network[0].mlp[0].weight.shape == (INNER, WIDTH)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"window": 0}, {"window": None}, {"bundled": False}, {"share": 0.4, "window": None}]
)
def test_neurons_on_disk_compute_what_they_compute_in_memory(gated, options):
    network, x = model(gated), tokens(12)
    many = tokens(20, 2)[:, 0]  # one call of as many tokens: more neurons than there is room for
    expected, expected_many, before = said(network, x), network(many), weights(network)
    method = NeuronsOnDisk(**options)
    with attached(network, method):
        torch.testing.assert_close(said(network, x), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(network(many), expected_many, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(said(network, x), expected, atol=1e-5, rtol=1e-5)
        assert method.held <= method.share * sum(w.nbytes for w in before)
        for layer in (block.mlp for block in network):
            held = layer.numbers[: layer.count]
            assert torch.equal(layer.slot[held], torch.arange(layer.count))
            assert (layer.slot >= 0).sum() == layer.count
    assert all(torch.equal(a, b) for a, b in zip(before, weights(network), strict=True))
    assert type(network[0].mlp) in (nn.Sequential, Gated)


def read(**options):
    network, method = model(), NeuronsOnDisk(**{"share": 0.9, **options})
    x = torch.cumsum(tokens(30), 0) / 3  # each like the one before
    with attached(network, method):
        said(network, x)
    return method


def test_a_window_saves_reads_and_one_read_a_neuron_is_half_of_two():
    window, none, apart = read(window=5), read(window=0), read(window=5, bundled=False)
    assert window.reads.nbytes < 0.7 * none.reads.nbytes
    assert apart.reads.nbytes == window.reads.nbytes
    assert apart.reads.calls == 2 * window.reads.calls


def test_hot_neurons_are_never_read_again():
    network, x = model(), tokens(40)
    inputs = recorded(network, lambda: said(network, x))
    method = NeuronsOnDisk(share=0.5, hot=1.0, window=None, inputs=inputs)
    with attached(network, method):
        said(network, x)
        layer = network[0].mlp
        hot = layer.numbers[: len(layer.numbers) - 1]
        often = (inputs["0.mlp"] @ weights(model())[0].T + weights(model())[1] > 0).sum(0)
        assert often[hot].min() >= often[[n for n in range(INNER) if n not in hot.tolist()]].max()
    with pytest.raises(InvalidInput, match="recorded"), attached(network, NeuronsOnDisk(hot=0.5)):
        pass


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_the_bound_misses_no_active_neuron_and_names_few_others(scale):
    torch.manual_seed(0)
    weight, bias, x = torch.randn(300, 64) * scale, torch.randn(300), torch.randn(100, 64)
    active, found = x @ weight.T + bias > 0, Bounded().finder(weight, bias, None)
    assert not (active & ~found(x)).any()
    assert (found(x) & ~active).float().mean() < 0.05
    assert found.nbytes < 0.35 * weight.nbytes


def test_a_map_of_low_rank_misses_what_it_was_allowed_to():
    torch.manual_seed(0)
    x = torch.randn(600, 8) @ torch.randn(8, 64)  # of rank 8
    weight, bias = torch.randn(200, 64), torch.full((200,), -20.0)
    found = LowRank(rank=12, missed=0.03, steps=100).finder(weight, bias, x)
    active = x @ weight.T + bias > 0
    assert (active & ~found(x)).sum() / active.sum() <= 0.031
    assert (found(x) & ~active).float().mean() < 0.1
    with pytest.raises(InvalidInput, match="recorded"):
        LowRank().finder(weight, bias, None)


def test_feeds_are_found_by_what_they_are():
    assert list(find(model(gated=True))) == ["0.mlp", "1.mlp", "2.mlp", "3.mlp"]
    assert find(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2))) == {}
