"""What every registered compressor promises, and the parts of BitStack, bipolar integers and merged experts."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from mnemos.errors import InvalidInput
from mnemos.parametric.compress.bipolar import BipolarInt, product
from mnemos.parametric.compress.bitstack import BitStack
from mnemos.parametric.compress.carriers import rounded, widened
from mnemos.parametric.compress.experts import Expert, MergeThenCompress, alignment
from mnemos.parametric.compress.planes import pack, unpack
from mnemos.parametric.compress.stack import ModelStack, activation_norms, linear_names, stacked
from mnemos.registry import all_entries
from tests.parametric.small import TOKENIZER, WORLD, decoder, same, state

ENTRIES = all_entries("parametric", kind="compressor")
GROWS = {"bits": (2, 4, 8), "blocks": (1, 4, 8), "rank": (2, 8, 16)}  # knobs by which bytes grow


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tensors_of(part):
    if isinstance(part, torch.Tensor):
        return [part]
    parts = part if isinstance(part, tuple) else [getattr(part, n) for n in getattr(part, "__dataclass_fields__", ())]
    return [tensor for each in parts for tensor in tensors_of(each)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(24, 40), (1, 9), (33, 7)], ids=str)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_it_gives_a_matrix_back_and_holds_the_bytes_that_it_says(entry, shape, dtype):
    weight = random(*shape).to(dtype)
    before = weight.clone()
    small = entry.target().compress(weight)
    back = small.decompress()
    assert (back.shape, back.dtype) == (weight.shape, weight.dtype)
    assert torch.isfinite(back).all()
    assert torch.equal(weight, before)
    assert sum(t.numel() * t.element_size() for t in tensors_of(small)) == small.nbytes


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_more_bytes_bring_it_nearer(entry):
    weight = random(48, 64, seed=1)
    knob = next(name for name in GROWS if name in inspect.signature(entry.target).parameters)
    small = [entry.target(**{knob: value}).compress(weight) for value in GROWS[knob]]
    errors = [float((s.decompress() - weight).norm()) for s in small]
    assert [s.nbytes for s in small] == sorted({s.nbytes for s in small})
    assert errors == sorted(set(errors), reverse=True)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_a_matrix_of_zeros_stays_one(entry):
    assert entry.target().compress(torch.zeros(8, 16)).decompress().abs().max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 40), st.integers(0, 99))
def test_planes_hold_codes_of_any_width_and_no_byte_more(bits, rows, columns, seed):
    codes = torch.randint(2**bits, (rows, columns), generator=torch.Generator().manual_seed(seed))
    planes = pack(codes, bits)
    assert torch.equal(unpack(planes, columns), codes)
    assert planes.numel() == bits * rows * -(-columns // 8)


@pytest.mark.parametrize("n", range(1, 9))
def test_the_product_of_planes_is_that_of_the_integers(n):
    left = BipolarInt(n).compress(random(5, 80, seed=n))
    assert (left.integers() % 2 != 0).all()
    assert left.integers().abs().max() <= 2**n - 1
    assert left.planes.numel() * 32 == n * 5 * 80 * 4  # n/32 of float32
    for m in range(1, 9):
        right = BipolarInt(m).compress(random(3, 80, seed=m))
        assert torch.equal(product(left, right), left.integers() @ right.integers().T)


@pytest.mark.parametrize("bits", [2, 3])
def test_the_odd_grid_is_nearer_to_a_gaussian_than_that_of_integers(bits):
    weight = random(32, 256)
    odd, even = ((BipolarInt(bits, g).compress(weight).decompress() - weight).norm() for g in ("bipolar", "integer"))
    assert odd < even


def test_blocks_are_loaded_and_unloaded_and_scaling_favours_inputs_that_are_strong():
    weight, strong = random(40, 64), torch.where(torch.arange(64) < 8, 20.0, 1.0)
    scaled, plain = BitStack(4, 2).compress(weight, strong), BitStack(4, 2).compress(weight)
    inputs = random(200, 64, seed=1) * strong
    errors = [[float((inputs @ (s.at(i).decompress() - weight).T).norm()) for i in range(5)] for s in (scaled, plain)]
    assert errors[0] == sorted(errors[0], reverse=True)
    assert errors[0][4] < errors[1][4]
    assert torch.equal(scaled.at(2).at(4).decompress(), scaled.decompress())
    assert scaled.at(9).loaded == 4


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_model_is_one_stack_that_any_budget_cuts(family, tmp_path):
    model = decoder(family)
    original = state(model)
    tokens = torch.tensor([TOKENIZER(WORLD.facts[0].statement())["input_ids"]])
    wanted = model(input_ids=tokens).logits.detach()
    names = linear_names(model)

    def loss():
        with torch.no_grad():
            return float((model(input_ids=tokens).logits - wanted).square().mean())

    for gain in (None, loss):
        stack = stacked(model, gain, activation_norms(model, names, [tokens]), names, BitStack(3, 1))
        assert same(model, original)
        full = stack.least + sum(b.nbytes for s in stack.stacks.values() for b in s.blocks)
        stack.save(tmp_path / "stack.safetensors")
        for budget in (stack.least, full // 2, full):
            held = stack.load_into(model, budget)
            assert budget * 0.7 <= held <= budget
            read = ModelStack.load(tmp_path / "stack.safetensors", budget)
            assert held == sum(s.nbytes for s in read.stacks.values())
        nearest = loss()
        stack.load_into(model, full // 2)
        assert nearest < loss()
        model.load_state_dict(original)
    with pytest.raises(InvalidInput, match="below"):
        stack.loaded(stack.least - 1)
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidInput, match="not a stack"):
        ModelStack.load(tmp_path / "other.safetensors")


def experts(count, neurons=12, width=6):
    return [
        Expert((random(neurons, width, seed=i), random(neurons, seed=i + 50)), random(width, neurons, seed=i + 99))
        for i in range(count)
    ]


def test_an_expert_whose_neurons_were_shuffled_is_put_back_in_order():
    (leader,) = experts(1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(4))
    shuffled = leader.permuted(order)
    assert torch.equal(order[alignment(leader, shuffled)], torch.arange(12))
    merged = MergeThenCompress().merge([leader, shuffled], random(9, 2), torch.tensor([3, 2]), 1)
    torch.testing.assert_close(merged.experts[0].down, leader.down)
    blind = MergeThenCompress(align=False).merge([leader, shuffled], random(9, 2), torch.tensor([3, 2]), 1)
    assert not torch.allclose(blind.experts[0].down, leader.down)


def test_experts_join_the_leader_they_are_routed_like_and_weigh_as_they_are_used():
    four = experts(4)
    logits = random(50, 2)[:, [0, 1, 0, 1]] + 0.01 * random(50, 4, seed=1)
    merged = MergeThenCompress(align=False).merge(four, logits, torch.tensor([30, 50, 10, 0]), 2)
    assert merged.group.tolist() == [1, 0, 1, 0]
    torch.testing.assert_close(merged.experts[1].down, (3 * four[0].down + four[2].down) / 4)
    torch.testing.assert_close(merged.experts[0].down, four[1].down)
    with pytest.raises(InvalidInput, match="count is 5"):
        MergeThenCompress().merge(four, logits, torch.ones(4), 5)


def test_a_carrier_in_few_bits_comes_back_near_it():
    tensors = {
        "lora.a": random(16, 200), "keys": random(2, 3, 8, 64).half(), "small": random(5),
        "slots": torch.arange(600).view(2, 300),
    }  # fmt: skip
    for bits, most in ((8, 0.02), (4, 0.4)):
        small = rounded(tensors, bits)
        back = widened(small)
        assert back.keys() == tensors.keys()
        assert torch.equal(back["small"], tensors["small"])
        assert torch.equal(back["slots"], tensors["slots"])
        for name in ("lora.a", "keys"):
            assert (back[name].dtype, back[name].shape) == (tensors[name].dtype, tensors[name].shape)
            assert (back[name].float() - tensors[name].float()).abs().max() < most
        held = sum(t.numel() * t.element_size() for n, t in small.items() if n.startswith("lora.a/"))
        assert held < 16 * 200 * bits / 8 * 1.25 + 64
    with pytest.raises(InvalidInput, match="rounded already"):
        rounded(rounded(tensors))
