"""What the layers with a matrix memory claim beyond the contract: `tests/contracts/test_mixers.py` holds what all share."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.linear.attention import Attention
from mnemos.neural.linear.attention_rnn import AttentionRNN
from mnemos.neural.linear.based import Based
from mnemos.neural.linear.bounded import BoundedMemory
from mnemos.neural.linear.causal_relation import CausalRelation
from mnemos.neural.linear.features import size, taylor
from mnemos.neural.linear.ffm import FastAndForgetfulMemory
from mnemos.neural.linear.lightnet import LightNet
from mnemos.neural.linear.linear_attention import LinearAttention
from mnemos.neural.linear.mamba2 import Mamba2
from mnemos.neural.linear.mixture import MixtureOfMemories
from mnemos.neural.linear.mlstm import MLSTM
from mnemos.neural.linear.prefix import PrefixLinearAttention, read_twice
from mnemos.neural.linear.resonance import SynapticResonance
from mnemos.neural.linear.retention import Retention
from mnemos.neural.linear.rules import delta_naive
from mnemos.neural.linear.rwkv7 import RWKV7
from mnemos.neural.linear.transition import transition

CLOSE = {"atol": 1e-9, "rtol": 1e-7}


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(layer):
    return layer.double().eval()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


OPTIONS = [
    MLSTM(8, 2, gate="sigmoid", cap=None, input_bias=0.0),
    MLSTM(8, 2, key=3, value=5),
    Based(8, 2, key=3),
    Retention(8, 2, slowness=2),
    MixtureOfMemories(8, 3, 1, update="additive", shared=False),
    BoundedMemory(8, 2, window=None, ceiling=0.5),
    BoundedMemory(8, 2, window=None, keep=0.9),
    BoundedMemory(8, window=5, keep=0.9, write=0.5),
    CausalRelation(8, "linear", inner=6),
    CausalRelation(8, "growing", "relu", inner=6),
    FastAndForgetfulMemory(8, 5, 3, oscillate=False),
    FastAndForgetfulMemory(8, 5, 3, forget=False),
    SynapticResonance(8, 2, window=4),
    Attention(8, 2, window=3, persistent=2),
    RWKV7(8, 2, key=3, value=5),
]


@pytest.mark.parametrize("layer", OPTIONS, ids=lambda layer: type(layer).__name__)
def test_options_keep_the_fast_form_equal_to_the_formula(layer):
    made(layer)
    begun = layer(drawn(2, 7, 8))[1]
    x = drawn(3, 37, 8, seed=1)[:2]
    fast, after = layer(x, begun)
    slow, wanted = layer.naive(x, begun)
    torch.testing.assert_close(fast, slow, **CLOSE)
    for name in wanted:
        torch.testing.assert_close(after[name], wanted[name], **CLOSE)
    mask = torch.arange(37) < torch.tensor([[37], [11]])
    short = layer(x, begun, mask)
    alone = layer(x[1:, :11], {name: t[1:] for name, t in begun.items()})
    torch.testing.assert_close(short[0][1:, :11], alone[0], **CLOSE)


def test_taylor_features_multiply_to_the_polynomial():
    q, k = drawn(5, 7), drawn(5, 7, seed=1)
    dot = (q * k).sum(-1)
    for degree, wanted in ((0, 1 + 0 * dot), (1, 1 + dot), (2, 1 + dot + dot**2 / 2)):
        assert taylor(q, degree).shape[-1] == size(7, degree)
        torch.testing.assert_close((taylor(q, degree) * taylor(k, degree)).sum(-1), wanted)
    with pytest.raises(InvalidInput, match="degree"):
        size(7, 3)


def test_retention_is_attention_with_a_fixed_decay():
    layer, x = made(Retention(8, 1, slowness=3)), drawn(1, 30, 8)
    q, k, v = (layer.split(to(x)) for to in (layer.to_q, layer.to_k, layer.to_v))
    q, k = layer.features(q), layer.features(k)
    ages = torch.arange(30)[:, None] - torch.arange(30)
    weights = torch.where(ages >= 0, (1 - 2.0**-3) ** ages.double(), 0.0)
    wanted = layer.answer((q @ k.transpose(-1, -2) * weights) @ v, x)
    torch.testing.assert_close(layer(x)[0], wanted, **CLOSE)


def test_blocks_of_a_stream_see_themselves_and_all_before_in_constant_state():
    layer, x = made(LinearAttention(8, 2)), drawn(2, 24, 8)
    state, out, sizes = layer.init_state(2), [], set()
    for block in x.split(6, 1):
        y, state = layer.read_block(block, state)
        out.append(y)
        sizes.add(state["memory"].numel())
    parts = layer.parts(x, layer.init_state(2), None)
    seen = torch.arange(24)[:, None] // 6 >= torch.arange(24) // 6
    wanted = layer.answer((parts.q @ parts.k.transpose(-1, -2) * seen) @ parts.v, x)
    torch.testing.assert_close(torch.cat(out, 1), wanted, **CLOSE)
    assert len(sizes) == 1


def test_the_generalised_delta_rule_is_the_delta_rule_where_nothing_fades():
    q, v, S = drawn(1, 2, 33, 4), drawn(1, 2, 33, 6, seed=2), drawn(1, 2, 4, 6, seed=3)
    k = torch.nn.functional.normalize(drawn(1, 2, 33, 4, seed=1), dim=-1)
    beta, none = drawn(1, 2, 33, 1, seed=4).sigmoid(), torch.zeros_like(k)
    wanted = delta_naive(q, k, v, none[..., :1], beta, S)
    for found, right in zip(transition(q, beta * k, v, none, -k, beta * k, S), wanted, strict=True):
        torch.testing.assert_close(found, right, **CLOSE)


def test_the_mlstm_with_its_stabiliser_is_the_one_without():
    layer, x = made(MLSTM(8, 1, input_bias=0.0)), drawn(1, 20, 8)
    write, keep = layer.gates(x, None, x)
    parts, C, out = layer.parts(x, layer.init_state(1), None), torch.zeros(8, 9, dtype=torch.float64), []
    for t in range(20):
        k, v = parts.k[0, 0, t], parts.v[0, 0, t]
        C = keep[0, 0, t].exp() * C + write[0, 0, t].exp() * torch.outer(k, v)
        read = parts.q[0, 0, t] @ C
        out.append(read[:-1] / read[-1].abs().clamp_min(1))
    torch.testing.assert_close(layer(x)[0], layer.answer(torch.stack(out)[None, None], x), **CLOSE)


def test_the_mlstm_is_finite_with_gates_beyond_what_an_exponential_can_hold():
    layer = MLSTM(8, 1, cap=None).eval()
    with torch.no_grad():
        layer.to_gates.bias.copy_(torch.tensor([300.0, 5.0]))
    y, state = layer(torch.randn(1, 50, 8))
    assert y.isfinite().all()
    assert state["memory"].isfinite().all()
    assert (state["m"] > 200).all()


def test_lightnet_is_a_cumulative_softmax():
    layer, x = made(LightNet(8, 2)), drawn(2, 21, 8)
    q, k, v = layer.said(x, layer.init_state(2), None)
    reads = [q[:, :, t, None] @ (k[:, :, : t + 1].softmax(2).transpose(-1, -2) @ v[:, :, : t + 1]) for t in range(21)]
    torch.testing.assert_close(layer(x)[0], layer.answer(torch.cat(reads, 2), x), **CLOSE)


def test_lightnet_reads_a_set_in_one_pass_whatever_its_order():
    layer, x = made(LightNet(8, 2)), drawn(1, 16, 8)
    order = torch.randperm(16)
    torch.testing.assert_close(layer.everything(x[:, order]), layer.everything(x)[:, order], **CLOSE)
    torch.testing.assert_close(layer.everything(x)[:, -1], layer(x)[0][:, -1], **CLOSE)


def test_attention_as_an_rnn_is_attention_of_a_fixed_query_over_every_prefix():
    layer, x = made(AttentionRNN(8, 2)), drawn(1, 70, 8) * 5
    _, score, v = layer.said(x, layer.init_state(1), None)
    wanted = [(score[:, :, : t + 1].softmax(2) * v[:, :, : t + 1]).sum(2) for t in range(70)]
    torch.testing.assert_close(layer(x)[0], layer.out(torch.stack(wanted, 1).flatten(2)), **CLOSE)
    assert layer.state_size(10) == layer.state_size(10_000)


def test_causal_relation_in_linear_mode_is_the_sum_over_pairs():
    layer, x = made(CausalRelation(8, "linear")), drawn(1, 12, 8)
    pairs = (layer.to_q(x)[:, :, None] + layer.to_k(x)[:, None]).exp() * torch.ones(12, 12).tril()[..., None]
    sums = pairs.sum(2)
    largest = sums / sums.amax(-1, keepdim=True)  # the norm takes a factor away, but for its epsilon
    torch.testing.assert_close(layer(x)[0], layer.answer(largest, x), atol=1e-5, rtol=1e-5)
    assert layer.state_size(100) == 8
    assert CausalRelation(8).state_size(100) == 900


def test_a_prefix_is_seen_whole_and_what_follows_sees_the_past():
    layer, x = made(PrefixLinearAttention(8, 2)), drawn(2, 9, 8)
    prompt, rest = x[:, :5], x[:, 5:]
    y, state = layer.read_prefix(prompt)
    changed = prompt.clone()
    changed[:, 4] += 1
    assert not torch.allclose(layer.read_prefix(changed)[0][:, 0], y[:, 0])  # the first token sees the last one
    padded = torch.cat([prompt, drawn(2, 3, 8, seed=5)], 1)
    mask = torch.arange(8).expand(2, -1) < 5
    torch.testing.assert_close(layer.read_prefix(padded, mask)[0][:, :5], y, **CLOSE)
    torch.testing.assert_close(layer.read_prefix(padded, mask)[1]["memory"], state["memory"], **CLOSE)
    encoded = layer.features(layer.split(layer.encode_k(prompt)))
    values = torch.cat([layer.split(layer.encode_v(prompt)), torch.ones(2, 2, 5, 1)], -1)
    causal = layer.parts(x, layer.init_state(2), None)
    reads = [
        causal.q[:, :, t][:, :, None]
        @ (encoded.transpose(-1, -2) @ values + causal.k[:, :, : t + 1].transpose(-1, -2) @ causal.v[:, :, : t + 1])
        for t in range(9)
    ]
    wanted = layer.answer(torch.cat(reads, 2), x)
    torch.testing.assert_close(torch.cat([y, layer(rest, state)[0]], 1), wanted, **CLOSE)


def test_a_prompt_is_read_twice():
    assert read_twice(torch.tensor([[1, 2]]), torch.tensor([[3]])).tolist() == [[1, 2, 3, 1, 2, 3]]


def test_a_bounded_memory_is_the_difference_of_two_memories_of_mamba():
    whole, x, w = made(Mamba2(8, 2)), drawn(1, 20, 8), 6
    layer = made(BoundedMemory(8, 2, window=w))
    layer.load_state_dict(whole.state_dict())
    parts, states = whole.parts(x, whole.init_state(1), None), [whole.init_state(1)]
    for t in range(20):
        states.append(whole(x[:, t : t + 1], states[-1])[1])
    y = layer(x)[0]
    torch.testing.assert_close(y[:, :w], whole(x)[0][:, :w], **CLOSE)
    for t in range(w, 20):
        fade = parts.decay[:, :, t - w + 1 : t + 1].sum(2, keepdim=True).exp()
        S = states[t + 1]["memory"] - fade * states[t - w + 1]["memory"]
        wanted = layer.answer(parts.q[:, :, t : t + 1] @ S, x[:, t : t + 1])
        torch.testing.assert_close(y[:, t : t + 1], wanted, **CLOSE)


def test_a_ceiling_holds():
    layer = made(BoundedMemory(8, 2, window=None, ceiling=0.25))
    with torch.no_grad():
        layer.log_rate.fill_(-9)  # it never learned to forget
        layer.to_step.bias.fill_(1)
        norms = layer(drawn(1, 300, 8))[1]["memory"].norm(dim=(-1, -2))
        free = made(BoundedMemory(8, 2, window=None))
        free.load_state_dict(layer.state_dict())
        assert (norms <= 0.25 + 1e-9).all()
        assert (free(drawn(1, 300, 8))[1]["memory"].norm(dim=(-1, -2)) > 10).all()


def test_memories_that_a_token_is_not_routed_to_stay_as_they_were():
    layer, x = made(MixtureOfMemories(8, 4, 2)), drawn(1, 1, 8)
    before = layer(drawn(1, 9, 8, seed=3))[1]["memory"]
    after, chosen = layer(x, {"memory": before})[1]["memory"], layer.routed(x)[1][0, 0]
    changed = (after != before).flatten(2).any(-1)[0]
    assert changed.tolist() == [*(chosen > 0).tolist(), True]  # and the shared one


def test_the_balance_loss_is_one_for_an_even_load_and_trains_the_router():
    layer = MixtureOfMemories(8, 4, 2, balance=1.0)
    even, chosen = torch.full((1, 2, 4), 0.25), torch.tensor([[[1.0, 1, 0, 0], [0, 0, 1, 1]]])
    assert layer.load_loss(even, chosen).item() == pytest.approx(1)
    assert layer.load_loss(torch.eye(4)[[0, 0]][None], torch.tensor([[[1.0, 1, 0, 0]] * 2])).item() == pytest.approx(2)
    x = torch.randn(2, 9, 8)
    (0 * layer.train()(x)[0].sum()).backward()
    trained = layer.router.weight.grad.clone()
    layer.router.weight.grad = None
    layer.load_loss(*layer.routed(x)).backward()
    torch.testing.assert_close(trained, layer.router.weight.grad)


def test_a_plastic_bias_of_nothing_is_attention():
    layer, plain = made(SynapticResonance(8, 2, eta=0.0)), made(Attention(8, 2))
    plain.load_state_dict({name: t for name, t in layer.state_dict().items() if name != "eta"})
    torch.testing.assert_close(layer(drawn(1, 12, 8))[0], plain(drawn(1, 12, 8))[0], **CLOSE)


def test_persistent_tokens_are_seen_from_the_first_token_on():
    layer, x = made(Attention(8, 2, window=2, persistent=3)), drawn(1, 5, 8)
    y = layer(x)[0]
    with torch.no_grad():
        layer.always.add_(1)
    assert ((layer(x)[0] - y).abs().sum(-1) > 1e-6).all()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: MLSTM(8, gate="tanh"), "gate"),
        (lambda: MixtureOfMemories(8, 2, 3), "top"),
        (lambda: MixtureOfMemories(8, update="hebb"), "update"),
        (lambda: BoundedMemory(8, window=0), "window"),
        (lambda: CausalRelation(8, "linear", "relu"), "growing"),
        (lambda: CausalRelation(8, "sideways"), "mode"),
        (lambda: AttentionRNN(8, 3), "heads"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, word):
    with pytest.raises(InvalidInput, match=word):
        make()
