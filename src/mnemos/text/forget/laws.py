"""Laws of forgetting by name."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

from mnemos import registry
from mnemos.errors import InvalidInput, NotFound
from mnemos.text.base import Law


def load_law(name: str, **constants: Any) -> Law:
    """Return a law by name, with these constants in place of its defaults.

    Raises NotFound for an unknown name, and InvalidInput for a constant that the law does not have.
    """
    law = _law(name)
    known = [field.name for field in fields(law)]
    if unknown := sorted(set(constants) - set(known)):
        has = f"its constants are {', '.join(known)}" if known else "it has none"
        raise InvalidInput(f"the law {name!r} has no constant {', '.join(unknown)}: {has}.")
    found: Law = law(**constants)
    return found


@cache
def law_names() -> tuple[str, ...]:
    """Return the names of all laws, sorted. Imports text memory, the first time."""
    return tuple(entry.name for entry in registry.all_entries("text", kind="law"))


@cache
def _law(name: str) -> Any:
    try:
        return registry.get(name, form="text", kind=Law).target
    except NotFound as error:
        raise NotFound(f"no law of forgetting is called {name!r}: choose from {', '.join(law_names())}.") from error
