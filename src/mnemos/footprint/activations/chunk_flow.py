"""Which part of its inputs an operation needs for a slice of its output, along one dimension.

Operations are those of ATen as `make_fx` records them, with the shapes of one run. For a slice along a dimension of the output an
input is needed as a slice along a dimension of its own (its number), or whole (None).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

Flow = dict[Node, int | None]
_ELEMENTWISE = {
    "add", "sub", "rsub", "mul", "div", "pow", "neg", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "sigmoid", "relu",
    "gelu", "silu", "leaky_relu", "elu", "softplus", "abs", "clamp", "clamp_min", "maximum", "minimum", "where", "masked_fill",
    "to", "_to_copy",
    "clone", "contiguous", "alias", "dropout", "ne", "eq", "le", "lt", "ge", "gt", "__and__", "__or__", "logical_not",
    "bitwise_and", "bitwise_not", "expand", "reciprocal", "square", "erf", "detach", "float", "type_as",
}  # fmt: skip
RESHAPES = {"view", "reshape", "_unsafe_view"}  # whose sizes are written out
SIZED = {*RESHAPES, "expand"}


def name(node: Node) -> str:
    """Return the name of an operation without its overload; "" of what is none."""
    if node.op != "call_function":
        return ""
    if node.target is operator.getitem:
        return "getitem"
    return str(getattr(node.target, "_opname", getattr(node.target, "__name__", "")))


def value(node: Node) -> Any:
    """Return the tensor, without numbers, that a node makes."""
    return node.meta.get("val")


def shape(node: Node) -> tuple[int, ...]:
    """Return the shape of what a node makes; of the first of several."""
    found = value(node)
    first = found[0] if isinstance(found, tuple | list) else found
    return tuple(first.shape)


def flow(node: Node, dim: int) -> Flow | None:
    """Return what a slice of a node's output along `dim` needs of its inputs; None where it cannot be made from slices."""
    kind = name(node)
    if kind in _ELEMENTWISE:
        return {given: _aligned(given, shape(node), dim) for given in tensors(node)}
    rule = _RULES.get(kind)
    return None if rule is None else rule(node, dim)


def tensors(node: Node) -> list[Node]:
    """Return the inputs of a node that are tensors, or several of them."""
    return [given for given in node.all_input_nodes if isinstance(value(given), Tensor | tuple | list)]


def _aligned(given: Node, out: Sequence[int], dim: int) -> int | None:
    """Return the dimension of an input that goes along with one of the output where shapes are broadcast."""
    sizes = shape(given)
    own = dim - (len(out) - len(sizes))
    return own if own >= 0 and sizes[own] == out[dim] else None


def _linear(node: Node, dim: int) -> Flow | None:
    x, *weights = tensors(node)
    return None if dim == len(shape(node)) - 1 else {x: dim, **dict.fromkeys(weights)}


def _matmul(node: Node, dim: int) -> Flow | None:
    a, b = node.args[:2]
    assert isinstance(a, Node)
    assert isinstance(b, Node)
    out, rank = shape(node), len(shape(node))
    if len(shape(a)) < 2 or len(shape(b)) < 2 or a is b:
        return None
    if dim == rank - 1:
        return {a: None, b: len(shape(b)) - 1}
    if dim == rank - 2:
        return {a: len(shape(a)) - 2, b: None}
    return {a: _aligned(a, out, dim), b: _aligned(b, out, dim)}


def _not_along(place: int, default: int | None = None) -> Callable[[Node, int], Flow | None]:
    """Return the rule of an operation that works along the dimension that its argument at a place names."""

    def rule(node: Node, dim: int) -> Flow | None:
        along = node.args[place] if len(node.args) > place else default
        if not isinstance(along, int) or along % len(shape(node)) == dim:
            return None
        return dict.fromkeys(tensors(node), dim)

    return rule


def _norm(node: Node, dim: int) -> Flow | None:
    x, *weights = tensors(node)
    over = node.args[1]
    assert isinstance(over, Sequence)
    return None if dim >= len(shape(node)) - len(over) else {x: dim, **dict.fromkeys(weights)}


def _permute(node: Node, dim: int) -> Flow | None:
    (x,) = tensors(node)
    rank = len(shape(node))
    order = list(range(rank))
    if name(node) == "permute":
        order = [int(d) % rank for d in node.args[1]]
    else:
        a, b = node.args[1:3] if len(node.args) > 2 else (0, 1)
        order[int(a)], order[int(b)] = order[int(b)], order[int(a)]
    return {x: order[dim]}


def _reshape(node: Node, dim: int) -> Flow | None:
    (x,) = tensors(node)
    given, out = shape(x), shape(node)
    before = math.prod(out[:dim])
    for own, size in enumerate(given):
        if size == out[dim] and math.prod(given[:own]) == before:
            return {x: own}
    return None


def _unsqueeze(node: Node, dim: int) -> Flow | None:
    (x,) = tensors(node)
    at = int(node.args[1]) % len(shape(node))
    return None if at == dim else {x: dim - (at < dim)}


def _taken(node: Node, dim: int) -> Flow | None:
    """Of `select` and `unbind`, which take a dimension away."""
    (x,) = tensors(node)
    at = int(node.args[1]) % len(shape(x)) if len(node.args) > 1 else 0
    return {x: dim + (at <= dim)}


def _reduced(node: Node, dim: int) -> Flow | None:
    (x,) = tensors(node)
    rank = len(shape(x))
    over = {int(d) % rank for d in (node.args[1] if isinstance(node.args[1], Sequence) else [node.args[1]])}
    kept = [d for d in range(rank) if d not in over] if len(shape(node)) < rank else list(range(rank))
    return None if kept[dim] in over else {x: kept[dim]}


def _embedding(node: Node, dim: int) -> Flow | None:
    weight, ids = tensors(node)[:2]
    return None if dim == len(shape(node)) - 1 else {weight: None, ids: dim}


def _attention(node: Node, dim: int) -> Flow | None:
    query, *others = tensors(node)
    causal = bool(node.args[5]) if len(node.args) > 5 else bool(node.kwargs.get("is_causal", False))
    rank = len(shape(node))
    if dim == rank - 1 or node.kwargs.get("enable_gqa") or len(others) < 2 or query in others:
        return None
    if dim < rank - 2:
        return {query: dim} | {given: _aligned(given, shape(node), dim) for given in others}
    masks = {mask: _aligned(mask, (*shape(node)[:-1], shape(mask)[-1]), dim) for mask in others[2:]}
    return None if causal else {query: dim, others[0]: None, others[1]: None, **masks}


_RULES: dict[str, Callable[[Node, int], Flow | None]] = {
    "linear": _linear,
    "matmul": _matmul,
    "bmm": _matmul,
    "mm": _matmul,
    "softmax": _not_along(1),
    "_softmax": _not_along(1),
    "log_softmax": _not_along(1),
    "slice": _not_along(1, 0),
    "cat": _not_along(1, 0),
    "split": _not_along(2, 0),
    "chunk": _not_along(2, 0),
    "cumsum": _not_along(1),
    "getitem": lambda node, dim: dict.fromkeys(tensors(node), dim),
    "layer_norm": _norm,
    "rms_norm": _norm,
    "permute": _permute,
    "transpose": _permute,
    "t": _permute,
    **dict.fromkeys(RESHAPES, _reshape),
    "unsqueeze": _unsqueeze,
    "select": _taken,
    "unbind": _taken,
    "sum": _reduced,
    "mean": _reduced,
    "amax": _reduced,
    "embedding": _embedding,
    "scaled_dot_product_attention": _attention,
}


def changes(node: Node) -> bool:
    """Tell whether an operation writes into what it is given."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
