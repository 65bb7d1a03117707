"""Small decoders with random weights, of two families, for tests that need no training."""

import torch

from mnemos.bench.parametric.facts import make_tokenizer, make_world, vocabulary

WORLD = make_world(6, seed=3)
TOKENIZER = make_tokenizer()


def decoder(family="llama", layers=2, seed=0):
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    words = len(vocabulary())
    if family == "gpt2":
        config = GPT2Config(
            vocab_size=words, n_embd=16, n_inner=32, n_layer=layers, n_head=2, n_positions=64, initializer_range=0.3
        )
        return GPT2LMHeadModel(config).eval()
    config = LlamaConfig(
        vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model, before):
    return all(
        torch.equal(t.view(torch.uint8), before[name].view(torch.uint8)) for name, t in model.state_dict().items()
    )
