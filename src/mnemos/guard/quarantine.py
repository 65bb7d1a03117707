"""What of the hits may stand in a prompt: nothing untrusted that gives orders, nothing that better sources contradict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import Hit, MemCube, to_micros
from mnemos.errors import InvalidInput
from mnemos.facts import Rejection
from mnemos.guard.consensus import Claim, contradicted, names
from mnemos.guard.instructions import Trust, looks_like_instructions, trust_of
from mnemos.store.sqlite.store import SqliteStore

SECRETS = ("redact", "refuse", "keep")


def trust_rules(rules: Mapping[str, int]) -> str:
    """Return tiers of trust by source as JSON, in the order in which they are tried. Raises InvalidInput for others."""
    if not isinstance(rules, Mapping):
        raise InvalidInput(f'trust is {rules!r:.60}, expected a dict of tiers by source, such as {{"https://*": 0}}.')
    for pattern, tier in rules.items():
        if not isinstance(pattern, str) or tier not in (0, 1, 2) or isinstance(tier, bool):
            raise InvalidInput(
                f"trust: {pattern!r} has the tier {tier!r}. Use 0 (untrusted), 1 (normal) or 2 (trusted)."
            )
    return json.dumps({p: int(t) for p, t in rules.items()})


def secrets_policy(policy: str) -> str:
    """Return the policy for secrets. Raises InvalidInput for one that is not known."""
    if policy not in SECRETS:
        raise InvalidInput(f"secrets is {policy!r}, expected one of {', '.join(SECRETS)}.")
    return policy


def quarantined(
    store: SqliteStore, rules: Mapping[str, int], hits: Sequence[Hit], question: str, now: datetime
) -> dict[str, str]:
    """Return the ids of hits that are not to be shown to an agent, with the reason.

    Untrusted cubes that look like orders; then those that the others outvote (see `consensus`). What was found out is
    stored as rejections. Costs nothing where all hits are trusted; else 0.1 ms an untrusted hit, and O(hits squared).
    """
    trust = {hit.cube.id: trust_of(hit.cube.role, hit.cube.source, rules) for hit in hits}
    if min(trust.values(), default=Trust.TRUSTED) > Trust.UNTRUSTED:
        return {}
    bad: dict[str, str] = {}
    for hit in hits:
        if trust[hit.cube.id] == Trust.UNTRUSTED and (reason := looks_like_instructions(hit.cube.text)):
            bad[hit.cube.id] = f"looks like orders: {reason}"
    left = [hit.cube for hit in hits if hit.cube.id not in bad]
    key = _key(store)
    suspects = contradicted(_claims(store, left, trust), _rejections(store), question=question, key=key)
    _learn(store, now, [r for suspect in suspects for r in suspect.rejections])
    return bad | {s.id: s.reason for s in suspects}


def _claims(store: SqliteStore, cubes: Sequence[MemCube], trust: Mapping[str, Trust]) -> list[Claim]:
    facts: dict[str, list[Any]] = {}
    for stored in store.facts.of(store.keys_of([c.id for c in cubes])):
        facts.setdefault(stored.cube, []).append(stored.fact)
    return [Claim(c.id, facts.get(c.id, ()), trust[c.id], c.at, c.source, names(c.text)) for c in cubes]


def _key(store: SqliteStore) -> bytes:
    """Return the space's own key for hashes, made at first use."""
    import os

    if not (kept := store.get_meta("lesson key", "")):
        kept = os.urandom(16).hex()
        store.set_meta("lesson key", kept)
    return bytes.fromhex(kept)


def _rejections(store: SqliteStore) -> set[Rejection]:
    with store.connection.read() as db:
        return {
            Rejection(t.hex(), m.hex(), made)
            for t, m, made in db.execute("SELECT trigger, mistaken, trust FROM lessons")
        }


def _learn(store: SqliteStore, now: datetime, rejections: Sequence[Rejection]) -> None:
    new = set(rejections) - _rejections(store) if rejections else set()
    if new:
        with store.connection.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO lessons VALUES (?, ?, ?, ?)",
                ((bytes.fromhex(x.trigger), bytes.fromhex(x.mistake), x.trust, to_micros(now)) for x in new),
            )
