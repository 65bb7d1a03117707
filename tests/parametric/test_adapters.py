"""Adapters: silent at birth, summed while attached, gone bit for bit afterwards, and read by PEFT itself."""

import json
from contextlib import ExitStack

import pytest
import torch
from safetensors.torch import save_file
from small import TOKENIZER, decoder, same, state

from mnemos.errors import InvalidInput
from mnemos.parametric.encode.adapter import Adapter

TUNERS = ("lora", "rslora", "dora", "adalora", "vera", "oft", "boft", "ia3", "osf")
SUMMED = ("lora", "rslora", "adalora", "vera")
IDS = torch.tensor([[1, 5, 9, 14, 20, 7], [3, 3, 8, 11, 2, 30]])


def made(model, seed=0, **knobs):
    """An adapter with random weights."""
    learned = Adapter(**{"rank": 4, "targets": ("all",)} | knobs).create(model, (), TOKENIZER, seed)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in learned.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
    return learned


def logits(model, *learned):
    with ExitStack() as stack, torch.no_grad():
        for each in learned:
            stack.enter_context(each.attach(model))
        return model(IDS).logits


@pytest.mark.parametrize("tuner", TUNERS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_an_adapter_is_silent_at_birth_speaks_when_trained_and_leaves_no_bit(family, tuner):
    model = decoder(family)
    plain, before, modules = logits(model), state(model), list(model.modules())
    knobs = {"tuner": tuner, "targets": ("all",), "rank": 4}
    if family == "gpt2" and tuner in ("oft", "boft", "osf"):
        with pytest.raises(InvalidInput, match="does not fit"):
            Adapter(**knobs).create(model, (), TOKENIZER)
    else:
        assert torch.allclose(logits(model, Adapter(**knobs).create(model, (), TOKENIZER)), plain, atol=1e-5)
        trained = made(model, tuner=tuner)
        assert not torch.allclose(logits(model, trained), plain, atol=1e-4)
        again = Adapter(**knobs).load(model, trained.tensors())
        assert torch.equal(logits(model, again), logits(model, trained))
        assert trained.nbytes == sum(t.nbytes for t in trained.tensors().values()) > 0
    assert same(model, before)
    assert list(model.modules()) == modules
    assert torch.equal(logits(model), plain)
    assert all(p.requires_grad for p in model.parameters())


def test_twenty_adapters_are_summed_in_any_order_and_taken_out_in_any_order():
    model = decoder().double()
    plain, before = logits(model), state(model)
    many = [made(model, seed, tuner=SUMMED[seed % 4], targets=("ffn",)) for seed in range(20)]
    assert torch.allclose(logits(model, *many), logits(model, *reversed(many)), atol=1e-12)
    contexts = [each.attach(model) for each in many]
    for context in contexts:
        context.__enter__()
    for i in (7, 0, 19, *(i for i in range(20) if i not in (7, 0, 19, 3))):
        contexts[i].__exit__(None, None, None)
    with torch.no_grad():
        left = model(IDS).logits
    contexts[3].__exit__(None, None, None)
    assert torch.equal(left, logits(model, many[3]))
    assert torch.equal(logits(model), plain)
    assert same(model, before)


def test_two_low_rank_updates_are_that_of_their_sum():
    model = decoder(layers=1).double()
    one, two = (made(model, seed, targets=("down_proj",), alpha=4) for seed in (1, 2))
    both = logits(model, one, two)
    weight = model.model.layers[0].mlp.down_proj.weight
    with torch.no_grad():
        for each in (one, two):
            parts = {name.split(".")[-2]: tensor.double() for name, tensor in each.tensors().items()}
            weight.add_(parts["lora_B"] @ parts["lora_A"])
    assert torch.allclose(both, logits(model), atol=1e-9)


@pytest.mark.parametrize("tuner", ["lora", "dora", "ia3"])
def test_peft_reads_what_is_stored(tmp_path, tuner):
    from peft import PeftModel

    learned = made(decoder(), tuner=tuner)
    expected = logits(learned.outside[0], learned)
    save_file(learned.tensors(), tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(learned.config))
    with torch.no_grad():
        assert torch.equal(PeftModel.from_pretrained(decoder(), str(tmp_path)).eval()(IDS).logits, expected)


def test_a_model_in_bfloat16_generates_while_adapters_are_attached():
    model = decoder().to(torch.bfloat16)
    one, two = made(model, 1), made(model, 2)
    with one.attach(model), two.attach(model):
        said = model.generate(
            IDS, max_new_tokens=3, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(IDS)
        )
        step = model(said[:, :-1]).logits[:, -1].argmax(-1)
    assert torch.equal(said[:, -1], step)


def test_what_does_not_fit_is_refused_with_a_reason():
    from peft import LoraConfig, get_peft_model

    model = decoder()
    learned = made(model)
    with learned.attach(model), pytest.raises(InvalidInput, match="attached already"), learned.attach(model):
        pass
    with pytest.raises(InvalidInput, match="another model"), learned.attach(decoder()):
        pass
    with pytest.raises(InvalidInput, match=r"no linear layer.*ffn.*q_proj"):
        Adapter(targets=("nothing",)).create(model, (), TOKENIZER)
    with pytest.raises(InvalidInput, match="no model of transformers"):
        Adapter().create(torch.nn.Linear(2, 2), (), TOKENIZER)
    with pytest.raises(InvalidInput, match="another shape"):
        Adapter(rank=2, targets=("all",)).load(model, learned.tensors())
    with pytest.raises(InvalidInput, match="missing"):
        Adapter(rank=4, targets=("ffn",)).load(model, learned.tensors())
    with pytest.raises(InvalidInput, match="there is no tuner"):
        Adapter(tuner="loar").create(model, (), TOKENIZER)
    with pytest.raises(InvalidInput, match="unload"):
        Adapter().create(
            get_peft_model(decoder(), LoraConfig(target_modules=["q_proj"])).base_model.model, (), TOKENIZER
        )
