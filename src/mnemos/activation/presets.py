"""Presets: registered cache methods ready to use, each for a share of the bytes of a full cache.

A preset is a registered function of a share, or the static method `at_share` of a registered class.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from mnemos import registry
from mnemos.activation.base import AtShare, HasPreset
from mnemos.errors import NotFound
from mnemos.registry import Entry, Phase


@dataclass(frozen=True)
class Preset:
    """A cache method as the benchmark runs it."""

    name: str
    at_share: AtShare  # -> the CacheMethod for about a share (0 to 1) of a full cache's bytes, or raises InvalidInput
    task: str  # the benchmark task on which its paper's claim is measured
    baselines: tuple[str, ...]  # the presets that it has to beat on that task
    phase: Phase  # "decode" if it also evicts while generating


def all_presets() -> dict[str, Preset]:
    """Return the presets by name; imports all methods of the form."""
    found = (_preset(entry) for entry in registry.all_entries("activation"))
    return {preset.name: preset for preset in found if preset is not None}


def get_preset(name: str) -> Preset:
    """Return a preset by name; imports its module only.

    Raises NotFound for an unknown name, with the nearest ones, and for a method that has no preset.
    """
    preset = _preset(registry.get(name, form="activation"))
    if preset is None:
        raise NotFound(
            f"{name!r} has no preset for a share of a cache's bytes: construct it as its docstring says "
            f"(`mnemos methods {name}`)."
        )
    return preset


def _preset(entry: Entry) -> Preset | None:
    target = entry.target
    if inspect.isclass(target) and isinstance(target, HasPreset):
        make = target.at_share
    elif entry.kind == "preset":
        make = target
    else:
        return None
    return Preset(entry.name, make, entry.task or "", entry.baselines, entry.phase)
