"""BERT encoders as ONNX graphs with 8-bit weights: what the bundled and the multilingual model are built with.

Every weight matrix is quantised to int8 with one scale an output channel, the word table with one scale a row (or kept in
blocks of 4 bits, where it comes so), and activations to uint8 on the fly with one scale a token (so that a text's vector
does not depend on its batch). No calibration data is needed. Biases, LayerNorm and attention stay in float32. Mean
pooling and normalisation are in the graph.

Processors without VNNI instructions add two neighbouring uint8 x int8 products in 16 bits, and saturate. The scale of a
channel is therefore the smallest with which no such pair can overflow, whatever the activations are: the vectors are
the same on old and new processors. Needs the package `onnx`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mnemos.embed.weights import WORDS, Blocks, Shape, Weights

MICROSOFT = "com.microsoft"  # onnxruntime's own operators
OPSET = 21
PAIR = 128  # the largest sum of two neighbouring weights of one sign: 255 * 128 fits into 16 bits
GELU_LOWEST = 0.17  # GELU is nowhere below -0.17
CENTRE, CENTRE_GELU = 128, 16  # the codes of zero: in the middle, or low where values are hardly negative


class Quantised(NamedTuple):
    """Rows as uint8 codes: row = (codes - centre) * scale. The fields are names in the graph, but for the centre."""

    codes: str
    scale: str
    centre: int
    rows: str  # as they were


class Graph:
    """Nodes and constants of an ONNX graph under construction."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        """Add a constant once, under a name, and return the name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def shared(self, kind: str, *inputs: str) -> str:
        """Add a node of one output once; later calls with the same inputs return the same output."""
        for node in self.nodes:
            if node.op_type == kind and tuple(node.input) == inputs:
                return str(node.output[0])
        return str(self.op(kind, *inputs))

    def axes(self, *axes: int) -> str:
        """Return a constant that lists axes."""
        return self.constant("axes" + "_".join(map(str, axes)), np.array(axes, np.int64))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; return the name of its output, or the names of several."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names


def add_states(model: onnx.ModelProto, layers: Sequence[int], width: int) -> None:
    """Add the output `tokens` (B * L, D * layers) float32: the state of each token after some layers, side by side.

    What the graph computes for `vectors` stays the same.
    """
    scales = [f"encoder.layer.{layer}.output.LayerNorm.weight" for layer in layers]
    states = {node.input[1]: node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    model.graph.node.append(helper.make_node("Concat", [states[scale] for scale in scales], ["tokens"], axis=-1))
    output = helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B*L", width * len(layers)])
    model.graph.output.append(output)


def build(shape: Shape, weights: Weights, *, quantised: bool = True, words: Blocks | None = None) -> onnx.ModelProto:
    """Return the graph: inputs `ids` and `mask` (B, L) int64, output `vectors` (B, D) float32 of unit length.

    `weights` has the names of the transformers library. The word table is `words` where it is given.
    """
    g = Graph()
    x = encoded(g, shape, weights, embeddings(g, shape, weights, quantised, words), quantised)
    summed = g.op("MatMul", g.op("Unsqueeze", g.op("Cast", "mask", to=TensorProto.FLOAT), g.axes(1)), x)
    pooled = g.op("Squeeze", summed, g.axes(1))
    g.nodes.append(helper.make_node("LpNormalization", [pooled], ["vectors"], axis=-1, p=2))
    return graph_of(g, shape.name, ("ids", "mask"), "vectors", ["B", shape.width])


def build_pair_reader(shape: Shape, weights: Weights, *, quantised: bool = True) -> onnx.ModelProto:
    """Return the graph of a cross-encoder: inputs `ids`, `types` and `mask` (B, L) int64, output `log_odds` (B,) float32.

    A pair is read as one sequence, the types 0 for its first text and 1 for its second. Beside the names of `build`,
    `weights` has low-rank updates (`linear`), weight and bias of `pool` and `out`, and `types.before`: the types of the
    embedder whose constants are to be shared, from which its own differ.
    """
    g = Graph()
    kinds = weights["embeddings.token_type_embeddings.weight"]
    first = weights | {"embeddings.token_type_embeddings.weight": weights["types.before"]}
    x = embeddings(g, shape, first, quantised, None, kinds - weights["types.before"][0])
    x = encoded(g, shape, weights, x, quantised)
    start = g.op("Gather", x, g.constant("start", np.int64(0)), axis=1)
    x = g.op("MatMul", start, half(g, "pool.w", weights["pool.weight"].T))
    x = g.op("Tanh", g.op("Add", x, g.constant("pool.b", weights["pool.bias"])))
    x = g.op("MatMul", x, g.constant("out.w", weights["out.weight"].T))
    x = g.op("Add", x, g.constant("out.b", weights["out.bias"]))
    g.nodes.append(helper.make_node("Squeeze", [x, g.axes(1)], ["log_odds"]))
    return graph_of(g, shape.name, ("ids", "types", "mask"), "log_odds", ["B"])


def encoded(g: Graph, shape: Shape, weights: Weights, x: str, quantised: bool) -> str:
    """Return the states after all layers, (B, L, D), of rows (B * L, D)."""
    size = g.op("Shape", "ids")
    bias = attention_bias(g)
    rows = g.op("Shape", g.op("Reshape", "ids", g.axes(-1))) if quantised else ""
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}."
        y = attention(g, shape, rounded(g, x, rows), weights, prefix + "attention.self.", size, bias)
        y = linear(g, rounded(g, y, rows), weights, prefix + "attention.output.dense")
        x = add_and_normalise(g, x, y, weights, prefix + "attention.output.LayerNorm")
        y = linear(g, rounded(g, x, rows), weights, prefix + "intermediate.dense")
        y = g.op("Gelu", y, domain=MICROSOFT)
        y = linear(g, rounded(g, y, rows, gelu=True), weights, prefix + "output.dense")
        x = add_and_normalise(g, x, y, weights, prefix + "output.LayerNorm")
    width = g.constant("width", np.array([shape.width], np.int64))
    return str(g.op("Reshape", x, g.op("Concat", size, width, axis=0)))


def graph_of(g: Graph, name: str, inputs: Sequence[str], output: str, shape: Sequence[str | int]) -> onnx.ModelProto:
    """Return the model of a finished graph; its inputs are (B, L) int64, its output float32."""
    graph = helper.make_graph(
        g.nodes,
        name,
        [helper.make_tensor_value_info(one, TensorProto.INT64, ["B", "L"]) for one in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        list(g.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="mnemos")


def embeddings(
    g: Graph, shape: Shape, weights: Weights, quantised: bool, words: Blocks | None, kinds: Any = None
) -> str:
    """Look up words and positions, and normalise; returns (B * L, D).

    `kinds` (types, D) is what a type adds to that of the first; None where all pieces are of the first type.
    """
    x = looked_up(g, weights[WORDS], quantised) if words is None else unpacked(g, words)
    places = weights["embeddings.position_embeddings.weight"][: shape.positions]
    places = places + weights["embeddings.token_type_embeddings.weight"][0]
    length = g.op("Slice", g.op("Shape", "ids"), g.axes(1), g.axes(2))
    x = g.op("Add", x, g.op("Slice", g.constant("places", places), g.axes(0), length, g.axes(0)))
    if kinds is not None:
        x = g.op("Add", x, g.op("Gather", g.constant("kinds", kinds), "types"))
    x = normalise(g, x, weights, "embeddings.LayerNorm")
    return str(g.op("Reshape", x, g.constant("rows", np.array([-1, shape.width], np.int64))))


def looked_up(g: Graph, table: NDArray[np.float32], quantised: bool) -> str:
    """Look up words in a table, (B, L, D); with int8 codes and a scale a row if it is quantised."""
    if not quantised:
        return str(g.op("Gather", g.constant("words", table), "ids"))
    scale = np.abs(table).max(axis=1, keepdims=True) / 127
    codes = g.op("Gather", g.constant("words", np.round(table / scale).astype(np.int8)), "ids")
    scales = g.op("Gather", g.constant("words.scale", scale.astype(np.float32)), "ids")
    return str(g.op("Mul", g.op("Cast", codes, to=TensorProto.FLOAT), scales))


def unpacked(g: Graph, words: Blocks) -> str:
    """Look up words in a table of 4-bit blocks, (B, L, D). The values are exactly those of the blocks."""
    packed = g.op("Gather", g.constant("words", words.codes), "ids")
    low = g.op("BitwiseAnd", packed, g.constant("low_half", np.uint8(15)))
    high = g.op("BitShift", packed, g.constant("half", np.uint8(4)), direction="RIGHT")
    codes = g.op("Cast", g.op("Concat", low, high, axis=-1), to=TensorProto.FLOAT)
    scales = g.op("Cast", g.op("Gather", g.constant("words.scale", words.scales), "ids"), to=TensorProto.FLOAT)
    values = g.op(
        "Mul", g.op("Sub", codes, g.constant("zero_code", np.float32(8))), g.op("Unsqueeze", scales, g.axes(-1))
    )
    return str(g.op("Reshape", values, g.constant("flat", np.array([0, 0, -1], np.int64))))


def attention_bias(g: Graph) -> str:
    """Return 0 where there is a token and -10,000 where there is padding, (B, 1, 1, L)."""
    mask = g.op("Cast", "mask", to=TensorProto.FLOAT)
    bias = g.op("Mul", g.op("Sub", mask, g.constant("one", np.float32(1))), g.constant("far", np.float32(1e4)))
    return str(g.op("Unsqueeze", bias, g.axes(1, 2)))


def attention(g: Graph, shape: Shape, x: str | Quantised, weights: Weights, prefix: str, size: str, bias: str) -> str:
    """Multi-head self-attention of (B * L, D) rows; `size` is the name of (B, L)."""
    width = shape.width // shape.heads
    heads = g.op("Concat", size, g.constant("heads", np.array([shape.heads, width], np.int64)), axis=0)
    softener = np.float32(width**-0.5)
    names = [n for n in (f"{prefix}query.{n}" for n in ("weight", "bias", "up")) if n in weights]
    query = {name: weights[name] * softener for name in names}
    q, k, v = (g.op("Reshape", linear(g, x, weights | query, prefix + n), heads) for n in ("query", "key", "value"))
    scores = g.op("MatMul", g.op("Transpose", q, perm=[0, 2, 1, 3]), g.op("Transpose", k, perm=[0, 2, 3, 1]))
    shares = g.op("Softmax", g.op("Add", scores, bias), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", shares, g.op("Transpose", v, perm=[0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return str(g.op("Reshape", mixed, g.constant("rows", np.array([-1, shape.width], np.int64))))


def rounded(g: Graph, x: str, rows: str, *, gelu: bool = False) -> str | Quantised:
    """Return rows quantised with a scale each; as they are when `rows`, the name of their number, is empty."""
    if not rows:
        return x
    centre, lowest = (CENTRE_GELU, GELU_LOWEST) if gelu else (CENTRE, 1e-8)
    largest = g.op("ReduceMax", x if gelu else g.op("Abs", x), g.axes(-1), keepdims=1)
    steps = 255 - centre
    scale = g.op("Mul", largest, g.constant(f"1/{steps}", np.float32(1 / steps)))
    scale = g.op("Max", scale, g.constant(f"least_scale_{centre}", np.float32(lowest / centre)))
    scales = g.op("Squeeze", scale, g.axes(-1))
    centres = g.shared("Expand", g.constant(f"centre_{centre}", np.array([centre], np.uint8)), rows)
    return Quantised(g.op("QuantizeLinear", x, scales, centres, axis=0), scale, centre, x)


def linear(g: Graph, x: str | Quantised, weights: Weights, name: str) -> str:
    """Return x W' + b for rows x; with int8 weights if the rows are quantised, and a low-rank update where there is one.

    The update x A' B' has its factors in `weights`, `down` (rank, inputs) and `up` (outputs, rank), kept in 16 bits: LoRA
    (Hu et al., arXiv 2106.09685), unmerged, so that two graphs can share the codes.
    """
    weight, bias = weights[name + ".weight"], g.constant(name + ".b", weights[name + ".bias"])
    if isinstance(x, str):
        y = g.op("Add", g.op("MatMul", x, g.constant(name + ".w", weight.T)), bias)
    else:
        codes, scale = quantise(weight)
        product = g.op(
            "MatMulIntegerToFloat", x.codes, g.constant(name + ".w", codes.T), g.constant("one", np.float32(1)),
            g.constant(name + ".s", scale), g.constant(f"zero_{x.centre}", np.uint8(x.centre)), domain=MICROSOFT,
        )  # fmt: skip
        y = g.op("Add", g.op("Mul", product, x.scale), bias)
    if name + ".down" in weights:
        rows = x if isinstance(x, str) else x.rows
        inner = g.op("MatMul", rows, half(g, name + ".down", weights[name + ".down"].T))
        y = g.op("Add", y, g.op("MatMul", inner, half(g, name + ".up", weights[name + ".up"].T)))
    return str(y)


def half(g: Graph, name: str, value: NDArray[np.float32]) -> str:
    """Return a constant that is kept in 16 bits and read as float32."""
    return str(g.op("Cast", g.constant(name, value.astype(np.float16)), to=TensorProto.FLOAT))


def quantise(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 codes of a matrix (outputs, inputs) and a scale an output: weight = codes * scale.

    Of inputs 2i and 2i + 1, the codes of one sign add up to PAIR at most, so that their products with two uint8 cannot
    overflow 16 bits.
    """
    pairs = weight.reshape(len(weight), -1, 2)
    largest = np.abs(weight).max(axis=1)
    heaviest = np.maximum(np.maximum(pairs, 0).sum(axis=2), np.maximum(-pairs, 0).sum(axis=2)).max(axis=1)
    scale = np.maximum(largest / 127, heaviest / (PAIR - 0.6)).astype(np.float32)  # rounding adds less than 1 to a pair
    codes = np.round(weight / scale[:, None]).astype(np.int8)
    both = codes.reshape(pairs.shape).astype(int)
    if max(np.maximum(both, 0).sum(axis=2).max(), np.maximum(-both, 0).sum(axis=2).max()) > PAIR:
        raise ArithmeticError("two neighbouring weights could overflow 16 bits: quantise() is wrong.")
    return codes, scale


def add_and_normalise(g: Graph, x: str, y: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x + y)."""
    return normalise(g, g.op("Add", x, y), weights, name)


def normalise(g: Graph, x: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x)."""
    scale, shift = (g.constant(f"{name}.{n}", weights[f"{name}.{n}"]) for n in ("weight", "bias"))
    return str(g.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12))
