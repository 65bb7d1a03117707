"""Checks of what callers pass: each returns the argument, or raises InvalidInput with what to pass instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnemos.errors import InvalidInput


def check_text(value: Any, name: str) -> str:
    """Return a string. Raises InvalidInput for anything else."""
    if not isinstance(value, str):
        hint = f": pass {str(value)!r}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
        raise InvalidInput(f"{name} is {value!r:.60}, expected a string{hint}.")
    return value


def check_count(value: Any, name: str, least: int = 1) -> int:
    """Return a whole number of `least` or more. Raises InvalidInput for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{name} is {value!r:.60}, expected a whole number of {least} or more.")
    return value


def check_texts(values: Any, name: str) -> Sequence[str]:
    """Return a list or tuple of strings. Raises InvalidInput for anything else, a lone string above all."""
    if isinstance(values, str):
        raise InvalidInput(f"{name} is the string {values!r:.60}, expected a list of strings: pass [{values!r:.60}].")
    if not isinstance(values, Iterable) or isinstance(values, bytes):
        raise InvalidInput(f"{name} is {values!r:.60}, expected a list of strings.")
    return [check_text(value, f"{name}[{i}]") for i, value in enumerate(values)]


def closest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known names nearest to one that is not known, or all of them."""
    import difflib  # for error messages only

    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}."
