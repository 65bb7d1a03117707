"""Presets: registered cache methods ready to use, each for a share of the bytes of a full cache.

A preset is a registered function of a share, or a registered class with a static method `at_share`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from mnemos import registry
from mnemos.activation.method import CacheMethod
from mnemos.errors import NotFound
from mnemos.registry import Entry, Phase

AtShare = Callable[[float], CacheMethod]


@dataclass(frozen=True)
class Preset:
    """A cache method as the benchmark runs it; see `registry.Entry` for its fields."""

    name: str
    at_share: AtShare  # -> the method that holds about a share (0 to 1) of a full cache's bytes, or raises InvalidInput
    task: str
    baselines: tuple[str, ...]
    phase: Phase


def all_presets() -> dict[str, Preset]:
    """Return the presets by name; imports all methods of the form."""
    found = (_preset(entry) for entry in registry.all_entries("activation"))
    return {preset.name: preset for preset in found if preset is not None}


def get_preset(name: str) -> Preset:
    """Return a preset by name; imports its module only. Raises NotFound with the nearest names."""
    preset = _preset(registry.get(name, form="activation"))
    if preset is None:
        raise NotFound(f"{name!r} has no preset: it cannot be made for a share of a cache's bytes. See its docstring.")
    return preset


def _preset(entry: Entry) -> Preset | None:
    target = entry.target
    if hasattr(target, "at_share"):
        make = target.at_share
    elif inspect.isfunction(target) and list(inspect.signature(target).parameters) == ["share"]:
        make = target
    else:
        return None
    return Preset(entry.name, make, entry.task or "", entry.baselines, entry.phase)
