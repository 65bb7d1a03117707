"""Voices: whose words a cube's are, and whose word counts more. Nobody speaks for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

from mnemos.cube import MemCube
from mnemos.facts import Fact
from mnemos.guard.instructions import Trust, trust_of

MACHINES = frozenset({"assistant", "ai", "model", "tool", "function", "system", "developer"})  # roles that are nobody
_PRODUCT = re.compile(r"[\w-]+")  # a source such as "chatgpt": where the user's own words were kept


class Standing(IntEnum):
    """How much a statement counts: a lower one never ends, and never outranks, a higher one."""

    OUTSIDE = 0  # a page, a mail, a file, a tool's answer, an assistant's draft
    CLAIM = 1  # somebody about somebody else, or about a thing; what another memory kept
    OWN = 2  # somebody about himself and what is his


def is_own(cube: MemCube, rules: Mapping[str, int]) -> bool:
    """Tell whether a cube has its speaker's own words: not a machine's, and from no outside source.

    A source that `rules` trust as the user does not count as outside.
    """
    if (cube.role or "user") in MACHINES:
        return False
    if cube.source is None:
        return True
    trust = trust_of(cube.role, cube.source, rules)
    kept = cube.role is not None and _PRODUCT.fullmatch(cube.source) is not None
    return trust == Trust.TRUSTED or (trust == Trust.NORMAL and kept)


def narrator(cube: MemCube, rules: Mapping[str, int]) -> str | None:
    """Return who says "I" in a cube: its speaker, an assistant, or the source. None stands for the user."""
    if is_own(cube, rules):
        return cube.speaker
    return cube.source or cube.role or cube.speaker


def standing(fact: Fact, cube: MemCube, rules: Mapping[str, int]) -> Standing:
    """Return how much a fact counts that a cube states."""
    if not is_own(cube, rules):
        memory = cube.source is not None and (cube.role or "user") not in MACHINES and _PRODUCT.fullmatch(cube.source)
        return Standing.CLAIM if memory else Standing.OUTSIDE
    me = (cube.speaker or "user").strip().lower()
    return Standing.OWN if fact.subject == me or fact.subject.startswith(f"{me}'s ") else Standing.CLAIM
