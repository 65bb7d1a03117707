"""Inherited distrust: what was made from an untrusted text, or repeats one, is trusted no more than that text.

An assistant that read a poisoned page says so again in its own turn; a summary has the words of what it sums up. Both would
otherwise come back as if they were better founded than the page. Judged when memories are read, not when they are written:
trust rules can change, and a release of the page releases its echo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnemos.cube import MemCube
from mnemos.guard.claims import Voice
from mnemos.guard.trust import Trust, trust_of, trust_of_role
from mnemos.store.base import Store
from mnemos.store.values import Filter

BEFORE = 30  # cubes of a session before an assistant's turn that it may repeat
GENERATIONS = 5  # of parents that are followed
MOST, SOME, LEAST = 0.6, 0.3, 3  # shares of the content terms, of either text, and the fewest terms


def effective_trust(store: Store, rules: Mapping[str, int], cubes: Sequence[MemCube]) -> dict[str, Trust]:
    """Return the trust in cubes by id, that of what they were made from and repeat considered.

    Free for what the user says; one lookup for all parents of a generation, and one for an assistant's turn in a session,
    0.2 ms each.
    """
    trust = {cube.id: trust_of(cube.role, cube.source, rules) for cube in cubes}
    for cube in cubes:
        if cube.parents and trust[cube.id] > Trust.UNTRUSTED:
            trust[cube.id] = min(trust[cube.id], _of_parents(store, rules, cube))
    known = [_voice(cube) for cube in cubes if trust[cube.id] == Trust.UNTRUSTED]
    for cube in cubes:
        if trust[cube.id] == Trust.NORMAL and not cube.source and trust_of_role(cube.role) == Trust.NORMAL:
            said, read = _voice(cube), [*known, *map(_voice, _outside(store, rules, cube))]
            if any(repeats(said, other) for other in read):
                trust[cube.id] = Trust.UNTRUSTED
    return trust


def repeats(said: Voice, read: Voice) -> bool:
    """Tell whether a text repeats another one: most of the words of either, or some of them with a name or number of it."""
    mine, theirs = said.content, read.content
    shared = len(mine & theirs)
    if shared >= LEAST and shared >= MOST * min(len(mine), len(theirs)):
        return True
    values = (said.names | said.numbers) & (read.names | read.numbers)
    return bool(values) and shared >= max(2, SOME * min(len(mine), len(theirs)))


def _voice(cube: MemCube) -> Voice:
    return Voice(cube.id, cube.text)


def _of_parents(store: Store, rules: Mapping[str, int], cube: MemCube) -> Trust:
    lowest, names = Trust.TRUSTED, set(cube.parents)
    for _ in range(GENERATIONS):
        found = store.get(sorted(names)).values()
        lowest = min([lowest, *(trust_of(parent.role, parent.source, rules) for parent in found)])
        names = {name for parent in found for name in parent.parents}
        if not names or lowest == Trust.UNTRUSTED:
            break
    return lowest


def _outside(store: Store, rules: Mapping[str, int], cube: MemCube) -> list[MemCube]:
    """Return the untrusted cubes of the session that were written shortly before a cube."""
    keys = store.keys_of([cube.id])
    if not cube.session or not keys:
        return []
    before = store.inspect.newest(Filter(session=cube.session, state=None), keys[0], BEFORE)
    return [c for _, c in before if trust_of(c.role, c.source, rules) == Trust.UNTRUSTED]
