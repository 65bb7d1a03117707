"""Layers in slices: what is found by tracing, that results stay, and that memory does what was estimated."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.footprint import attached
from mnemos.footprint.activations.chunk_flow import flow, name, shape
from mnemos.footprint.activations.chunk_plan import Memory, Region, inner, regions
from mnemos.footprint.activations.chunked import Chunked, _Layer

WIDTH, HEADS = 32, 4


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, mask=None):
        b, t, d = x.shape
        q, k, v = self.qkv(self.first(x)).view(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / 3
        scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1) if mask is None else mask, -1e9)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.feed(self.second(x))


def blocks():
    torch.manual_seed(0)
    return nn.Sequential(Block())


def tokens(rows=1, length=96):
    return torch.randn(rows, length, WIDTH, generator=torch.Generator().manual_seed(1))


def traced(module, *given):
    with torch.no_grad():
        layer = _Layer(Chunked(share=1.0), "layer", module)
        layer(*given)
    (program,) = layer.plans.values()
    return program


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_slices_change_nothing_and_the_estimate_keeps_to_the_budget(rows, share):
    model, x = blocks(), tokens(rows)
    method = Chunked(share=share)
    with torch.no_grad():
        expected = model(x)
        with attached(model, method):
            torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)
            whole = Memory(traced(Block(), x).items).peak
            for program in model[0].plans.values():
                assert Memory(program.items).peak <= share * whole
    assert len(method.why) >= 1
    assert type(model[0]) is Block


def test_gradients_are_those_of_the_layer():
    model, x = blocks(), tokens()
    expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    with attached(model, Chunked(share=0.2)) as usage:
        assert usage.kept == 0
        got = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_a_layer_is_traced_once_for_each_shape_and_other_arguments_are_part_of_it():
    model, x = Block(), tokens()
    holder = nn.ModuleList([model])
    mask = torch.zeros(96, 96, dtype=torch.bool)
    with torch.no_grad(), attached(holder, Chunked(share=0.4)):
        torch.testing.assert_close(holder[0](x), model(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(holder[0](x, mask=mask), model(x, mask=mask), atol=1e-5, rtol=1e-5)
        for length in (96, 60, 96):
            torch.testing.assert_close(holder[0](x[:, :length]), model(x[:, :length]), atol=1e-5, rtol=1e-5)
        assert len(holder[0].plans) == 3


def test_every_region_computes_what_its_operations_compute():
    """The flow of each operation, by brute force: each region that is found, in slices that do not divide its size."""
    model, x = Block(), tokens(2, 12)
    with torch.no_grad():
        expected = model(x)
        program = traced(model, x)
        order, found, seen = program.order, 0, set()
        for end in order:
            for region in regions(order, end):
                chunked = Region(region.members, region.dims, region.edges, max(1, region.size * 2 // 5))
                program.items = [i for i in order if i.op == "call_function" and i not in region.members[:-1]]
                program.items[program.items.index(end)] = chunked
                torch.testing.assert_close(program.run([x]), expected, atol=1e-5, rtol=1e-5)
                found += 1
                seen |= {name(member) for member in region.members}
    assert found > 50
    assert {
        "linear",
        "matmul",
        "softmax",
        "layer_norm",
        "rms_norm",
        "gelu",
        "view",
        "permute",
        "unbind",
        "reshape",
    } <= seen


OPERATIONS = {
    "cat": lambda x: torch.cat([x, 2 * x], 1),
    "split": lambda x: torch.mul(*x.split(3, -1)),
    "select": lambda x: x[:, 1],
    "unsqueeze": lambda x: x.unsqueeze(1) + 1,
    "mean": lambda x: x.mean(1),
    "sum": lambda x: x.sum(-1, keepdim=True),
    "slice": lambda x: x[..., 1:4] * 2,
    "expand": lambda x: x[:, None].expand(-1, 3, -1, -1) + 1,
    "cumsum": lambda x: x.cumsum(1),
    "bmm": lambda x: torch.bmm(x, x.transpose(1, 2)),
    "log_softmax": lambda x: x.log_softmax(1),
    "embedding": lambda x: F.embedding((x > 0).long(), torch.eye(5)),
    "scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(
        x[:, None], 2 * x[:, None], 3 * x[:, None]
    ),
    "amax": lambda x: x.amax([0, 2]),
}


class Function(nn.Module):
    def __init__(self, work):
        super().__init__()
        self.work = work

    def forward(self, x):
        return self.work(x.exp()).tanh()


@pytest.mark.parametrize("kind", OPERATIONS)
def test_an_operation_is_made_of_the_slices_that_its_rule_says(kind):
    module, x = Function(OPERATIONS[kind]), torch.randn(4, 5, 6)
    program = traced(module, x)
    expected, order, found = module(x), program.order, 0
    assert kind in [name(node) for node in order]
    for end in order:
        for region in regions(order, end):
            program.items = [i for i in order if i.op == "call_function" and i not in region.members[:-1]]
            program.items[program.items.index(end)] = Region(region.members, region.dims, region.edges, 2)
            torch.testing.assert_close(program.run([x]), expected)
            found += kind in [name(member) for member in region.members]
    assert found


def test_what_mixes_along_a_dimension_is_not_cut_along_it():
    program = traced(Function(lambda x: x.softmax(1)), torch.randn(4, 5, 6))
    (node,) = (n for n in program.order if name(n) == "softmax")
    assert flow(node, 1) is None
    assert list(flow(node, 2).values()) == [2]
    causal = Function(
        lambda x: F.scaled_dot_product_attention(x[:, None], 2 * x[:, None], 3 * x[:, None], is_causal=True)
    )
    program = traced(causal, torch.randn(4, 5, 6))
    (node,) = (n for n in program.order if name(n) == "scaled_dot_product_attention")
    assert flow(node, 2) is None
    assert flow(node, 0) is not None


def test_bytes_are_counted_from_the_operation_that_makes_them_to_the_last_that_reads_them():
    program = traced(Function(lambda x: (x + 1) * 2), torch.randn(10, 100))
    assert Memory(program.items).now == [4000, 8000, 8000, 8000]  # one before and one after
    end = [n for n in program.order if n.op == "call_function"][-1]
    largest = [r for r in regions(program.order, end) if shape(end)[r.dims[end]] == 10][-1]
    assert len(largest.members) == 4
    assert inner(largest) == 800


def test_a_budget_that_cannot_be_kept_is_said_and_what_writes_in_place_is_refused():
    with torch.no_grad():
        model, x = blocks(), tokens()
        with attached(model, Chunked(budget=10)), pytest.warns(UserWarning, match="give more"):
            torch.testing.assert_close(model(x), blocks()(x), atol=1e-5, rtol=1e-5)
        writing = nn.Sequential(Function(lambda x: x.relu_()))
        with attached(writing, Chunked()), pytest.raises(InvalidInput, match="writes into"):
            writing(x)
