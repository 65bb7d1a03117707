"""A compressed cache as a file: its tensors in safetensors, and what they are in JSON. No pickle: reading runs no code.

Objects are written by the names of their classes, all of `mnemos.activation`, and read back without a constructor. What
is of another kind (an open file of a slow tier, a function that was defined in place) is refused by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mnemos.activation.base import Setup
from mnemos.activation.entries import Entries
from mnemos.activation.shared import CacheState
from mnemos.errors import InvalidInput, StoreCorrupt

VERSION = 1
HOME = "mnemos.activation"
SKIPPED: dict[Any, set[str]] = {Entries: {"room"}}  # attributes that are made again


class Writer:
    """Turns objects into JSON and tensors; an object that is referred to twice is written once."""

    def __init__(self, state: CacheState) -> None:
        self.state = state
        self.tensors: dict[str, Tensor] = {}
        self.objects: list[Any] = []
        self.known: dict[int, int] = {}

    def encode(self, value: Any) -> Any:
        """Return a value as JSON. Raises InvalidInput for what cannot be saved."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, Tensor):
            self.tensors[str(len(self.tensors))] = value.detach().cpu().contiguous().clone()
            return {"tensor": str(len(self.tensors) - 1)}
        if isinstance(value, torch.dtype):
            return {"dtype": str(value).removeprefix("torch.")}
        if isinstance(value, (list, tuple)):
            return {type(value).__name__: [self.encode(one) for one in value]}
        if isinstance(value, dict):
            return {"dict": [[self.encode(name), self.encode(one)] for name, one in value.items()]}
        if isinstance(value, WeakKeyDictionary):
            return {"weak": True}  # what was computed of a model's weights
        if isinstance(value, Setup):
            return {"setup": value.layer}
        if value is self.state:
            return {"state": True}
        return self._named(value)

    def _named(self, value: Any) -> Any:
        kind = value if isinstance(value, type(_loaded)) else type(value)
        name = f"{kind.__module__}:{kind.__qualname__}"
        if kind.__module__.partition(HOME)[:2] != ("", HOME) or "<" in name:
            raise InvalidInput(f"a cache that holds a {name} cannot be saved: use a method made of classes of {HOME}.")
        if kind is value:
            return {"function": name}
        if id(value) not in self.known:
            self.known[id(value)] = len(self.objects)
            self.objects.append(None)
            skipped = SKIPPED.get(kind, set())
            state = {attribute: self.encode(one) for attribute, one in vars(value).items() if attribute not in skipped}
            self.objects[self.known[id(value)]] = {"class": name, "state": state}
        return {"object": self.known[id(value)]}


class Reader:
    """Makes objects again of what a `Writer` wrote."""

    def __init__(self, state: CacheState, tensors: dict[str, Tensor], objects: list[Any]) -> None:
        self.state, self.tensors = state, tensors
        self.made: list[Any] = [object.__new__(_loaded(one["class"], type)) for one in objects]
        for made, one in zip(self.made, objects, strict=True):
            made.__dict__.update({name: self.decode(value) for name, value in one["state"].items()})
            for name in SKIPPED.get(type(made), ()):
                made.__dict__[name] = None

    def decode(self, value: Any) -> Any:
        """Return what was encoded."""
        if not isinstance(value, dict):
            return value
        ((kind, held),) = value.items()
        found: dict[str, Callable[[], Any]] = {
            "tensor": lambda: self.tensors[held],
            "dtype": lambda: getattr(torch, held),
            "list": lambda: [self.decode(one) for one in held],
            "tuple": lambda: tuple(self.decode(one) for one in held),
            "dict": lambda: {self.decode(name): self.decode(one) for name, one in held},
            "weak": WeakKeyDictionary,
            "setup": lambda: self.state.setup(held),
            "state": lambda: self.state,
            "function": lambda: _loaded(held, type(_loaded)),
            "object": lambda: self.made[held],
        }
        return found[kind]()


def _loaded(name: str, kind: type) -> Any:
    """Return a class or a function of this package. Raises StoreCorrupt for any other."""
    module, _, inside = name.partition(":")
    found: Any = import_module(module) if f"{module}.".startswith(f"{HOME}.") else None
    for part in inside.split("."):
        found = vars(found).get(part) if found is not None else None
    if not isinstance(found, kind) or found.__module__ != module:
        raise StoreCorrupt(f"a saved cache names {name}, which this version does not have: make the cache again.")
    return found


def write(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write a file at once: a crash leaves the old one or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, beside, metadata={"mnemos-cache": json.dumps({"version": VERSION} | header)})
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_file(path: Path, device: torch.device) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors. Raises StoreCorrupt for a file that is damaged or of another kind."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("mnemos-cache", "null"))
            if not isinstance(header, dict) or header.get("version") != VERSION:
                raise StoreCorrupt(f"{path.name} is not a saved cache of this version: make the cache again.")
            return header, {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise StoreCorrupt(f"{path.name} cannot be read ({error}): make the cache again.") from error


def shape_of(model: Any) -> dict[str, Any]:
    """Return what a cache's tensors depend on in a model: kind, sizes and type."""
    config = model.config.get_text_config(decoder=True)
    names = (
        "model_type",
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
    )
    return {name: vars(config).get(name) for name in names} | {"dtype": str(model.dtype)}
