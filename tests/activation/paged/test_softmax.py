"""Attention in bounded memory equals attention; the merge of partial attentions is exact in any order."""

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from mnemos.activation.paged.softmax import ChunkedAttention, Visibility, attend, merge, naive  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402

torch.set_num_threads(1)
B, H, G, Q, T, D = 2, 2, 3, 13, 37, 8


def drawn(seed=0, q=Q, t=T, dtype=torch.float32):
    made = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=made, dtype=dtype)

    return draw(B, G * H, q, D), draw(B, H, t, D), draw(B, H, t, D + 2)


def reference(query, keys, values, seen=None, bias=None):
    """Torch's own attention over repeated heads, with an additive mask."""
    scores = torch.zeros(B, G * H, query.shape[2], keys.shape[2])
    if bias is not None:
        scores = scores + bias.repeat_interleave(G, 1)[:, :, None]
    if seen is not None:
        scores = scores.masked_fill(~seen, -math.inf)
    keys, values = keys.repeat_interleave(G, 1), values.repeat_interleave(G, 1)
    return torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=scores)


def close(a, b):
    return torch.allclose(a, b, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunks", [(1, 1), (4, 7), (5, 64), (1024, 4096)])
def test_every_rule_of_sight_equals_torchs_attention(chunks):
    query, keys, values = drawn()
    chunked = ChunkedAttention(*chunks)
    causal = torch.arange(T) <= torch.arange(Q)[:, None] + (T - Q)
    at, of = torch.randint(20, 60, (B, Q)), torch.randint(0, 50, (B, T))
    of[:, 0] = 0
    by_position = (of[:, None] <= at[..., None])[:, None]
    mask = torch.rand(B, G * H, Q, T) > 0.4
    mask[..., 0] = True
    padding = torch.ones(B, 1, 1, T, dtype=torch.bool)
    padding[1, :, :, :9] = False
    bias = torch.randn(B, H, T)
    cases = [
        (Visibility(), {}),
        (Visibility(offset=T - Q), {"seen": causal}),
        (Visibility(positions=(at, of)), {"seen": by_position}),
        (Visibility(mask=mask), {"seen": mask}),
        (Visibility(mask=padding), {"seen": padding}),
        (Visibility(mask=mask[:, :1]), {"seen": mask[:, :1]}),
        (Visibility(bias=bias), {"bias": bias}),
        (Visibility(offset=T - Q, mask=padding, bias=bias), {"seen": causal & padding, "bias": bias}),
    ]
    for visible, rules in cases:
        output, lse = chunked.attend(query, keys, values, visible)
        assert close(output, reference(query, keys, values, **rules)), visible
        assert close(lse, naive(query, keys, values, visible)[1]), visible
        assert close(output, naive(query, keys, values, visible)[0]), visible


def test_the_log_sum_exp_is_that_of_the_scaled_scores():
    query, keys, values = drawn()
    _, lse = ChunkedAttention(4, 5).attend(query, keys, values, scale=0.5)
    expected = torch.logsumexp(0.5 * query @ keys.repeat_interleave(G, 1).transpose(-1, -2), -1)
    assert close(lse, expected)


@pytest.mark.parametrize("recompute", [True, False])
def test_gradients_equal_those_of_the_plain_form(recompute):
    weights = torch.randn(B, G * H, Q, D + 2)
    grads = []
    for read in (ChunkedAttention(4, 6, recompute=recompute).attend, naive):
        inputs = [x.requires_grad_() for x in drawn(3)]
        output, lse = read(*inputs, Visibility(offset=T - Q))
        ((output * weights).sum() + (lse * weights[..., 0]).sum()).backward()
        grads.append([x.grad for x in inputs])
    for chunked, whole in zip(*grads, strict=True):
        assert close(chunked, whole)
    assert grads[0][0].abs().sum() > 0


def test_recomputing_keeps_fewer_bytes_for_the_backward_pass():
    def kept(recompute):
        held = []
        inputs = [x.requires_grad_() for x in drawn(q=256, t=256)]
        with torch.autograd.graph.saved_tensors_hooks(lambda x: held.append(x.nbytes) or x, lambda x: x):
            ChunkedAttention(64, 64, recompute=recompute).attend(*inputs)
        return sum(held)

    assert kept(True) < kept(False) / 2


def test_a_query_that_sees_nothing_weighs_nothing_and_has_no_nan_gradient():
    query, keys, values = (x.requires_grad_() for x in drawn())
    mask = torch.ones(B, 1, Q, T, dtype=torch.bool)
    mask[:, :, 3] = False
    output, lse = ChunkedAttention(4, 5).attend(query, keys, values, Visibility(mask=mask))
    assert (output[:, :, 3] == 0).all()
    assert (lse[:, :, 3] == -math.inf).all()
    whole, whole_lse = attend(query, keys, values)
    merged, merged_lse = merge([output, whole], [lse, whole_lse])
    assert close(merged[:, :, 3], whole[:, :, 3])
    assert close(merged_lse[:, :, 3], whole_lse[:, :, 3])
    merged.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (query, keys, values))


def test_half_precision_is_summed_in_single():
    query, keys, values = (x.bfloat16() for x in drawn(t=3000))
    output, lse = ChunkedAttention(4, 100).attend(query, keys, values)
    exact, exact_lse = naive(query.float(), keys.float(), values.float())
    assert output.dtype == torch.bfloat16
    assert lse.dtype == torch.float32
    assert (output.float() - exact).abs().max() < 4e-3
    assert close(lse, exact_lse)


def test_huge_scores_do_not_overflow():
    query, keys, values = drawn()
    output, _ = ChunkedAttention(4, 5).attend(query * 1e4, keys, values)
    assert close(output, reference(query * 1e4, keys, values))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.randoms(use_true_random=False), st.integers(0, 99))
def test_merging_parts_in_any_order_and_grouping_gives_the_whole(sizes, order, seed):
    total = sum(sizes) or 1
    sizes = sizes if sum(sizes) else [1]
    query, keys, values = drawn(seed, q=3, t=total)
    whole, whole_lse = naive(query, keys, values)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    parts = [
        attend(query, keys[:, :, end - size : end], values[:, :, end - size : end])
        for end, size in zip(ends, sizes, strict=True)
    ]
    order.shuffle(parts)
    output, lse = merge(*zip(*parts, strict=True))
    assert close(output, whole)
    assert close(lse, whole_lse)
    first = merge(*zip(*parts[:2], strict=True))
    output, lse = merge(*zip(first, *parts[2:], strict=True))
    assert close(output, whole)
    assert close(lse, whole_lse)


def test_merging_gives_the_gradient_of_the_whole():
    grads = []
    for parts in ([slice(0, T)], [slice(0, 5), slice(5, 6), slice(6, T)]):
        query, keys, values = (x.requires_grad_() for x in drawn(4))
        read = [attend(query, keys[:, :, part], values[:, :, part]) for part in parts]
        output, lse = merge(*zip(*read, strict=True))
        (output.square().sum() + lse.square().sum()).backward()
        grads.append([query.grad, keys.grad, values.grad])
    assert all(close(a, b) for a, b in zip(*grads, strict=True))


def test_shapes_that_do_not_fit_are_refused():
    query, keys, values = drawn()
    with pytest.raises(InvalidInput, match="multiple"):
        attend(query[:, :5], keys, values)
    with pytest.raises(InvalidInput, match="expected query"):
        attend(query, keys, values[:, :, :3])
    with pytest.raises(InvalidInput, match="chunks of"):
        ChunkedAttention(0)
    with pytest.raises(InvalidInput, match="one of each"):
        merge([query], [])
