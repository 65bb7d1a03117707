"""Modules around a model's own ones, and how these take their places again."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from torch import nn


class Wrapper(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """A module around another one, whose attributes are found in it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


class Wraps:
    """The half of a `Rewriter` that is the same wherever the model's own module is left as it is, within another one."""

    def restore(self, module: nn.Module) -> nn.Module:
        """Return the model's own module."""
        inner: nn.Module = module.inner
        return inner


def seed_of(name: str, seed: int) -> int:
    """Return the seed of what is drawn for a module: another one for each name, and the same in every process."""
    return 1_000_003 * seed + crc32(name.encode())
