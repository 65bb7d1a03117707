"""The laws of forgetting by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

from mnemos.errors import InvalidInput, NotFound
from mnemos.text.forget.base import Law
from mnemos.text.forget.baselines import Fifo, Lru, Random
from mnemos.text.forget.ebbinghaus import Ebbinghaus
from mnemos.text.forget.hebbian import Hebbian
from mnemos.text.forget.hema import Use
from mnemos.text.forget.layered import Layered
from mnemos.text.forget.memoryos_heat import Heat
from mnemos.text.forget.power import PowerLaw
from mnemos.text.forget.ttl import TimeToLive

LAWS: dict[str, type[Law]] = {
    "ebbinghaus": Ebbinghaus,
    "power": PowerLaw,
    "memoryos-heat": Heat,
    "layered": Layered,
    "hema": Use,
    "hebbian": Hebbian,
    "ttl": TimeToLive,
    "fifo": Fifo,
    "lru": Lru,
    "random": Random,
}


def load_law(name: str, **constants: Any) -> Law:
    """Return a law by name, with these constants in place of its defaults.

    Raises NotFound for an unknown name, and InvalidInput for a constant that the law does not have.
    """
    if name not in LAWS:
        raise NotFound(f"no law of forgetting is called {name!r}: choose from {', '.join(LAWS)}.")
    law = cast(Any, LAWS[name])
    known = [field.name for field in fields(law)]
    if unknown := sorted(set(constants) - set(known)):
        has = f"its constants are {', '.join(known)}" if known else "it has none"
        raise InvalidInput(f"the law {name!r} has no constant {', '.join(unknown)}: {has}.")
    return cast(Callable[..., Law], law)(**constants)
