"""Voices: whose words a cube's are, and whose word counts more. Nobody speaks for the user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

from mnemos.cube import MemCube
from mnemos.facts import Fact
from mnemos.guard.quarantine import read_trust
from mnemos.guard.trust import Trust, trust_of, trust_of_role
from mnemos.store.base import Store
from mnemos.store.setting import stored_value

_PRODUCT = re.compile(r"[\w-]+")  # a source such as "chatgpt": where the user's own words were kept


class Standing(IntEnum):
    """How much a statement counts: a lower one never ends, and never outranks, a higher one."""

    OUTSIDE = 0  # a page, a mail, a file, a tool's answer, an assistant's draft
    CLAIM = 1  # somebody about somebody else, or about a thing; what another memory kept
    OWN = 2  # somebody about himself and what is his


def stored_trust(store: Store) -> Mapping[str, int]:
    """Return the tiers of trust by source that are set for a space; a damaged setting counts as not set."""
    return stored_value(store, "trust", read_trust) or {}


def is_own(cube: MemCube, rules: Mapping[str, int]) -> bool:
    """Tell whether a cube has its speaker's own words: a person's, and from no outside source.

    What the `rules` of the space trust as the user does not count as outside; nor do the user's turns of another product.
    """
    trust = trust_of(cube.role, cube.source, rules)
    return trust == Trust.TRUSTED or (trust == Trust.NORMAL and cube.role is not None and _is_kept(cube))


def narrator(cube: MemCube, rules: Mapping[str, int]) -> str | None:
    """Return who says "I" in a cube: its speaker, an assistant, or the source. None stands for the user.

    Of several assistants, and of several people in one source, each is somebody: "assistant ben", "whatsapp bo".
    """
    if is_own(cube, rules):
        return cube.speaker
    voice = cube.source or cube.role
    if voice is None or cube.speaker is None or cube.speaker.casefold() == voice.casefold():
        return voice or cube.speaker
    return f"{voice} {cube.speaker}"


def standing(fact: Fact, cube: MemCube, rules: Mapping[str, int]) -> Standing:
    """Return how much a fact counts that a cube states."""
    if not is_own(cube, rules):
        return Standing.CLAIM if _is_kept(cube) else Standing.OUTSIDE
    me = (cube.speaker or "user").strip().lower()
    return Standing.OWN if fact.subject == me or fact.subject.startswith(f"{me}'s ") else Standing.CLAIM


def _is_kept(cube: MemCube) -> bool:
    """Tell whether another product kept a person's words, by a source such as "chatgpt"."""
    person = trust_of_role(cube.role) == Trust.TRUSTED
    return person and cube.source is not None and _PRODUCT.fullmatch(cube.source) is not None
