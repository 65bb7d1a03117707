"""Generators: drafts by a small model, and exits before the last layer."""

import pytest
import torch

from mnemos.errors import InvalidInput
from mnemos.footprint.generate.base import Greedy, keep, read
from mnemos.footprint.generate.early_exit import EarlyExit
from mnemos.footprint.generate.token_tree import TokenTree

transformers = pytest.importorskip("transformers")
PROMPT = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])


def decoder(seed, layers=2, width=32, scale=1.0):
    config = transformers.LlamaConfig(
        vocab_size=24, hidden_size=width, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(config).eval().requires_grad_(False)
    for name, p in model.named_parameters():
        if p.ndim == 2 and "embed" not in name:
            p.mul_(4 * scale)  # texts that are no loops
    return model


def by_heart(model, count):
    """Greedy decoding without a cache."""
    tokens = PROMPT.tolist()
    for _ in range(count):
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


def test_greedy_says_what_the_model_says_without_a_cache():
    model = decoder(0)
    got = Greedy().generate(model, PROMPT, 30)
    assert got.tokens.tolist() == by_heart(model, 30)
    assert (got.passes, got.layers) == (30, 60)


@pytest.mark.parametrize(
    "options", [{}, {"branches": 1}, {"size": 5, "adapt": False}, {"threshold": 1e-6}, {"size": 1}]
)
@pytest.mark.parametrize("alike", [0.0, 0.2, 1.0])
def test_a_tree_changes_nothing_of_what_is_said(options, alike):
    model, draft = decoder(0), decoder(0)
    other = dict(decoder(1).named_parameters())
    for name, p in draft.named_parameters():  # from the model itself to one that knows nothing
        p.mul_(alike).add_((1 - alike) * other[name])
    tree = TokenTree(draft, **options)
    got = tree.generate(model, PROMPT, 40)
    assert got.tokens.tolist() == by_heart(model, 40)
    assert got.passes == len(tree.accepted)
    assert sum(tree.accepted) >= 40
    if alike == 1 and options == {"branches": 1}:
        assert got.passes < 40


def test_a_chain_of_a_perfect_draft_is_accepted_whole_and_a_tree_covers_the_second_likeliest():
    model = decoder(0)
    chain = TokenTree(model, size=7, branches=1, threshold=0.0, adapt=False)
    chain.generate(model, PROMPT, 32)
    assert chain.accepted == [8, 8, 8, 8]
    swapped = decoder(0)  # says the second likeliest first: the first two rows of what is likely change places

    def swap(module, given, output):
        top = output.logits.topk(2, -1)
        output.logits.scatter_(-1, top.indices, top.values.flip(-1))
        return output

    swapped.register_forward_hook(swap)
    assert TokenTree(swapped, branches=1, size=6).generate(model, PROMPT, 20).passes == 20
    assert TokenTree(swapped, branches=2, size=6, threshold=0.0).generate(model, PROMPT, 20).passes <= 10


def test_entries_that_stay_are_those_of_the_path():
    model = decoder(0)
    cache = read(model, PROMPT)
    keep(cache, torch.tensor([0, 1, 4]))
    assert cache.get_seq_length() == 3
    assert torch.equal(cache.layers[0].keys, read(model, PROMPT).layers[0].keys[:, :, [0, 1, 4]])


def sure():
    """A model that is sure of some tokens after its first layer, of others after its third, and of some nowhere."""
    model = decoder(6, layers=4)
    model.lm_head.weight.mul_(6)
    return model


def by_exits(model, exits, threshold, most, count):
    """What exits say where nothing is held in caches: the layers of the whole text, up to where the last token leaves."""
    tokens, depths, again = PROMPT.tolist(), [], 0
    for _ in range(count):
        out = model.model(torch.tensor([tokens]), output_hidden_states=True, use_cache=False)
        depth, h = len(model.model.layers), out.last_hidden_state[0, -1]
        if again + 1 < most:
            for number in exits:
                early = model.model.norm(out.hidden_states[number][0, -1])
                if model.lm_head(early).softmax(-1).max() >= threshold:
                    depth, h = number, early
                    break
        again = 0 if depth == len(model.model.layers) else again + 1
        depths.append(depth)
        tokens.append(int(model.lm_head(h).argmax()))
    return tokens[len(PROMPT) :], depths


@pytest.mark.parametrize("most", [2, 4, 50])
def test_tokens_that_leave_early_do_not_change_what_later_layers_see(most):
    model = sure()
    expected, depths = by_exits(model, (1, 3), 0.75, most, 40)
    assert {1, 3, 4} <= set(depths)
    got = EarlyExit((1, 3), 0.75, most=most).generate(model, PROMPT, 40)
    assert got.tokens.tolist() == expected
    assert got.layers == sum(depths)


def test_without_repair_the_text_drifts_and_without_exits_it_is_greedy():
    model = sure()
    expected, _ = by_exits(model, (1, 3), 0.75, 50, 40)
    assert EarlyExit((1, 3), 0.75, repair=False).generate(model, PROMPT, 40).tokens.tolist() != expected
    assert EarlyExit((1, 3), 1.1).generate(model, PROMPT, 40).tokens.tolist() == by_heart(model, 40)


def test_exits_leave_no_hooks_and_unknown_layers_are_refused():
    model = decoder(3)
    EarlyExit((1,), 0.0).generate(model, PROMPT, 4)
    assert not model.model.layers[0]._forward_hooks
    assert model(PROMPT[None]).logits.shape == (1, 8, 24)
    for exits in ((0,), (2,)):
        with pytest.raises(InvalidInput, match="layers 1 to 2"):
            EarlyExit(exits).generate(model, PROMPT, 4)
