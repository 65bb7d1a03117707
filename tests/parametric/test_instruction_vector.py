"""The vector of an instruction: what heads say is found by patching, and added again at the last token alone."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from mnemos.errors import InvalidInput
from mnemos.parametric.instruction_vector import head_effects, head_means, instruction_vector, steered


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=12, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=16,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def prompts(seed, count=5):
    return torch.randint(12, (count, 6), generator=torch.Generator().manual_seed(seed))


def test_all_heads_together_add_what_the_attention_adds_on_average(model):
    ids, seen = prompts(0), []
    handles = [
        layer.self_attn.register_forward_hook(lambda _, args, out: seen.append(out[0][:, -1].mean(0)))
        for layer in model.model.layers
    ]
    model(input_ids=ids)
    [handle.remove() for handle in handles]
    everything = instruction_vector(model, ids, torch.zeros(2, 4), heads=8)
    assert head_means(model, ids).shape == (2, 4, 4)
    assert torch.allclose(everything, torch.stack(seen).sum(0), atol=1e-6)


def test_only_the_chosen_heads_are_summed(model):
    ids, effects = prompts(0), torch.zeros(2, 4)
    effects[1, 2] = 1.0
    weight = model.model.layers[1].self_attn.o_proj.weight
    assert torch.allclose(instruction_vector(model, ids, effects, 1), weight[:, 8:12] @ head_means(model, ids)[1, 2])


def test_a_head_that_says_the_same_of_both_prompts_has_no_effect(model):
    ids = prompts(3, 1)
    effects = head_effects(model, ids, torch.tensor([4]), ids)
    assert torch.allclose(effects, torch.zeros(2, 4), atol=1e-5)
    assert head_effects(model, ids, torch.tensor([4]), prompts(4, 1)).abs().max() > 1e-4


def test_a_vector_is_added_at_the_last_token_and_taken_off_again(model):
    ids, vector = prompts(1), torch.ones(16)
    before = model(input_ids=ids).logits
    with steered(model, 1, vector):
        inside = model(input_ids=ids).logits
    with steered(model, 1, vector.expand(5, 16)):
        assert torch.equal(model(input_ids=ids).logits, inside)
    assert torch.equal(inside[:, :-1], before[:, :-1])
    assert (inside[:, -1] - before[:, -1]).abs().max() > 1e-3
    assert torch.equal(model(input_ids=ids).logits, before)


def test_other_models_and_layers_are_refused(model):
    with pytest.raises(InvalidInput, match="2 layers"), steered(model, 2, torch.ones(16)):
        pass
    with pytest.raises(InvalidInput, match=r"model\.layers"):
        head_means(nn.Linear(2, 2), prompts(0))
