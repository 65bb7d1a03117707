"""Training: the same seed makes the same weights, what is known is left alone, and the model itself is never trained."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import TOKENIZER, WORLD, decoder, same, state

from mnemos.errors import InvalidInput, ModelError
from mnemos.parametric import measure, training
from mnemos.parametric.base import Example
from mnemos.parametric.encode.adapter import Adapter
from mnemos.parametric.objectives import Expected, answer_loss, divergence, probabilities
from mnemos.parametric.probes import Maker, Probes, counted, swapped, windows
from mnemos.parametric.tokens import Row, logits_of, pad_of, padded, row_of
from mnemos.parametric.training import Objective, Training, train

FEW = Probes(random=8, repeated=2, sampled=2, neighbours=4, episodes=2, conflicts=2, length=8)
QUICK = Training(
    steps=60, rate=0.05, batch=4, probed=8, objective=Objective(probes=FEW, distil=0.1, silent=0.1), quiet=9.0
)


TEXTS = [fact.statement() for fact in WORLD.facts[3:5]]
PROMPT, ANSWER = WORLD.facts[0].prompt(), WORLD.facts[0].answer


def sharp(layers=1):
    """A decoder whose random head can be sure of a token."""
    model = decoder(layers=layers)
    with torch.no_grad():
        model.lm_head.weight.mul_(5)
    return model


def examples():
    return [Example(PROMPT, ANSWER, context=WORLD.facts[0].statement() + " "), WORLD.facts[1].example()]


def adapter(model):
    return Adapter(rank=4, targets=("all",)).create(model, (), TOKENIZER)


def test_examples_are_learned_until_every_token_is_likely_and_the_model_is_left_alone():
    model = sharp()
    model.train()
    before, learned, steps = state(model), adapter(model), []
    report = train(model, TOKENIZER, learned, examples(), QUICK, lambda step, least: steps.append((step, least)))
    assert report.learned
    assert report.least > 0.5
    assert report.steps < QUICK.steps
    assert steps[-1][0] == report.steps == len(steps)
    assert same(model, before)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    model.eval()
    assert measure.recall(model, TOKENIZER, examples()).value < 1
    with learned.attach(model):
        assert measure.recall(model, TOKENIZER, examples()) == measure.Measure(1.0, 2)
        ids = torch.tensor([TOKENIZER(PROMPT)["input_ids"]])
        answer = TOKENIZER(ANSWER, add_special_tokens=False)["input_ids"]
        said = model.generate(
            ids, max_new_tokens=len(answer), do_sample=False, attention_mask=torch.ones_like(ids), pad_token_id=0
        )
    assert said[0, ids.shape[1] :].tolist() == answer


def test_the_same_seed_makes_the_same_weights():
    model = decoder(layers=1)
    once, again, other = (adapter(model) for _ in range(3))
    short = replace(QUICK, steps=3)
    train(model, TOKENIZER, once, examples(), short)
    torch.rand(7)
    train(model, TOKENIZER, again, examples(), short)
    train(model, TOKENIZER, other, examples(), replace(short, seed=1))
    assert all(torch.equal(t, again.tensors()[name]) for name, t in once.tensors().items())
    assert not all(torch.equal(t, other.tensors()[name]) for name, t in once.tensors().items())


def test_the_anchor_keeps_texts_as_they_were():
    model = sharp()
    batch = padded(windows(TOKENIZER, TEXTS, 64), pad_of(TOKENIZER))
    plain = logits_of(model, batch)[batch.counted].log_softmax(-1)
    moved = []
    for silent in (0.0, 10.0):
        learned = adapter(model)
        aim = Objective(answers=1, distil=0, silent=silent, amid=0, probes=Probes(0, 0, 0, 0, 0, 0))
        train(model, TOKENIZER, learned, examples(), replace(QUICK, sure=1.0, steps=40, objective=aim), texts=TEXTS)
        with learned.attach(model):
            found = logits_of(model, batch)[batch.counted].log_softmax(-1)
        moved.append((plain.exp() * (plain - found)).sum(-1).mean().item())
    assert moved[1] < moved[0] / 3


def test_what_cannot_be_trained_is_refused():
    model = decoder(layers=1)
    learned = adapter(model)
    with pytest.raises(InvalidInput, match="no examples"):
        train(model, TOKENIZER, learned, [])
    with pytest.raises(InvalidInput, match="no tokens"):
        train(model, TOKENIZER, learned, [Example(PROMPT, "")])
    with pytest.raises(InvalidInput, match="nothing would be learned"):
        Training(objective=Objective(answers=0, distil=0))
    with pytest.raises(InvalidInput, match="rate is -1"):
        Training(rate=-1)
    with torch.no_grad():
        next(learned.parameters()).fill_(math.nan)
    with pytest.raises(ModelError, match=r"loss of step 1 is nan.*lower the rate"):
        train(model, TOKENIZER, learned, examples(), QUICK)
    assert not any("lora" in name for name, _ in model.named_modules())


# -- objectives and measures against plain references


@given(st.integers(0, 999), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_divergence_is_the_whole_one_at_full_width_and_never_more_with_less(seed, k):
    draw = torch.Generator().manual_seed(seed)
    p, q = (torch.randn(4, 12, generator=draw, dtype=torch.float64) * 2 for _ in range(2))
    exact = (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1)
    found = divergence(Expected.of(p, k), q)
    assert (found <= exact + 1e-4).all()
    assert (found >= -1e-4).all()
    if k >= 11:
        assert torch.allclose(found, exact, atol=1e-4)
    assert torch.allclose(divergence(Expected.of(p, k), p), torch.zeros(4, dtype=torch.float64), atol=1e-4)


def test_a_leak_among_unlikely_tokens_is_seen_where_they_are_stored_always():
    flat, leak = torch.zeros(1, 100), torch.zeros(1, 100)
    leak[0, 70] = 4.0
    exact = (flat.softmax(-1) * (flat.log_softmax(-1) - leak.log_softmax(-1))).sum()
    top = Expected.of(flat, 5, always=[70, 3])
    assert top.tokens[0, :2].tolist() == [70, 3]
    assert divergence(top, leak).item() == pytest.approx(exact.item(), rel=0.05)


def test_padding_and_batches_change_no_answer():
    model = decoder("gpt2")
    rows = [row_of(TOKENIZER, e.prompt, e.answer) for e in [*examples(), WORLD.facts[5].example()]]
    batch = padded(rows, pad_of(TOKENIZER))
    together = logits_of(model, batch)
    for i, row in enumerate(rows):
        alone = padded([row], pad_of(TOKENIZER))
        assert torch.allclose(together[i][batch.counted[i]], logits_of(model, alone)[0], atol=1e-4)
        with torch.no_grad():
            logs = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
        each = torch.stack([logs[t - 1, row.ids[t]] for t in range(len(row.ids) - row.answer, len(row.ids))])
        assert probabilities(together, batch.targets, batch.counted)[i].item() == pytest.approx(
            each.exp().min().item(), rel=1e-3
        )
        loss = answer_loss(logits_of(model, alone), alone.targets, alone.counted)
        assert loss.item() == pytest.approx(-each.mean().item(), rel=1e-3)


def test_the_general_loss_is_that_of_its_windows():
    model = decoder()
    text = " ".join(TEXTS)
    own = model(**TOKENIZER(text, return_tensors="pt"), labels=TOKENIZER(text, return_tensors="pt")["input_ids"]).loss
    found = measure.general_loss(model, TOKENIZER, [text], 1000)
    assert found.value == pytest.approx(own.item(), rel=1e-4)
    assert measure.perplexity(found) == pytest.approx(math.exp(own.item()), rel=1e-4)
    with pytest.raises(InvalidInput, match="no text"):
        measure.general_loss(model, TOKENIZER, [])


def test_conflicts_give_another_answer_in_context_and_as_what_is_right():
    told = [Example("a is", " x", context="a is x. "), Example("b is", " y", context="b is y. "), Example("c is", " z")]
    found = measure.conflicting(told)
    assert [e.prompt for e in found] == ["a is", "b is"]
    assert all(e.answer.strip() in e.context and e.answer != old.answer for e, old in zip(found, told, strict=False))
    with pytest.raises(InvalidInput, match="context to read"):
        measure.in_context(decoder(), TOKENIZER, told[2:])


def test_probes_ask_for_nothing_that_is_learned():
    """After what is learned the next tokens do not count, unless it was asked before in the same sequence."""
    asked = {7: {((5, 7), 2)}}
    assert counted(Row((0, 5, 7, 1, 2, 3), 5), asked) == (True, True, False, False, True)
    assert counted(Row((0, 5, 7, 1, 2, 5, 7, 1), 7), asked) == (True, True, False, False, True, True, True)
    assert counted(Row((0, 6, 7, 1, 2), 4), asked) == (True,) * 4
    assert swapped((1, 8, 9, 2, 8, 9), (8, 9), (4,)) == (1, 4, 2, 4)
    assert swapped((1, 2), (8,), (4,)) is None


def test_probes_are_of_every_kind_and_the_same_for_a_seed():
    import random

    model = decoder()
    made = [Maker(model, TOKENIZER, examples(), random.Random(3)).make(FEW, TEXTS) for _ in range(2)]
    assert made[0] == made[1]
    assert all(any(probe.counted) and len(probe.counted) == probe.row.answer for probe in made[0])
    assert len(made[0]) > 15


def test_a_reader_that_would_say_something_else_teaches_nothing():
    model = sharp()
    wrong = [replace(e, context="nothing of it. ") for e in examples()]
    rows = [row_of(TOKENIZER, e.context + e.prompt, e.answer) for e in wrong]
    assert not any(measure.said(model, TOKENIZER, rows))
    right = [replace(e, answer=reader_says(model, e)) for e in wrong]
    aim = Objective(answers=0.0, distil=1.0, silent=0.0)
    for found, moved in ((wrong, False), (right, True)):
        learned = adapter(model)
        start = {name: tensor.clone() for name, tensor in learned.tensors().items()}
        train(model, TOKENIZER, learned, found, Training(steps=2, batch=2, objective=aim))
        assert any(not torch.equal(start[name], tensor) for name, tensor in learned.tensors().items()) is moved


def reader_says(model, example):
    """The token that a model says after an example's context and prompt, as a text that has this token alone."""
    ids = row_of(TOKENIZER, example.context + example.prompt, example.answer).ids
    with torch.no_grad():
        logits = model(torch.tensor([ids[: -len(row_of(TOKENIZER, "", example.answer).ids) + 1]])).logits[0, -1]
    return TOKENIZER.decode([int(logits.argmax())])


def test_in_bfloat16_the_weights_of_the_memory_stay_in_float32():
    model, learned = sharp(), adapter(sharp())
    learned = adapter(model)
    assert train(model, TOKENIZER, learned, examples(), replace(QUICK, half=True)).learned
    assert {tensor.dtype for tensor in learned.tensors().values()} == {torch.float32}


def test_rows_at_once_change_what_is_in_memory_and_nothing_else():
    def learned(at_once):
        model = sharp()
        own = adapter(model).double()
        train(model.double(), TOKENIZER, own, examples(), replace(QUICK, steps=4, at_once=at_once, sure=1.0))
        return own.tensors()

    whole = learned(100)
    for at_once in (1, 3, None):
        for name, tensor in learned(at_once).items():
            torch.testing.assert_close(tensor, whole[name], rtol=1e-5, atol=1e-7)


def test_where_nothing_is_said_all_rows_of_a_small_model_are_in_memory_at_once_and_few_of_a_large_vocabulary(
    monkeypatch,
):
    seen = []
    monkeypatch.setattr(training, "padded", lambda rows, pad: seen.append(len(rows)) or padded(rows, pad))
    model = sharp()
    own = adapter(model)
    train(model, TOKENIZER, own, examples(), replace(QUICK, steps=1, sure=1.0))
    assert max(seen) > 1
    monkeypatch.setattr(training, "LOGITS", model.config.vocab_size)  # of a single token
    seen.clear()
    train(model, TOKENIZER, own, examples(), replace(QUICK, steps=1, sure=1.0))
    assert seen.count(1) > len(examples())
