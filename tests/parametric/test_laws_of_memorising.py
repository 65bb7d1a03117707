"""Measures of what weights memorise, against closed forms: profiles, the forgetting meter, repeats, bits, risks, forecasts."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.errors import InvalidInput
from mnemos.parametric.base import Example
from mnemos.parametric.forget.extraction import Extraction, Risk, forecast, risks
from mnemos.parametric.forgetting import ForgettingMeter, line, power_law
from mnemos.parametric.knowledge import filled, knowledge_bits, missing_bits
from mnemos.parametric.profiles import profile
from mnemos.parametric.repeats import damage

TOKENIZER = make_tokenizer()
TEXTS = ["Bafa lives in Koko .", "the job of Mimi is Dude ."]


class Constant(torch.nn.Module):
    """Expects the same chances at every place."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    @property
    def device(self):
        return self.logits.device

    def forward(self, input_ids, attention_mask=None, use_cache=False, logits_to_keep=0):
        logits = self.logits.expand(*input_ids.shape, -1)
        return SimpleNamespace(logits=logits[:, -logits_to_keep:])


# -- profiles


@given(
    trend=st.lists(st.floats(-3, 3), min_size=5, max_size=5),
    start=st.floats(-2, 2),
    effect=st.lists(st.floats(0, 1), min_size=3, max_size=3),
)
def test_a_profile_finds_an_effect_whatever_the_trend_and_the_level(trend, start, effect):
    met = [start + t + (effect[c - 2] if c >= 2 else 0.0) for c, t in enumerate(trend)]
    found = profile({2: met}, trend)
    assert found.effects[2][2:] == pytest.approx(effect, abs=1e-9)
    assert found.placebo[2] == pytest.approx((0.0,), abs=1e-9)
    assert found.instantaneous[2] == pytest.approx(effect[0], abs=1e-9)
    assert found.residual[2] == pytest.approx(effect[2], abs=1e-9)
    assert found.persistent(1) == {2: found.effects[2][3]}
    assert found.persistent(3) == {}


@pytest.mark.parametrize(
    ("met", "complaint"),
    [({1: [0.0]}, "1 checkpoints"), ({0: [0.0, 0.0]}, "checkpoint 0"), ({2: [0.0, 0.0]}, "1 to 1")],
)
def test_a_profile_refuses_what_it_cannot_compare(met, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        profile(met, [0.0, 0.0])


# -- the forgetting meter


def test_the_meter_is_the_kl_from_what_the_model_said_before():
    before, after = torch.randn(2, len(TOKENIZER), generator=torch.Generator().manual_seed(0))
    meter = ForgettingMeter(Constant(before), TOKENIZER, TEXTS)
    p, q = before.softmax(0).double(), after.softmax(0).double()
    assert meter.forgotten(Constant(after)).value == pytest.approx(float((p * (p / q).log()).sum()), rel=2e-3)
    assert meter.cross_entropy(Constant(after)).value == pytest.approx(float(-(p * q.log()).sum()), rel=2e-3)
    assert meter.forgotten(Constant(before)).value == pytest.approx(0.0, abs=1e-5)
    assert meter.forgotten(Constant(after)).n == sum(
        len(ids) for ids in TOKENIZER(TEXTS, add_special_tokens=False).input_ids
    )
    assert meter.nbytes == 2 * len(TOKENIZER) * meter.forgotten(Constant(before)).n


def test_the_meter_needs_text():
    with pytest.raises(InvalidInput, match="no text"):
        ForgettingMeter(Constant(torch.zeros(len(TOKENIZER))), TOKENIZER, [])


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_line_is_found_and_explains_all(slope, start):
    found = line([0.0, 1.0, 4.0], [slope * x + start for x in (0.0, 1.0, 4.0)])
    assert (found.slope, found.start) == pytest.approx((slope, start), abs=1e-9)
    assert found(2.0) == pytest.approx(2 * slope + start, abs=1e-9)


def test_a_line_says_how_much_it_explains():
    assert line([0, 1, 2, 3], [0, 1, 1, 0]).r2 == pytest.approx(0.0, abs=1e-9)
    assert line([0, 1, 2], [0, 1, 3]).r2 == pytest.approx(1 - (1 / 6) / (14 / 3), abs=1e-9)
    with pytest.raises(InvalidInput, match="two different x"):
        line([1, 1], [1, 2])


@pytest.mark.parametrize("shift", [0.0, 0.4, -0.1])
def test_a_shifted_power_law_predicts_a_cell_that_it_was_not_fitted_on(shift):
    cells = [(p, s) for p in (1e3, 1e4, 1e5) for s in (10, 100, 1000) if (p, s) != (1e4, 100)]
    truth = {(p, s): 0.02 * p**0.2 * s**0.3 + shift for p, s in [*cells, (1e4, 100)]}
    law = power_law([p for p, _ in cells], [s for _, s in cells], [truth[cell] for cell in cells])
    assert law(1e4, 100) == pytest.approx(truth[1e4, 100], rel=0.03)
    with pytest.raises(InvalidInput, match="four measurements"):
        power_law([1], [1], [1])
    with pytest.raises(InvalidInput, match="positive"):
        power_law([1, 2, 3, 4], [1, 2, 3, 4], [0, 1, 2, 3])


# -- repeats and bits


def test_the_paper_s_case_is_harmful_and_both_ends_are_not():
    case = damage(
        repeated=1e8, times=100, unique=9e10, parameters=8e8
    )  # 0.1 % of the data, 100 times, 800 M parameters
    assert case.harmful
    assert case.share == pytest.approx(0.1)
    assert case.filled == pytest.approx(0.26875)
    assert not damage(repeated=1e10, times=1, unique=9e10, parameters=8e8).harmful  # not repeated at all
    assert not damage(repeated=1e6, times=1e4, unique=9e10, parameters=8e8).harmful  # few texts, by heart at once
    assert not damage(repeated=1e10, times=10, unique=1e11, parameters=8e8).harmful  # more than can be memorised
    assert not damage(repeated=1e7, times=100, unique=9e10, parameters=8e8).harmful  # 1 % of the training
    for wrong in ((0, 1, 0, 1), (1, 0.5, 1, 1), (1, 1, 1, 0)):
        with pytest.raises(InvalidInput):
            damage(*wrong)


def test_bits_are_those_of_a_list_known_by_heart_and_none_of_one_not_known():
    known = knowledge_bits(100, 4096, math.log(100), [64, 16], [0.0, 0.0])
    assert known == pytest.approx(100 * (math.log2(4096 / 100) + 6 + 4))
    assert knowledge_bits(100, 4096, math.log(4096), [64], [math.log(64)]) == pytest.approx(0.0, abs=1e-9)
    assert knowledge_bits(100, 4096, 20.0, [64], [20.0]) == 0.0  # what is wrong for sure is not less than nothing
    assert knowledge_bits(1, 2, 0.0, [64], [math.log(2)]) == pytest.approx(1 + 5)
    with pytest.raises(InvalidInput, match="1 attributes and 2 losses"):
        knowledge_bits(1, 2, 0, [2], [0, 0])
    with pytest.raises(InvalidInput, match="counts"):
        knowledge_bits(0, 2, 0, [2], [0])


def test_missing_bits_are_the_surprise_of_each_answer_once_and_fill_weights_at_a_bit_a_parameter():
    model = Constant(torch.zeros(len(TOKENIZER)))  # expects every token alike
    examples = [
        Example("Bafa lives in", "Koko"),
        Example("the job of Mimi is", "Dude"),
        Example("Bafa lives in", "Koko"),
    ]
    bits = missing_bits(model, TOKENIZER, examples)
    assert bits == pytest.approx(4 * math.log2(len(TOKENIZER)), rel=1e-5)  # two answers of two tokens
    assert (filled(100, 50), filled(100, 50, held=2.0)) == (2.0, 1.0)
    with pytest.raises(InvalidInput, match="parameters 0"):
        filled(1, 0)


# -- extraction


def test_a_forecast_counts_what_is_forecast_and_what_is_memorised():
    final = Extraction((1.0, 1.0, 1.0, 0.5, None))
    found = forecast(Extraction((1.0, 0.2, 0.9, 1.0, 1.0)), final)
    assert (found.precision, found.recall) == (0.5, pytest.approx(1 / 3))
    none = forecast(Extraction((0.0,)), Extraction((0.0,)))
    assert (none.precision, none.recall) == (None, None)
    with pytest.raises(InvalidInput, match="1 texts"):
        forecast(Extraction((1.0,)), final)


def test_a_risk_is_less_what_can_be_guessed():
    assert Risk(Extraction((1.0, 1.0, 0.0, 0.0)), Extraction((1.0, 0.0, 0.0, 0.0))).memorised == 0.25
    assert Risk(Extraction((1.0, 0.0)), None).memorised == 0.5
    says = torch.zeros(len(TOKENIZER))
    says[TOKENIZER.convert_tokens_to_ids("##ba")] = 5.0
    texts = {"names": ["Bafa Kiko Dudu"], "guessed": ["Kibaba Kibaba"]}
    found = risks(Constant(says), TOKENIZER, texts, {"guessed": ["Kibaba Kibaba"]}, prefix=2, suffix=2)
    assert {kind: risk.memorised for kind, risk in found.items()} == {"names": 0.0, "guessed": 0.0}
    assert found["guessed"].extraction.memorised == found["guessed"].control.memorised == 1.0
