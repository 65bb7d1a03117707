"""What every generator of `footprint.generate` owes: tokens, those of the model if it is exact, and a model as it was."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.registry import all_entries

transformers = pytest.importorskip("transformers")
GENERATORS = {entry.name: entry.target for entry in all_entries("footprint", kind="generator")}
NEEDS = {"token-tree": {"draft"}}  # models besides the one that generates
PROMPT = torch.tensor([3, 1, 4, 1, 5])


def decoder(seed):
    config = transformers.LlamaConfig(
        vocab_size=24, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    return transformers.LlamaForCausalLM(config).eval()


def made(name):
    return GENERATORS[name](**{need: decoder(1) for need in NEEDS.get(name, ())})


@pytest.mark.parametrize("name", GENERATORS)
def test_it_says_as_many_tokens_as_asked_for_and_those_of_the_model_if_it_is_exact(name):
    model = decoder(0)
    tokens = PROMPT.tolist()
    for _ in range(12):
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    got = made(name).generate(model, PROMPT, 12)
    assert got.tokens.shape == (12,)
    assert 0 < got.passes <= 12
    assert 0 < got.layers <= 12 * 3
    if GENERATORS[name].exact:
        assert got.tokens.tolist() == tokens[len(PROMPT) :]


@pytest.mark.parametrize("name", GENERATORS)
def test_it_leaves_the_model_as_it_was_and_takes_the_shortest_prompt(name):
    model = decoder(0)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    generator = made(name)
    first = generator.generate(model, PROMPT[:1], 5).tokens
    assert torch.equal(generator.generate(model, PROMPT[:1], 5).tokens, first)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for prompt, count in ((PROMPT[:0], 3), (PROMPT[None], 3), (PROMPT, 0)):
        with pytest.raises(InvalidInput, match="one row of tokens"):
            generator.generate(model, prompt, count)
