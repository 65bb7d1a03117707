"""The pieces of a prompt: each cube rendered, tokenised, and named by what its keys and values depend on."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.migrate.base import Mode, Render, tokenize


def render(cube: MemCube) -> str:
    """Return a cube as a line of a prompt: date, speaker and text."""
    return f"[{cube.at:%Y-%m-%d}] {cube.speaker + ': ' if cube.speaker else ''}{cube.text}\n"


@dataclass
class Piece:
    """The part of a prompt that one cube makes."""

    cube: MemCube
    tokens: list[int]
    digest: str  # of the model, the mode, the tokens, and in mode "exact" of the pieces before
    parents: tuple[str, ...]  # ids of the cubes that the keys and values depend on, its own last
    sink: tuple[int, ...] = ()  # tokens that are read, and kept, in front of it; in mode "block"
    before: str | None = None  # the id of the piece that it was read after

    @property
    def id(self) -> str:
        """The id of the KV cube that holds its keys and values."""
        return base64.b32encode(bytes.fromhex(self.digest)[:10]).decode("ascii").lower()


def to_pieces(
    cubes: Sequence[MemCube], model: str, tokenizer: Any, mode: Mode, render: Render, bits: int | None,
    weights: Sequence[str] = (),
) -> list[Piece]:  # fmt: skip
    """Return the pieces of a prompt; `model` is its fingerprint, and `bits` how its keys and values are stored.

    `weights` are the ids of what is attached to the model: its keys and values depend on that too.

    In mode "exact" the first piece starts with the tokenizer's BOS token, if it has one. In mode "block" every piece has
    it as its sink, or a line break where there is none. Raises InvalidInput for a cube without tokens.
    """
    pieces: list[Piece] = []
    bos = getattr(tokenizer, "bos_token_id", None)
    sink = () if mode == "exact" else (bos,) if bos is not None else tuple(tokenize(tokenizer, "\n"))
    for cube in cubes:
        tokens = tokenize(tokenizer, render(cube))
        if mode == "exact" and not pieces and bos is not None:
            tokens = [bos, *tokens]
        if not tokens:
            raise InvalidInput(f"cube {cube.id!r} has no tokens: leave it out, or give a `render` that returns text.")
        before = pieces[-1] if pieces and mode == "exact" else None
        key = [mode, model, *weights, bits, before and before.digest, cube.id, sink, tokens]
        digest = hashlib.blake2b(json.dumps(key).encode(), digest_size=32).hexdigest()
        read_before = before.parents if before else tuple(weights)
        pieces.append(Piece(cube, tokens, digest, (*read_before, cube.id), sink, before.id if before else None))
    return pieces


def check_model(model: Any) -> None:
    """Raise InvalidInput for a model with layers that do not hold all tokens."""
    config = model.config.get_text_config(decoder=True)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()) or getattr(config, "sliding_window", None):
        raise InvalidInput(
            f"{type(model).__name__} has layers with a sliding window, which do not hold all tokens: "
            "cubes can be activated only for models without one."
        )
