"""What is predicted: formulas against published figures and against tensors, activations, and methods for a budget."""

import pytest
import torch
from torch import nn

from mnemos.errors import InvalidInput
from mnemos.footprint import Fit, attached, offload
from mnemos.footprint.activations.disk import Disk
from mnemos.footprint.activations.in_memory import InMemory
from mnemos.footprint.activations.recomputed import Recomputed
from mnemos.footprint.plan.bytes_of import CacheBytes, TrainingBytes
from mnemos.footprint.plan.fit import nbytes
from mnemos.footprint.plan.kept import kept_bytes
from mnemos.footprint.plan.roofline import Machine, Roofline, Shape
from mnemos.footprint.plan.tiers import Tiers
from mnemos.footprint.weights.neurons_on_disk import NeuronsOnDisk
from mnemos.footprint.weights.paged_weights import PagedWeights


class Block(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(64), nn.Sequential(nn.Linear(64, 256), activation, nn.Linear(256, 64))

    def forward(self, x):
        return x + self.mlp(self.norm(x))


class Reader(nn.Module):
    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(50, 64), nn.Linear(64, 50)
        self.blocks = nn.ModuleList(Block(activation) for _ in range(6))

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def loss(model, ids):
    return model(ids).logsumexp(-1).mean()


IDS = torch.arange(8 * 100).view(8, 100) % 50


@pytest.mark.parametrize(("stage", "expected"), [(0, 16), (1, 4 + 12 / 64), (2, 2 + 14 / 64), (3, 16 / 64)])
def test_stages_take_the_bytes_of_the_paper(stage, expected):
    made = TrainingBytes(64 * 10**6, mixed=True, ranks=64, stage=stage).predict()
    assert made.nbytes == pytest.approx(expected * 64 * 10**6)


def test_training_bytes_are_those_of_the_tensors():
    model = Reader(nn.GELU())
    model.embed.requires_grad_(False)
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])
    loss(model, IDS).backward()
    adam.step()
    weights = list(model.parameters())
    learning = [p for p in weights if p.requires_grad]
    made = TrainingBytes(sum(p.numel() for p in weights), sum(p.numel() for p in learning)).predict()
    moments = [t for state in adam.state.values() for t in state.values() if t.ndim]
    assert made.parts == {
        "weights": sum(p.nbytes for p in weights),
        "gradients": sum(p.grad.nbytes for p in learning),
        "optimiser": sum(t.nbytes for t in moments),
    }
    with pytest.raises(InvalidInput, match="stage of 0, 1, 2 or 3"):
        TrainingBytes(1, stage=4).predict()


@pytest.mark.parametrize(
    ("calculator", "published"),
    [
        (CacheBytes(61, latent=512, rotated=64), 70_272),  # DeepSeek-V3, table 1 of the paper
        (CacheBytes(80, 8, 128), 327_680),  # Qwen-2.5 72B
        (CacheBytes(126, 8, 128), 516_096),  # LLaMA-3.1 405B
    ],
)
def test_bytes_a_token_are_those_of_the_paper(calculator, published):
    assert calculator.per_token == published


def test_few_bits_take_their_scales_too():
    assert CacheBytes(1, 1, 64, bits=4, group=32, tokens=10, batch=2).predict().nbytes == 20 * (64 + 4 * 4)


@pytest.mark.parametrize("methods", [(), (Recomputed(),)])
def test_what_autograd_keeps_is_counted_without_computing(methods):
    model = Reader(nn.GELU())
    with attached(model, *methods):
        counted = kept_bytes(model, IDS, run=loss)
    with attached(model, *methods, InMemory()) as usage:
        loss(model, IDS)
    assert counted.kept == usage.peak_plain
    assert model.embed.weight.grad is None


def test_the_cheapest_methods_that_fit_are_chosen_and_the_model_learns_the_same():
    model = Reader(nn.GELU())
    loss(model, IDS).backward()
    expected = [p.grad.clone() for p in model.parameters()]
    plain = Fit(model, "1GB", 8, 100, run=loss).predict().nbytes
    again = Fit(model, plain - 1, 8, 100, run=loss).predict().nbytes
    for ram, methods in ((plain, []), (plain - 1, [Recomputed]), (again - 1, [Recomputed, Disk])):
        model.zero_grad()
        with offload(model, ram, batch=8, length=100, run=loss) as chosen:
            loss(model, IDS).backward()
        assert [type(m) for m in chosen.methods] == methods
        assert chosen.prediction.nbytes <= ram
        assert chosen.prediction.why
        assert all(torch.equal(p.grad, e) for p, e in zip(model.parameters(), expected, strict=True))
    with pytest.raises(InvalidInput, match="it takes"):
        Fit(model, "1MB", 8, 100, run=loss).choose()


@pytest.mark.parametrize(("activation", "kind"), [(nn.ReLU(), NeuronsOnDisk), (nn.GELU(), PagedWeights)])
def test_a_model_that_is_read_has_weights_on_disk_where_they_do_not_fit(activation, kind):
    model = Reader(activation).requires_grad_(False)
    size = sum(p.nbytes for p in model.parameters())
    expected = model(IDS[:1, :5])
    with torch.no_grad():
        with offload(model, 2 * size, length=5, learns=False) as chosen:
            assert chosen.methods == ()
        with offload(model, int(0.6 * size), length=5, learns=False) as chosen:
            assert [type(m) for m in chosen.methods] == [kind]
            torch.testing.assert_close(model(IDS[:1, :5]), expected)
            assert chosen.prediction.nbytes <= 0.6 * size


def test_sizes_are_read_as_they_are_written():
    assert [nbytes(s) for s in (5, "2GB", "512 MiB", "1.5k")] == [5, 2 * 10**9, 2**29, 1500]
    with pytest.raises(InvalidInput, match="2GB"):
        nbytes("two")


def test_a_prompt_is_bound_by_computing_and_a_token_by_bytes():
    machine = Machine(flops=1e12, bandwidth=1e10)
    shape = Shape(weights=10**8, layers=10, heads=8, kv_heads=8, head_width=64)
    line = Roofline(shape, machine, prompt=1000, copied=0)
    prompt, why = line.passed(1000, 0)
    moving = (4 * 10**8 + 2 * 10 * 512 * 1000 * 4) / 1e10
    assert prompt == pytest.approx((2 * 1000 * 10**8 + 4 * 1000 * 1000 * 10 * 512) / 1e12 + moving)
    assert "computing" in why
    token, why = line.passed(1, 999)
    assert token == pytest.approx((2 * 10**8 + 4 * 1000 * 10 * 512) / 1e12 + moving)
    assert "bytes" in why
    quarter = Roofline(Shape(10**8, 10, 8, 2, 64), machine, prompt=1000, copied=0)
    assert quarter.cache(1000) * 4 == line.cache(1000)
    assert Roofline(shape, machine, 1000, 2, copied=0).predict().seconds == pytest.approx(prompt + 2 * token, rel=1e-3)


def test_a_machine_is_measured():
    machine = Machine.measured(width=64, rows=16)
    assert min(machine.flops, machine.bandwidth, *(rate for _, rate in machine.copies)) > 1e6


def test_copies_of_a_size_are_as_fast_as_those_of_its_neighbours():
    machine = Machine(1.0, 8.0, ((1e2, 10.0), (1e4, 2.0)))
    assert [machine.copying(size) for size in (1, 1e2, 1e3, 1e4, 1e9)] == pytest.approx([10, 10, 6, 2, 2])
    assert Machine(1.0, 8.0).copying(5) == 4.0


def test_more_sequences_spread_a_read_until_their_caches_take_the_room_of_layers():
    tiers = Tiers(layer=100, layers=10, memory=600, bandwidth=1000, fixed=0.1, each=0.01, cache=10)
    assert (tiers.resident, tiers.predict().seconds) == (4, pytest.approx(6 * 0.1 + 0.11))
    by_hand = {
        batch: batch / ((10 - ((600 - 10 * batch) // 100 - 1)) * 0.1 + 0.1 + 0.01 * batch)
        for batch in (1, 10, 20, 40, 50)
    }
    best = tiers.best([1, 10, 20, 40, 50, 1000])
    assert by_hand[best.batch] == max(by_hand.values())
    assert best.throughput == pytest.approx(max(by_hand.values()))
    assert Tiers(100, 10, 1000, 1000, fixed=0.5).predict().seconds == 0.5
    with pytest.raises(InvalidInput, match="no room"):
        Tiers(100, 10, 50, 1000).predict()


def test_a_model_that_does_not_read_tokens_is_refused_with_what_to_give():
    with pytest.raises(InvalidInput, match=r"shape \(2, 4\).*Give `run`"):
        Fit(nn.Sequential(nn.Linear(8, 8)), "1GB", batch=2, length=4).predict()
