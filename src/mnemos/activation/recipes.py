"""Cache methods ready to use: each by name, for a share of the bytes of a full cache."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mnemos.activation.method import Method
from mnemos.errors import NotFound

Make = Callable[[float], Method]


@dataclass(frozen=True)
class Recipe:
    """A method as the benchmark runs it.

    `make(share)` returns the method that holds about that share (above 0, at most 1) of a full cache's bytes; it raises
    InvalidInput for shares that it cannot reach. `task` is the task on which its paper's claim is measured, `baselines` the
    recipes that it has to beat there. A `phase` of "prompt" compresses what was read, "decode" what is generated too.
    """

    name: str
    make: Make
    task: str
    baselines: tuple[str, ...]
    phase: Literal["prompt", "decode"]


_RECIPES: dict[str, Recipe] = {}


def recipe(
    name: str,
    *,
    task: str,
    baselines: tuple[str, ...] = ("random", "recent"),
    phase: Literal["prompt", "decode"] = "prompt",
) -> Callable[[Make], Make]:
    """Register the decorated function of a share under a name. Raises ValueError when the name is taken."""

    def register(make: Make) -> Make:
        known = _RECIPES.get(name)
        if known is not None and known.make.__module__ != make.__module__:
            raise ValueError(f"recipe name {name!r} is taken by {known.make.__module__}: choose another name")
        _RECIPES[name] = Recipe(name, make, task, baselines, phase)
        return make

    return register


def all_recipes() -> dict[str, Recipe]:
    """Import every module of the form and return what they registered, by name."""
    package = importlib.import_module("mnemos.activation")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return dict(sorted(_RECIPES.items()))


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name. Raises NotFound with the nearest names."""
    known = all_recipes()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    raise NotFound(
        f"there is no cache method {name!r}: {f'did you mean {near}?' if near else f'choose from {list(known)}.'}"
    )
