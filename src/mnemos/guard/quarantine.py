"""Quarantine: withhold hits from a prompt that give orders, or that better sources contradict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import Hit, MemCube, to_micros
from mnemos.errors import InvalidInput
from mnemos.guard.consensus import Claim, contradicted, names
from mnemos.guard.instructions import looks_like_instructions
from mnemos.guard.key import key_of
from mnemos.guard.trust import Trust, trust_of
from mnemos.store.base import Store

SECRETS = ("redact", "refuse", "keep")


def trust_rules(rules: Mapping[str, int]) -> str:
    """Check tiers of trust by source and return them as JSON, in the order in which they are tried. Raises InvalidInput."""
    if not isinstance(rules, Mapping):
        raise InvalidInput(f'trust is {rules!r:.60}, expected a dict of tiers by source, such as {{"https://*": 0}}.')
    for pattern, tier in rules.items():
        if not isinstance(pattern, str) or tier not in (0, 1, 2) or isinstance(tier, bool):
            raise InvalidInput(
                f"trust: {pattern!r} has the tier {tier!r}. Use 0 (untrusted), 1 (normal) or 2 (trusted)."
            )
    return json.dumps({p: int(t) for p, t in rules.items()})


def read_trust(text: str) -> Mapping[str, int]:
    """Return what `trust_rules` wrote. Raises InvalidInput for anything else."""
    rules: Mapping[str, int] = json.loads(trust_rules(json.loads(text)))
    return rules


def secrets_policy(policy: str) -> str:
    """Return a known policy for secrets. Raises InvalidInput for any other."""
    if policy not in SECRETS:
        raise InvalidInput(f"secrets is {policy!r}, expected one of {', '.join(SECRETS)}.")
    return policy


def quarantined(
    store: Store, rules: Mapping[str, int], hits: Sequence[Hit], question: str, now: datetime
) -> dict[str, str]:
    """Return the hits to withhold from an agent: id -> reason.

    These are untrusted cubes that look like orders, then those that the others contradict (see `consensus`), whose claims
    are stored as rejections. Free where all hits are trusted; else 0.1 ms an untrusted hit, and O(hits squared).
    """
    trust = {hit.cube.id: trust_of(hit.cube.role, hit.cube.source, rules) for hit in hits}
    if min(trust.values(), default=Trust.TRUSTED) > Trust.UNTRUSTED:
        return {}
    bad: dict[str, str] = {}
    for hit in hits:
        if trust[hit.cube.id] == Trust.UNTRUSTED and (reason := looks_like_instructions(hit.cube.text)):
            bad[hit.cube.id] = f"looks like orders: {reason}"
    left = [hit.cube for hit in hits if hit.cube.id not in bad]
    key = key_of(store)
    known = store.rejections.all()
    suspects = contradicted(_claims(store, left, trust), known, question=question, key=key)
    if new := {r for suspect in suspects for r in suspect.rejections} - known:
        store.rejections.add(new, to_micros(now))
    return bad | {s.id: s.reason for s in suspects}


def _claims(store: Store, cubes: Sequence[MemCube], trust: Mapping[str, Trust]) -> list[Claim]:
    facts: dict[str, list[Any]] = {}
    for stored in store.facts.of(store.keys_of([c.id for c in cubes])):
        facts.setdefault(stored.cube, []).append(stored.fact)
    return [Claim(c.id, facts.get(c.id, ()), trust[c.id], c.at, c.source, names(c.text)) for c in cubes]
