"""The layers that `mnemos bench mqar` compares, each at a number of floats of state: name -> state -> layer."""

from __future__ import annotations

from collections.abc import Callable

from mnemos.neural.model import Layer

STATES = (256, 512, 1024, 2048, 4096)  # floats that a mixer may hold of one sequence
SHAPES = {256: (16, 16), 512: (16, 32), 1024: (32, 32), 2048: (32, 64), 4096: (64, 64)}  # (keys, values) of a matrix
WIDTH = 64  # of the models


def matrix(name: str) -> Callable[[int], Layer]:
    """Return the layer with a matrix of keys and values, by its state."""

    def of(state: int) -> Layer:
        key, value = SHAPES[state]
        return name, {"key": key, "value": value}

    return of


def window(state: int) -> Layer:
    """Return attention over as many tokens as the state holds keys and values of; 2 at least."""
    return "attention", {"window": max(2, 1 + state // (2 * WIDTH))}


def based(state: int) -> Layer:
    """Return Based with as many channels before its features as the state allows."""
    key, value = {256: (2, 42), 512: (4, 33), 1024: (6, 36), 2048: (8, 45), 4096: (8, 90)}[state]
    return "based", {"key": key, "value": value}


MEMBERS: dict[str, Callable[[int], Layer]] = {
    "window attention": window,
    "linear-attention": matrix("linear-attention"),
    "gated-linear-attention": matrix("gated-linear-attention"),
    "delta-net": matrix("delta-net"),
    "gated-delta-net": matrix("gated-delta-net"),
    "mamba-2": matrix("mamba-2"),
    "mlstm": matrix("mlstm"),
    "rwkv-7": matrix("rwkv-7"),
    "based": based,
    "lightnet": matrix("lightnet"),
}
