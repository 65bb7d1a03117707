"""Cells in all their options: the fast form is the formula; what each remembers, by construction."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.neural.model import mixer
from mnemos.neural.recurrent.bilinear import BilinearRNN
from mnemos.neural.recurrent.elm_neuron import ELMNeuron
from mnemos.neural.recurrent.gru import GRU
from mnemos.neural.recurrent.leaky_rnn import LeakyRNN
from mnemos.neural.recurrent.lem import LEM
from mnemos.neural.recurrent.lstm import LSTM
from mnemos.neural.recurrent.probes import gradients_by_lag
from mnemos.neural.recurrent.slstm import SLSTM
from mnemos.neural.recurrent.tanh_rnn import TanhRNN
from mnemos.neural.recurrent.wave_rnn import WaveRNN

VARIANTS = {
    "slstm heads": lambda: SLSTM(6, 8, heads=2),
    "slstm sigmoid": lambda: SLSTM(6, input_gate="sigmoid"),
    "slstm exponential forget": lambda: SLSTM(6, forget_gate="exponential"),
    "irnn": lambda: TanhRNN(6, 10, start="identity"),
    "gru": lambda: GRU(6, 10),
    "lstm": lambda: LSTM(6, 10),
    "lem": lambda: LEM(6, 10, dt=0.3),
    "elm learned": lambda: ELMNeuron(6, 9, branches=4, synapses=3, learned=True),
    "wave": lambda: WaveRNN(6, 3, places=7, speed=0.7),
    "wave random": lambda: WaveRNN(6, 2, places=5, start="random"),
    "leaky": lambda: LeakyRNN(6, 9, tau=4.0),
    "bilinear full": lambda: BilinearRNN(6, 5, "full"),
    "bilinear full in chunks": lambda: BilinearRNN(6, 5, "full", chunk=4),
    "bilinear factorised in chunks": lambda: BilinearRNN(6, 5, rank=3, chunk=5),
    "bilinear rotation": lambda: BilinearRNN(6, 4, "rotation"),
    "bilinear signed": lambda: BilinearRNN(6, 5, "signed"),
    "bilinear positive": lambda: BilinearRNN(6, 5, "positive"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_fast_form_of_a_variant_is_the_formula(name):
    torch.manual_seed(0)
    layer = VARIANTS[name]().double()
    x = torch.randn(2, 14, 6, dtype=torch.float64)
    mask = torch.tensor([[True] * 14, [False] * 3 + [True] * 7 + [False] * 4])
    begun = layer(torch.randn(2, 3, 6, dtype=torch.float64))[1]
    (fast, end), (slow, wanted) = layer(x, begun), layer.naive(x, begun)
    torch.testing.assert_close(fast, slow, atol=1e-9, rtol=1e-7)
    for key in wanted:
        torch.testing.assert_close(end[key], wanted[key], atol=1e-9, rtol=1e-7)
    padded, _ = layer(x, begun, mask)
    alone, _ = layer(x[1:, 3:10], {key: value[1:] for key, value in begun.items()})
    torch.testing.assert_close(padded[1:, 3:10], alone, atol=1e-9, rtol=1e-7)
    a, b = ([p.grad for p in _backward(layer, y)] for y in (fast, slow))
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-6)


def _backward(layer, y):
    for p in layer.parameters():
        p.grad = None
    y.square().sum().backward(retain_graph=True)
    return [p for p in layer.parameters() if p.grad is not None]


def test_a_new_lstm_remembers_and_a_tanh_network_does_not():
    torch.manual_seed(0)
    x = 0.1 * torch.randn(4, 60, 16)
    tanh, lstm, low = (
        gradients_by_lag(layer, x) for layer in (TanhRNN(16), LSTM(16, forget_bias=4.0), LSTM(16, forget_bias=-2.0))
    )
    assert tanh[50] / tanh[5] < 1e-6  # exponential
    assert lstm[50] / lstm[5] > 0.1
    assert low[50] / low[5] < 1e-6


def test_slstm_stays_finite_with_large_gates_and_weighs_exponentially():
    torch.manual_seed(0)
    layer = SLSTM(4)
    layer.enter.weight.data.mul_(300)  # logits of many hundreds: exp would overflow
    y, state = layer(torch.randn(2, 50, 4))
    assert y.isfinite().all()
    assert all(t.isfinite().all() for t in state.values())
    assert (state["c"].abs() <= state["n"] * (1 + 1e-5)).all()  # c / n is a mean of values within [-1, 1]


def test_an_exponential_input_gate_can_outweigh_all_that_was_read():
    for gate, replaced in (("exponential", True), ("sigmoid", False)):
        torch.manual_seed(0)
        layer = SLSTM(4, input_gate=gate)
        layer.back.data.zero_()
        layer.enter.weight.data.zero_()
        layer.enter.bias.data.zero_()
        layer.enter.bias.data[8:12] = 30.0  # forget nothing
        layer.enter.weight.data[:4, 0] = 9.0  # z: the sign of channel 0
        layer.enter.weight.data[4:8, 1] = 20.0  # i: channel 1
        x = torch.zeros(1, 21, 4)
        x[:, :20, 0], x[:, :20, 1] = 1, 0
        x[:, 20, 0], x[:, 20, 1] = -1, 1  # one token against twenty
        h = layer(x)[1]["h"]
        assert bool((h < -0.49).all()) == replaced  # o is one half


def test_a_wave_holds_what_was_read_at_the_place_of_its_age():
    layer = WaveRNN(3, 3, places=12)
    x = torch.rand(2, 10, 3)
    rings = layer(x)[1]["h"].view(2, 3, 12)
    torch.testing.assert_close(rings[..., :10].flip(2), x.transpose(1, 2))


def test_slow_units_of_an_elm_keep_and_short_ones_forget():
    def left(tau):
        layer = ELMNeuron(4, 4, tau=tau)
        for p in (layer.branch.weight, layer.memory.weight, layer.write.weight, layer.write.bias):
            p.data.zero_()
        layer.write.bias.data.zero_()
        state = {"s": torch.zeros(1, 4), "m": torch.ones(1, 4)}
        return layer(torch.zeros(1, 200, 4), state)[1]["m"]

    assert (left((1000.0, 2000.0)) > 0.8).all()
    assert (left((2.0, 10.0)) < 1e-8).all()


def test_gradients_of_lem_bounded_by_small_steps_do_not_vanish():
    torch.manual_seed(0)
    x = torch.randn(2, 300, 8)
    lem, tanh = gradients_by_lag(LEM(8, dt=0.01), x), gradients_by_lag(TanhRNN(8), x)
    assert lem[299] / lem[20] > 0.02
    assert tanh[299] / tanh[20] < 1e-12


def test_matrices_that_do_not_commute_are_told_apart_and_rotations_commute():
    torch.manual_seed(0)
    a, b = torch.randn(2, 6)
    for transition, differs in (("full", True), ("factorised", True), ("rotation", False), ("signed", False)):
        layer = BilinearRNN(6, 6, transition)
        one, other = (layer(torch.stack(order)[None])[1]["h"] for order in ((a, b), (b, a)))
        assert torch.allclose(one, other, atol=1e-5) != differs


def test_a_full_transition_is_any_automaton_at_any_length():
    """Two permutations of S3 as the matrices of two tokens: 3,000 tokens end where the group says."""
    swap, turn = torch.eye(3)[[1, 0, 2]], torch.eye(3)[[1, 2, 0]]
    layer = BilinearRNN(2, 3, "full")
    layer.enter.weight.data = torch.stack([swap.flatten(), turn.flatten()], 1)
    layer.start.data = torch.tensor([1.0, 2.0, 3.0])
    tokens = torch.randint(2, (1, 3000), generator=torch.Generator().manual_seed(0))
    wanted = layer.init_state(1)["h"][0]
    for token in tokens[0].tolist():
        wanted = (swap, turn)[token] @ wanted
    h = layer(torch.eye(2)[tokens])[1]["h"][0]
    torch.testing.assert_close(h, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("slstm", {"heads": 3}),
        ("elm-neuron", {"tau": (5.0, 1.0)}),
        ("wave-rnn", {"places": 1}),
        ("bilinear-rnn", {"hidden": 3, "transition": "rotation"}),
        ("bilinear-rnn", {"transition": "cubic"}),
        ("lstm", {"hidden": 0}),
        ("lem", {"hidden": 0}),
    ],
)
def test_options_that_make_no_sense_are_refused(name, options):
    with pytest.raises(InvalidInput, match=r"give|choose"):
        mixer((name, options), 8)
