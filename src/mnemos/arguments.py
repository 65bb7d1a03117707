"""Checks of what callers pass: each returns the argument, or raises InvalidInput with what to pass instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mnemos.errors import InvalidInput


def check_text(value: Any, name: str) -> str:
    """Return a string. Raises InvalidInput for anything else."""
    if not isinstance(value, str):
        hint = f": pass {str(value)!r}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise InvalidInput(f"{name} is {value!r:.60}, expected a string{hint}.")
    return value


def check_optional(value: Any, name: str) -> str | None:
    """Return a string or None. Raises InvalidInput for anything else."""
    return None if value is None else check_text(value, name)


def check_flag(value: Any, name: str) -> bool:
    """Return True or False. Raises InvalidInput for anything else."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is {value!r:.60}, expected True or False.")
    return value


def check_count(value: Any, name: str, least: int = 1, most: int | None = None) -> int:
    """Return a whole number from `least` to `most`. Raises InvalidInput for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        bounds = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise InvalidInput(f"{name} is {value!r:.60}, expected a whole number {bounds}.")
    return value


def check_number(value: Any, name: str) -> float:
    """Return a number. Raises InvalidInput for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} is {value!r:.60}, expected a number.")
    return value


def check_share(value: Any, name: str) -> float | None:
    """Return a number from 0 to 1, or None. Raises InvalidInput for anything else."""
    if value is not None and not 0 <= check_number(value, name) <= 1:
        raise InvalidInput(f"{name} is {value!r:.60}, expected a probability from 0 to 1.")
    return None if value is None else float(value)


def check_texts(values: Any, name: str) -> Sequence[str]:
    """Return a list of strings. Raises InvalidInput for anything else, such as a single string."""
    if isinstance(values, str):
        raise InvalidInput(f"{name} is the string {values!r:.60}, expected a list of strings: pass [{values!r:.60}].")
    if not isinstance(values, Iterable) or isinstance(values, bytes | Mapping):
        raise InvalidInput(f"{name} is {values!r:.60}, expected a list of strings.")
    return [check_text(value, f"{name}[{i}]") for i, value in enumerate(values)]


def check_list(values: Any, name: str, of: str = "dicts") -> Iterable[Any]:
    """Return an iterable; its items are not checked. Raises InvalidInput for anything else, such as a string or dict."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise InvalidInput(f"{name} is {values!r:.60}, expected a list of {of}.")
    return values


def closest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known names nearest to one that is not known, or all of them."""
    import difflib  # for error messages only

    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}."
